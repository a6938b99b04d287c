"""What a checkpoint holds, leaf by leaf, for comparing two of them or one with a record.

python -m tests.checkpoint_state CHECKPOINT FOLDER    prints a record as JSON, with the curves of the run in FOLDER
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

KEPT = ("state_dict", "optimizer_states", "counters", "SyntheticVideos", "global_step")  # all that decides the future


def tensors(value: Any, name: str = "") -> dict[str, Any]:
    """The leaves of a tree by name."""
    if isinstance(value, dict):
        return {k: v for key, child in value.items() for k, v in tensors(child, f"{name}/{key}").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for key, child in enumerate(value) for k, v in tensors(child, f"{name}/{key}").items()}
    return {name: value}


def state(path: Path) -> dict[str, Any]:
    """The leaves of a checkpoint that decide how its run goes on."""
    checkpoint = torch.load(path, weights_only=True)
    return tensors({key: checkpoint[key] for key in KEPT})


def _equal(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, Tensor) else a == b


def assert_same(path: Path, other: Path) -> None:
    """Both checkpoints hold the same leaves, bit for bit."""
    expected, found = state(path), state(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert _equal(value, found[name]), name


def assert_same_way(start: Path, expected: Path, found: Path) -> None:
    """Two runs that went on from one checkpoint took the same way, up to rounding.

    Each tensor of the one lies within 1/1000 of the way it has come from that of the other, plus the rounding of its
    own values; what counts, and what has not moved, is equal. (Other draws: as far apart as the way, or farther.)
    """
    before, expected_state, found_state = state(start), state(expected), state(found)
    assert expected_state.keys() == found_state.keys()
    for name, value in expected_state.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            way = (value - before[name]).norm()
            far = (found_state[name] - value).norm()
            assert far <= 1e-3 * way + (1e-7 * value.norm() if way else 0), f"{name}: {far} apart after {way}"
        else:
            assert _equal(value, found_state[name]), name


def described(value: Any) -> Any:
    """A leaf for the record: of a tensor type, shape and checksum of its bytes, of anything else the value."""
    if not isinstance(value, Tensor):
        return value
    kind = str(value.dtype).removeprefix("torch.")
    return f"{kind} {list(value.shape)} {zlib.crc32(value.contiguous().numpy().tobytes()):08x}"


def curves(folder: Path) -> dict[str, list[float]]:
    """What a run has logged, by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith(("loss/", "grad_norm/", "scores/", "progress/"))]
    return {tag: [event.value for event in events.Scalars(tag)] for tag in tags}


def record(checkpoint: Path, folder: Path) -> dict[str, Any]:
    """Everything that a checkpoint holds, described, and what the run in a folder has logged."""
    leaves = {name: described(value) for name, value in state(checkpoint).items()}
    return {"torch": torch.__version__, "leaves": leaves, "curves": curves(folder)}


if __name__ == "__main__":
    print(json.dumps(record(*map(Path, sys.argv[1:])), indent=0))
