"""Our weights as a state file of the original, and such a file as what a snapshot gives.

A state file is a .safetensors file with the original's state dicts, "G.<name>", "D.<name>" and "G_ema.<name>", filters
included. In its metadata stand, under the original's names, the settings of the networks. A file of tensors alone can
be read as well; what it leaves open is then assumed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from errors import InputError
from stylegan_v.checkpoints import replacing
from stylegan_v.official.names import OFFICIAL, in_order, to_official
from stylegan_v.official.network_settings import tree_of
from stylegan_v.official.networks import settings_of
from stylegan_v.official.snapshot import NETWORKS, Snapshot
from stylegan_v.weights import FORMAT, Weights, check_header_length, read_tensors, write_tensors

_FORMAT = "stylegan_v_official_state"
_BUFFER = re.compile(r"(?:.+\.)?(?:w_avg|freqs|phase_scales|fourier_coefs|resample_filter|noise_const)")
_MAX_SETTINGS_CHARACTERS = 100_000


def write_state(path: Path, weights: Weights) -> None:
    """Saves weights of ours as a state file of the original; whoever reads ``path`` finds the old file or the new one.

    Args:
        path: The final name, .safetensors; the folder must exist.
        weights: With generator, discriminator and averaged generator.

    Raises:
        InputError: The original cannot hold these networks; the message says why.
    """
    try:
        states, settings = official_states(weights)
    except InputError as error:
        raise InputError(f"{weights.path}: the original cannot hold these networks: {error}") from error
    tensors = {f"{net}.{name}": tensor for net, state in states.items() for name, tensor in state.items()}
    facts = weights.facts
    stats = {key: facts[fact] for key, fact in (("cur_nimg", "num_frames"), ("batch_idx", "updates")) if fact in facts}
    told = tree_of(settings) | {"stats": stats}
    if "fps" in facts:
        told.setdefault("config", {}).setdefault("dataset", {})["fps"] = facts["fps"]
    with replacing(path) as file:
        write_tensors(file, tensors, {"format": _FORMAT, "settings": json.dumps(told)})


def official_states(weights: Weights) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The original's state dicts of "G", "D" and "G_ema", in its order, and the settings of these networks.

    Raises:
        InputError: The original cannot hold these networks, or one of the three is missing.
    """
    arguments = weights.model["init_args"]
    settings = settings_of(arguments.get("generator"), arguments.get("discriminator"))
    missing = [name for name in OFFICIAL if name not in weights.networks]
    if missing:
        raise InputError(
            f"it needs all of {', '.join(NETWORKS)}, there is no {', '.join(missing)}: give a run's checkpoint"
        )
    return {official: to_official(weights.networks[name]) for name, official in OFFICIAL.items()}, settings


def is_state(path: Path) -> bool:
    """Whether a file is a state file that was written here."""
    try:
        check_header_length(path)
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") == _FORMAT
    except OSError:
        raise
    except Exception:  # of any other file, damaged or not
        return False


def read_state(path: str | Path) -> Snapshot:
    """A state file as what a snapshot gives; nothing in it is executed.

    Args:
        path: A .safetensors file of tensors "G.<name>", "D.<name>", "G_ema.<name>".

    Raises:
        InputError: It is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    found: dict[str, dict[str, Tensor]] = {net: {} for net in NETWORKS}
    left: set[str] = set()
    tensors, metadata = read_tensors(path)
    for full, tensor in tensors.items():
        net, _, name = full.partition(".")
        if net in found:
            found[net][name] = tensor
        else:
            left.add(net)
    if metadata.get("format") == FORMAT:
        raise InputError(
            f"{path}: weights of ours: train.py and generate.py take them as they are; --export is the way back"
        )
    missing = [net for net, state in found.items() if not state]
    if missing:
        raise InputError(f"{path}: holds no {', '.join(missing)}: a state file has the networks {', '.join(NETWORKS)}")
    networks = {net: {name: state[name] for name in in_order(state)} for net, state in found.items()}
    skipped = tuple(f"tensors of {net}: not needed" for net in sorted(left))
    return _snapshot(path, networks, _told(metadata, path), skipped)


def _snapshot(path: Path, networks: dict[str, dict[str, Tensor]], told: dict[str, Any], skipped: tuple) -> Snapshot:
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    parameters = {net: tuple(name for name in state if not _BUFFER.fullmatch(name)) for net, state in networks.items()}
    stats = {key: value for key, value in _section(told, "stats").items() if type(value) is int and value >= 0}
    return Snapshot(
        path=path,
        sha256=sha256,
        networks=networks,
        parameters=parameters,
        config=_section(told, "config") or None,
        init_kwargs={"G": _section(told, "G"), "D": _section(told, "D")},
        sampling=_section(told, "sampling"),
        augment=None,
        optimizers={},
        stats=stats,
        training_set={},
        skipped=skipped,
    )


def _told(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Settings in the metadata; those of another program are none."""
    text = metadata.get("settings", "{}") if metadata.get("format") == _FORMAT else "{}"
    try:
        told = json.loads(text[:_MAX_SETTINGS_CHARACTERS])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: the settings in its metadata are damaged: export it again") from error
    return told if isinstance(told, dict) else {}


def _section(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = tree.get(name)
    return section if isinstance(section, dict) else {}


def state_path(path: str | os.PathLike[str]) -> Path:
    """Where a state file is to be written; over nothing but another one.

    Raises:
        InputError: The name does not end in .safetensors, its folder is missing, or another file has it.
    """
    path = Path(path).expanduser()
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: a state file has a name that ends in .safetensors")
    if path.is_dir() or (path.exists() and not is_state(path)):
        raise InputError(f"{path}: is there already, and no state file: choose another name")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder: make it, or choose another")
    return path
