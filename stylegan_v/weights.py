"""Weights on disk: one .safetensors file and the config that builds its networks beside it, for use and for sharing.

A tensor is called ``<network>.<name>``, with the names that `VideoGAN` has for its networks. What is known of the run
that made them travels in the file's metadata. Reading executes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from errors import InputError
from stylegan_v.checkpoints import LAST, parse_config, read_checkpoint, read_config, replacing

NETWORKS = ("generator", "generator_ema", "discriminator")
GENERATOR, MODEL, CONFIG = "generator.safetensors", "model.safetensors", "config.yaml"
Kind = Literal["checkpoint", "model", "generator", "snapshot"]
Facts = dict[str, Any]
_FORMAT = "stylegan_v"
_COUNTERS = ("updates", "num_clips", "num_frames")


@dataclass(frozen=True)
class Weights:
    """Tensors of a model by network, what builds these networks, and what is known of their run.

    Attributes:
        path: The file they come from.
        kind: What that file is: a run's checkpoint, networks to train on, a generator to use, or a snapshot of
            the original system.
        networks: State dicts of ``generator``, ``generator_ema`` and ``discriminator``; of those that are there.
        model: ``{class_path, init_args}`` of the model, as a config has it.
        facts: Plain values: ``updates``, ``num_clips``, ``num_frames``, ``fps`` of the data, ``augment_p``; those that
            are known.
    """

    path: Path
    kind: Kind
    networks: dict[str, dict[str, Tensor]] = field(repr=False)
    model: dict[str, Any] = field(repr=False)
    facts: Facts


def write_weights(path: Path, networks: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]) -> None:
    """Saves state dicts of networks as one .safetensors file; whoever reads ``path`` finds the old file or the new one.

    Args:
        path: The final name; the folder must exist.
        networks: State dicts by the name of the network.
        facts: Plain values.
    """
    tensors = {
        f"{network}.{name}": tensor.detach().cpu().contiguous()
        for network, state in networks.items()
        for name, tensor in state.items()
    }
    with replacing(path) as file:
        file.write(save(tensors, metadata={"format": _FORMAT, "facts": json.dumps(dict(facts))}))


def find_weights(path: str | os.PathLike[str]) -> Path:
    """The file that ``path`` means: itself, or of a folder its checkpoint, networks or generator, in this order.

    Raises:
        InputError: There is none.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        if path.is_file():
            return path
        raise InputError(f"{path}: no such file or folder: give a run folder, a folder of weights, or a file of them")
    for name in (LAST, MODEL, GENERATOR):
        if (path / name).is_file():
            return path / name
    raise InputError(f"{path}: holds no weights: give a folder with {LAST}, {MODEL} or {GENERATOR}")


def read_weights(path: str | os.PathLike[str], wanted: Collection[str] = NETWORKS) -> Weights:
    """Weights of this project: of a run, of a folder made for sharing, or of one file, on the CPU.

    Args:
        path: A folder, a checkpoint, or a .safetensors file with its config.yaml beside it.
        wanted: Names of the networks to read; those that the file does not have are left out.

    Raises:
        InputError: There are no weights, or they cannot be read.
    """
    path = find_weights(path)
    return _of_safetensors(path, wanted) if path.suffix == ".safetensors" else _of_checkpoint(path, wanted)


def _of_safetensors(path: Path, wanted: Collection[str]) -> Weights:
    networks: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            for full in file.keys():  # noqa: SIM118  (no mapping)
                network, _, name = full.partition(".")
                if network in wanted:
                    networks.setdefault(network, {})[name] = file.get_tensor(full)
    except SafetensorError as error:
        raise InputError(f"{path}: not a file of weights, or a damaged one: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise InputError(f"{path}: weights of another program: give what train.py or stylegan_v.official wrote")
    kind: Kind = "model" if "discriminator" in networks or path.name == MODEL else "generator"
    return Weights(path, kind, networks, _model(_config_beside(path), path), _facts(metadata, path))


def _config_beside(path: Path) -> dict[str, Any]:
    config = path.with_name(CONFIG)
    if not config.is_file():
        raise InputError(f"{config}: missing: weights need the config that stood beside them")
    return parse_config(config.read_text(encoding="utf-8", errors="replace"), config)


def _facts(metadata: Mapping[str, str], path: Path) -> Facts:
    try:
        facts = json.loads(metadata.get("facts", "{}"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its metadata are damaged: write the file again") from error
    plain = isinstance(facts, dict) and all(isinstance(value, (int, float, str)) for value in facts.values())
    if not plain:
        raise InputError(f"{path}: its metadata are not plain values: write the file again")
    return facts


def _of_checkpoint(path: Path, wanted: Collection[str]) -> Weights:
    checkpoint = read_checkpoint(path, mmap=True)
    config = read_config(checkpoint, path)
    networks: dict[str, dict[str, Tensor]] = {}
    for full, tensor in checkpoint["state_dict"].items():
        network, _, name = full.partition(".")
        if network in wanted and network in NETWORKS:
            networks.setdefault(network, {})[name] = tensor
    return Weights(path, "checkpoint", networks, _model(config, path), checkpoint_facts(checkpoint, config))


def checkpoint_facts(checkpoint: Mapping[str, Any], config: Mapping[str, Any]) -> Facts:
    """What a checkpoint of a run says of it in plain values.

    Args:
        checkpoint: From `read_checkpoint`.
        config: Of the run.
    """
    facts: Facts = {}
    counters = checkpoint.get("counters")
    if isinstance(counters, dict):
        facts |= {name: int(counters[name]) for name in _COUNTERS if isinstance(counters.get(name), int)}
    data = config.get("data")
    class_path = data.get("class_path") if isinstance(data, dict) else None
    data_state = checkpoint.get(str(class_path).rpartition(".")[2])
    fps = data_state.get("fps") if isinstance(data_state, dict) else None
    if isinstance(fps, (int, float)) and fps > 0:
        facts["fps"] = float(fps)
    if isinstance(p := checkpoint["state_dict"].get("ada.p"), Tensor):
        facts["augment_p"] = float(p)
    return facts


def _model(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    model = config.get("model")
    if not (isinstance(model, dict) and isinstance(model.get("init_args"), dict)):
        raise InputError(f"{path}: its config names no model: give the config of a run")
    return model
