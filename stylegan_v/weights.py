"""Weights on disk: one .safetensors file and the config that builds its networks beside it, for use and for sharing.

A tensor is called ``<network>.<name>``, with the names that `VideoGAN` has for its networks. What is known of the run
that made them travels in the file's metadata. Reading executes nothing.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from safetensors import safe_open
from torch import Tensor

from errors import InputError
from plain_config import parse_config
from stylegan_v.checkpoints import LAST, read_checkpoint, read_config, replacing

NETWORKS = ("generator", "generator_ema", "discriminator")
GENERATOR, MODEL, CONFIG = "generator.safetensors", "model.safetensors", "config.yaml"
Kind = Literal["checkpoint", "model", "generator", "snapshot"]
Facts = dict[str, Any]
FORMAT = "stylegan_v"  # how the metadata of our files name it
_COUNTERS = ("updates", "num_clips", "num_frames", "past_clips")
KNOWN_FACTS = (*_COUNTERS, "fps", "augment_p")
_MAX_HEADER_BYTES = 10_000_000  # that of the largest networks has 30 kB
_MAX_CONFIG_BYTES = 5_000_000
_DTYPES = {  # of the file format
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True)
class Weights:
    """Tensors of a model by network, what builds these networks, and what is known of their run.

    Attributes:
        path: The file they come from.
        kind: What that file is: a run's checkpoint, networks to train on, a generator to use, or a snapshot of
            the original system.
        networks: State dicts of ``generator``, ``generator_ema`` and ``discriminator``; of those that are there.
        model: ``{class_path, init_args}`` of the model, as a config has it.
        facts: Plain values: ``updates``, ``num_clips``, ``num_frames``, ``past_clips`` (those that the weights a run
            started from had seen), ``fps`` of the data, ``augment_p``; those that are known.
    """

    path: Path
    kind: Kind
    networks: dict[str, dict[str, Tensor]] = field(repr=False)
    model: dict[str, Any] = field(repr=False)
    facts: Facts


def write_weights(path: Path, networks: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]) -> None:
    """Saves state dicts of networks as one .safetensors file; whoever reads ``path`` finds the old file or the new one.

    Tensors go to the file one by one: no second copy of them is made.

    Args:
        path: The final name; the folder must exist.
        networks: State dicts by the name of the network.
        facts: Plain values; of the known ones those that make sense.

    Raises:
        OSError: The disk is full, or the folder cannot be written; the old file is still there.
    """
    tensors = {f"{network}.{name}": tensor for network, state in networks.items() for name, tensor in state.items()}
    facts = {name: value for name, value in facts.items() if name not in KNOWN_FACTS or _is_fact(name, value)}
    with replacing(path) as file:
        write_tensors(file, tensors, {"format": FORMAT, "facts": json.dumps(facts)})


def write_tensors(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """The safetensors format: the length of a JSON header (8 bytes), the header, the tensors without gaps.

    The library's own function either makes two more copies of everything, or replaces the file by itself, unsynced.

    Args:
        file: Where it goes.
        tensors: By name; each is written as its own, also where two share memory.
        metadata: Texts by name.
    """
    ordered = sorted(tensors.items(), key=lambda item: -item[1].element_size())  # so that each one is aligned
    ends = list(accumulate((tensor.nbytes for _, tensor in ordered), initial=0))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    for (name, tensor), start, end in zip(ordered, ends, ends[1:], strict=False):
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, tensor in ordered:
        file.write(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())


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


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of any .safetensors file by name, and its metadata; nothing in it is executed.

    The tensors are views of the file: what is not used is not read.

    Raises:
        InputError: It is no such file, or a damaged one.
    """
    check_header_length(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path}: not a file of weights, or a damaged one: {error}") from error


def _of_safetensors(path: Path, wanted: Collection[str]) -> Weights:
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path}: weights of another program: give what train.py or stylegan_v.official wrote")
    networks: dict[str, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        network, _, name = full.partition(".")
        if network in wanted and network in NETWORKS:
            networks.setdefault(network, {})[name] = tensor
    kind: Kind = "model" if any(name.startswith("discriminator.") for name in tensors) else "generator"
    return Weights(path, kind, networks, _model(_config_beside(path), path.with_name(CONFIG)), _facts(metadata, path))


def check_header_length(path: Path) -> None:
    """Keeps a .safetensors file from claiming a header that fills the memory.

    Raises:
        InputError: It does.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > _MAX_HEADER_BYTES:
        raise InputError(f"{path}: not a file of weights, or a damaged one: its header would have {length} bytes")


def _config_beside(path: Path) -> dict[str, Any]:
    config = path.with_name(CONFIG)
    if not config.is_file():
        raise InputError(f"{config}: missing: weights need the config that stood beside them")
    with open(config, "rb") as file:
        return parse_config(file.read(_MAX_CONFIG_BYTES).decode(errors="replace"), config)


def _facts(metadata: Mapping[str, str], path: Path) -> Facts:
    try:
        facts = json.loads(metadata.get("facts", "{}"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its metadata are damaged: write the file again") from error
    if not isinstance(facts, dict):
        raise InputError(f"{path}: its metadata are not plain values: write the file again")
    for name, value in facts.items():
        if not (_is_fact(name, value) if name in KNOWN_FACTS else isinstance(value, (int, float, str))):
            raise InputError(f"{path}: its metadata say that {name} is {str(value)[:40]}: write the file again")
    return facts


def _is_fact(name: str, value: Any) -> bool:
    """Whether a known fact has a value that it can have."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    if name in _COUNTERS:
        return isinstance(value, int) and value >= (name == "past_clips")  # most runs start from nothing
    return value > 0 if name == "fps" else 0 <= value <= 1


def _of_checkpoint(path: Path, wanted: Collection[str]) -> Weights:
    checkpoint = read_checkpoint(path, mmap=True)
    config = read_config(checkpoint, path)
    networks: dict[str, dict[str, Tensor]] = {}
    for full, tensor in checkpoint["state_dict"].items():
        network, _, name = str(full).partition(".")
        if network in wanted and network in NETWORKS and isinstance(tensor, Tensor):
            networks.setdefault(network, {})[name] = tensor
    return Weights(path, "checkpoint", networks, _model(config, path), checkpoint_facts(checkpoint, config))


def checkpoint_facts(checkpoint: Mapping[str, Any], config: Mapping[str, Any]) -> Facts:
    """What a checkpoint of a run says of it in plain values.

    Args:
        checkpoint: From `read_checkpoint`.
        config: Of the run.
    """
    counters, data = checkpoint.get("counters"), config.get("data")
    found: Facts = {name: counters.get(name) for name in _COUNTERS} if isinstance(counters, dict) else {}
    class_path = data.get("class_path") if isinstance(data, dict) else None
    data_state = checkpoint.get(str(class_path).rpartition(".")[2])
    found["fps"] = data_state.get("fps") if isinstance(data_state, dict) else None
    p = checkpoint["state_dict"].get("ada.p")
    found["augment_p"] = p.item() if isinstance(p, Tensor) and p.numel() == 1 else None
    return {name: value for name, value in found.items() if _is_fact(name, value)}


def _model(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    model = config.get("model")
    if not (isinstance(model, dict) and isinstance(model.get("init_args"), dict)):
        raise InputError(f"{path}: its config names no model: give the config of a run")
    return model
