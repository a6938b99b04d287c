"""Fields on disk: model.safetensors and, beside it, config.yaml with the node that builds the field.

What is known of how the weights were made travels in the file's metadata. Runs of the training command are read as
well: their checkpoint holds the model that was trained. Reading executes nothing.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from datasets.files import atomic_path, sync
from errors import InputError
from fields.nodes import ROOM, build, is_node
from plain_config import parse_config

WEIGHTS, CONFIG, LAST = "model.safetensors", "config.yaml", "last.ckpt"
FORMAT = "fields"  # how the metadata of our files name it
STEPS = "@steps."  # before the name of a tensor: the numbers of the steps in which it is rounded
_MAX_HEADER_BYTES = 10_000_000
_MAX_FACT = 1000  # characters
_MAX_CONFIG_BYTES = 4_000_000
_REMEDY = "give a run folder, a folder that python -m fields.official made, or one of their files"


@dataclass(frozen=True)
class StoredField:
    """A field as a file holds it.

    Attributes:
        path: The file.
        node: ``{class_path, init_args}`` of the module.
        state: Its tensors by name.
        facts: Plain values: what is known of how they were made.
        steps: By the names of tensors, the numbers of the steps that were learned with the field and in which these
            are rounded (see `fields.rate.steps`); empty where there are none.
    """

    path: Path
    node: dict[str, Any]
    state: dict[str, Tensor] = field(repr=False)
    facts: dict[str, Any]
    steps: dict[str, Tensor] = field(default_factory=dict, repr=False)


def save_field(
    folder: str | Path,
    module_node: Mapping[str, Any],
    state: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    texts: Mapping[str, str] | None = None,
) -> None:
    """Leaves a field in a folder, which is made: all of its files, or on any failure none.

    Args:
        folder: Gets model.safetensors and config.yaml; such files that are there are replaced.
        module_node: ``{class_path, init_args}`` that builds the module, plain values.
        state: Its tensors by name.
        facts: Plain values for the metadata.
        texts: Further files, by name.

    Raises:
        InputError: The folder is a file.
        OSError: The disk is full, or the folder cannot be written.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file: give the name of a folder")
    config = yaml.safe_dump({"model": dict(module_node)}, sort_keys=False)
    # Names that share memory would be refused, and each is written as its own anyway.
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    data = save(tensors, {"format": FORMAT, "facts": json.dumps(dict(facts))})
    made = not folder.exists()
    try:
        with ExitStack() as files:  # the texts take their places once the weights have theirs
            for name, text in {**(texts or {}), CONFIG: config}.items():
                files.enter_context(atomic_path(folder / name)).write_text(text, encoding="utf-8")
            with atomic_path(folder / WEIGHTS) as temporary:
                temporary.write_bytes(data)
                sync(temporary)
    except BaseException:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise


def load_field(path: str | os.PathLike[str]) -> nn.Module:
    """The field that a file or folder holds, on the CPU, for use and not for training.

    Args:
        path: A folder that `save_field` made or its .safetensors file, or a run folder or its checkpoint.

    Raises:
        InputError: There is none, or not one that this version can build.
    """
    return build_field(read_field(path))


def build_field(stored: StoredField) -> nn.Module:
    """The field that was stored, with its weights.

    Raises:
        InputError: Its config names anything but modules of this room, or its tensors do not fit.
    """
    # Some of the parameters that a constructor makes may not be part of the result.
    module = build(stored.node, max_tensors=4 * len(stored.state) + 100)
    check_fits(module, stored.state, stored.path)
    expected = module.state_dict()
    state = {name: tensor.to(expected[name].dtype, copy=True) for name, tensor in stored.state.items()}
    module.load_state_dict(state, assign=True)
    for name, buffer in module.named_buffers():
        if buffer.is_meta:
            raise AssertionError(f"{name} of {type(module).__name__} is not in its state: keep it there")
    return module.eval().requires_grad_(False)


def check_fits(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Compares names and shapes of a module with those of a file.

    Raises:
        InputError: They differ; the message names the first tensor that does.
    """
    expected = module.state_dict()
    for name in [*expected, *state]:
        here, there = (list(side[name].shape) if name in side else "missing" for side in (expected, state))
        if here != there:
            raise InputError(
                f"{path}: the weights are not those of its config: {name} is {there} in the file and {here} by the "
                "config: give the config that belongs to them"
            )
        if not state[name].is_floating_point() and expected[name].is_floating_point():
            raise InputError(f"{path}: {name} holds no real numbers: write the file again")


def find_field(path: str | os.PathLike[str]) -> Path:
    """The file that ``path`` means: itself, or of a folder its checkpoint or weights, in this order.

    Raises:
        InputError: There is none.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        for name in (LAST, WEIGHTS):
            if (path / name).is_file():
                return path / name
        raise InputError(f"{path}: holds neither {LAST} nor {WEIGHTS}: {_REMEDY}")
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder: {_REMEDY}")
    return path


def read_field(path: str | os.PathLike[str]) -> StoredField:
    """What a file or folder holds of a field; tensors are left on the disk until they are used.

    Args:
        path: As for `load_field`.

    Raises:
        InputError: There is nothing of this kind, or it is damaged.
    """
    path = find_field(path)
    return _of_safetensors(path) if path.suffix == ".safetensors" else _of_checkpoint(path)


def _of_safetensors(path: Path) -> StoredField:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > _MAX_HEADER_BYTES:
        raise InputError(f"{path}: not a file of weights, or a damaged one: its header would have {length} bytes")
    try:
        with safe_open(path, framework="pt") as file:
            state, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path}: not a file of weights, or a damaged one: {error}") from error
    config = path.with_name(CONFIG)
    if not config.is_file():
        raise InputError(f"{config}: missing: weights need the config that stood beside them")
    with open(config, "rb") as file:
        text = file.read(_MAX_CONFIG_BYTES).decode(errors="replace")
    state, steps = _apart(state, path)
    return StoredField(path, _field_node(parse_config(text, config), config), state, _facts(metadata, path), steps)


