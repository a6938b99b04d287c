"""Trained generators, ready to use: from a run, from a folder made for sharing, from a snapshot of the original."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from errors import InputError
from stylegan_v.checkpoints import build, check_fits
from stylegan_v.hub import download, is_hub_id
from stylegan_v.networks import Generator
from stylegan_v.official.conversion import convert, is_original, read_original
from stylegan_v.official.networks import NETWORK_SETTINGS
from stylegan_v.weights import NETWORKS, Weights, find_weights, read_weights

_log = logging.getLogger(__name__)
AnyGenerator = TypeVar("AnyGenerator", bound=Generator)


def from_pretrained(
    path_or_hub_id: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Generator:
    """A trained generator from a path or from the model hub, ready to sample: averaged weights, evaluation mode.

    Args:
        path_or_hub_id: A run folder, a folder or file of weights, a checkpoint, a snapshot of the original system; or
            ``user/name`` on the hub, where there is no such path.
        revision: Of a repository on the hub: a branch, tag or commit; None: the newest.
        cache_dir: Where downloads are kept; None: the hub's own choice.
        local_files_only: Whether to take what was downloaded before, without asking the hub.
        token: Of a private repository; None: that of ``hf auth login``.

    Raises:
        InputError: There are no weights, not those of a generator that this version can build, or the hub has none.
    """
    hub_options = {"revision": revision, "cache_dir": cache_dir, "local_files_only": local_files_only, "token": token}
    return load_generator(locate(path_or_hub_id, **hub_options))


def locate(path_or_hub_id: str | os.PathLike[str], **hub_options: Any) -> Path:
    """The path itself where there is one; of a name on the hub, the folder its files were downloaded to."""
    path = Path(path_or_hub_id).expanduser()
    if not path.exists() and is_hub_id(path_or_hub_id):
        return download(os.fspath(path_or_hub_id), **hub_options)
    return path


def read_model(path: str | os.PathLike[str], wanted: Collection[str] = NETWORKS) -> Weights:
    """Weights of any form: what `weights.read_weights` takes, or a snapshot of the original system.

    What a snapshot does not say of its networks is assumed, with a warning; `python -m stylegan_v.official` has flags
    for it.

    Args:
        path: A file or a folder.
        wanted: Names of the networks to read; those that the file does not have are left out.

    Raises:
        InputError: There are no weights, or they cannot be read.
    """
    path = find_weights(path)
    if not is_original(path):
        return read_weights(path, wanted)
    weights, notes = convert(read_original(path), wanted=wanted)
    if assumed := notes.assumed(NETWORK_SETTINGS):
        _log.warning("%s: assumed, as the file does not say: %s", path, ", ".join(assumed))
    return weights


def load_generator(path: str | os.PathLike[str], *, ema: bool = True) -> Generator:
    """The generator of a model, ready to sample: on the CPU, in evaluation mode, without gradients.

    Args:
        path: A run folder (its last checkpoint is taken), a folder of weights, or a file.
        ema: Whether to take the averaged weights.

    Raises:
        InputError: There are no weights, or not those of a generator that this version can build.
    """
    network = "generator_ema" if ema else "generator"
    return make_generator(read_model(path, [network]), network)


def make_generator(weights: Weights, network: str = "generator_ema") -> Generator:
    """A generator from weights, in evaluation mode, without gradients.

    Args:
        weights: Whose tensors become the generator's own, without a copy.
        network: Which of its networks.

    Raises:
        InputError: They are not those of a generator that this version can build.
    """
    return take_weights(empty_generator(weights), weights, network)


def empty_generator(weights: Weights) -> Generator:
    """The generator that the config of ``weights`` describes, without memory for its tensors.

    Raises:
        InputError: It describes none, or not one that this version can build.
    """
    with torch.device("meta"):
        generator = build(weights.model["init_args"].get("generator"))
    if not isinstance(generator, Generator):
        raise InputError(f"{weights.path}: its config names no generator: give a checkpoint of a video GAN")
    return generator


def take_weights(generator: AnyGenerator, weights: Weights, network: str = "generator_ema") -> AnyGenerator:
    """The generator with tensors of ``weights`` in place of its own, in evaluation mode, without gradients.

    Raises:
        InputError: They do not fit.
    """
    if network not in weights.networks:
        raise InputError(f"{weights.path}: holds no {network}, only {', '.join(weights.networks) or 'other networks'}")
    expected, state = generator.state_dict(), weights.networks[network]
    check_fits(expected, state, weights.path)
    _check_dtypes(expected, state, weights.path)
    generator.load_state_dict(state, assign=True)
    return generator.eval().requires_grad_(False)


def _check_dtypes(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in expected.items():
        if found[name].dtype != tensor.dtype:
            raise InputError(
                f"{path}: {name} is {found[name].dtype} there and {tensor.dtype} here: save it as the latter"
            )