def _of_checkpoint(path: Path) -> StoredField:
    checkpoint = load_plain(path)
    config, state = checkpoint.get("config"), checkpoint.get("state_dict")
    if not isinstance(config, str) or not isinstance(state, dict):
        raise InputError(f"{path}: no checkpoint of a run: {_REMEDY}")
    node = _field_node(parse_config(config, path), path)
    if not node["class_path"].startswith(ROOM):
        raise InputError(f"{path}: a run of {node['class_path'][:80]}, which is no field: {_REMEDY}")
    prefix, steps = "model.", checkpoint.get("steps", {})
    if not isinstance(steps, dict) or not all(isinstance(name, str) for name in steps):
        raise InputError(f"{path}: its steps are not tensors by name: {_REMEDY}")
    ours = {name: one for name, one in state.items() if isinstance(name, str) and name.startswith(prefix)}
    tensors, steps = _apart(plain_tensors(ours | {STEPS + name: one for name, one in steps.items()}, path), path)
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    counters = checkpoint.get("counters")
    updates = counters.get("updates") if isinstance(counters, dict) else None
    facts = {"updates": updates} if type(updates) is int and updates >= 0 else {}
    signal = checkpoint.get("signal")
    fps = signal.get("fps") if isinstance(signal, dict) else None
    facts |= {"fps": fps} if isinstance(fps, float) and 0 < fps < math.inf else {}
    scene = checkpoint.get("scene")
    facts |= {key: value for key, value in scene.items() if _is_fact(key, value)} if isinstance(scene, dict) else {}
    return StoredField(path, node, tensors, facts, steps)


def _is_fact(key: Any, value: Any) -> bool:
    """Whether this is a plain value under a name, of bounded length."""
    return isinstance(key, str) and isinstance(value, (str, int, float)) and len(key) + len(str(value)) < _MAX_FACT


def _apart(tensors: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors of a field, and the numbers of the steps in which they are rounded."""
    steps = {name.removeprefix(STEPS): one for name, one in tensors.items() if name.startswith(STEPS)}
    if wrong := [name for name, one in steps.items() if one.dtype != torch.int64 or one.dim() != 1]:
        raise InputError(f"{path}: the steps of {min(wrong)[:80]} are no whole numbers: write the file again")
    return {name: one for name, one in tensors.items() if not name.startswith(STEPS)}, steps


def load_plain(path: Path) -> dict[str, Any]:
    """What `torch.save` wrote, as tensors and plain values on the CPU; nothing in it is executed.

    Raises:
        InputError: It holds anything else, or is damaged.
    """
    try:
        # Only files in the form of a zip can stay on the disk; older ones are read whole.
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except MemoryError:
        raise
    except Exception as error:  # a damaged or hostile file may raise anything, a cut one "Invalid argument"
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise InputError(f"{path}: not a file of weights that can be read safely, or a damaged one") from error
    if not isinstance(loaded, dict):
        raise InputError(f"{path}: holds no weights: {_REMEDY}")
    return loaded


def plain_tensors(state: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    """A state dict of a file, with nothing in it but tensors that lie in the file.

    Raises:
        InputError: It holds anything else, or tensors that claim more than the file has.
    """
    num_bytes = 0
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise InputError(f"{path}: its weights are not tensors by name: {_REMEDY}")
        if tensor.device.type != "cpu" or tensor.layout is not torch.strided or tensor.is_quantized:
            raise InputError(f"{path}: {name[:80]} is no plain tensor: write the file again")
        num_bytes += tensor.numel() * tensor.element_size()
    # A tensor may repeat one number for ever; what is merely stored under two names stays below.
    if num_bytes > 2 * path.stat().st_size:
        raise InputError(f"{path}: its tensors claim {num_bytes} bytes, more than it has: write the file again")
    return dict(state)


def _is_zip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _field_node(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The node of the field: the config's model, or the one inside of it where that is what trains it."""
    node = config.get("model")
    inner = node.get("init_args") if isinstance(node, dict) else None
    if isinstance(inner, dict) and is_node(inner.get("model")):
        node = inner["model"]
    if not is_node(node):
        raise InputError(f"{path}: its config names no model: give the config that belongs to the weights")
    return node


def _facts(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        return {}  # tensors of another program may be used with a config, too
    try:
        facts = json.loads(metadata.get("facts", "{}"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its metadata are damaged: write the file again") from error
    plain = isinstance(facts, dict) and all(isinstance(value, (str, int, float)) for value in facts.values())
    if not plain:
        raise InputError(f"{path}: its metadata are no plain values: write the file again")
    return facts
