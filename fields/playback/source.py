"""A fitted field of a video, wherever it lies: a run, a folder or file of weights, or a coded file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from datasets.memory import available_memory, gigabytes
from errors import InputError
from fields.codec.coding import read_bytes
from fields.codec.container import MAGIC
from fields.codec.frames import CodedVideo
from fields.interface import CHUNK, can_blend_time
from fields.upscaling.models import choose_device
from fields.weights import StoredField, build_field, find_field, read_field

_GPU_CHUNK = 8 * CHUNK  # a GPU needs more points at once to be busy


@runtime_checkable
class Renders(Protocol):
    """What draws frames."""

    def render(
        self, t: Float[Tensor, " F"], size: Sequence[int], window: Sequence[int] | None = None, chunk: int = CHUNK
    ) -> Float[Tensor, "F 3 h w"]:
        """As `fields.interface.VideoField` says."""


@dataclass(frozen=True)
class FittedVideo:
    """A field of a video and how it is used.

    Attributes:
        path: Where it was read from.
        field: Draws its frames.
        name: Of its class.
        size: Frames, height and width of the video that it was fitted to.
        fps: Frames per second of that; None: unknown.
        checkpoint: SHA-256 of the file.
        device: Where it computes.
        whole_frames: It knows whole frames of its own size, from which other sizes are read.
    """

    path: Path
    field: Renders
    name: str
    size: tuple[int, int, int]
    fps: float | None
    checkpoint: str
    device: torch.device
    whole_frames: bool

    @torch.no_grad()
    def frames(
        self, t: Sequence[float], size: Sequence[int], window: Sequence[int], between: bool = False
    ) -> Float[Tensor, "F 3 h w"]:
        """The same window of frames, nominally in [-1, 1].

        Args:
            t: Their moments in [-1, 1].
            size: Height and width of whole frames.
            window: (y0, x0, y1, x1), half open.
            between: Blend slices of a grid in time, where the field can.

        Raises:
            InputError: Its values are not finite.
        """
        chunk = CHUNK if self.device.type == "cpu" else _GPU_CHUNK
        how = {"blend_time": True} if between and can_blend_time(self.field) else {}
        values = self.field.render(torch.tensor(t, device=self.device), size, window, chunk, **how).float()
        if not values.isfinite().all():
            raise InputError(f"{self.path}: the field gives values that are no numbers: its weights are damaged")
        return values


def open_fitted(path: str | Path, device: str = "auto") -> FittedVideo:
    """The field that a path names.

    Args:
        path: A run folder, a folder that holds model.safetensors, one of their files, or a file of ``fields.codec``.
        device: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one. Coded files are drawn on the CPU,
            where their grids are decoded as they are needed.

    Raises:
        InputError: There is none, it cannot be read, or it is no field of a video.
    """
    found = find_field(path)
    chosen = choose_device(device)
    with open(found, "rb") as file:
        coded = file.read(len(MAGIC)) == MAGIC
        file.seek(0)
        checkpoint = hashlib.file_digest(file, "sha256").hexdigest()
    if coded:
        video = CodedVideo(read_bytes(found), found)
        return _checked(found, video, video.field, video.facts, checkpoint, torch.device("cpu"))
    stored = read_field(found)
    _check_memory(stored)
    field = build_field(stored).to(chosen)
    return _checked(found, field, field, stored.facts, checkpoint, chosen)


def _checked(
    path: Path, renders: Any, field: Any, facts: dict[str, Any], checkpoint: str, device: torch.device
) -> FittedVideo:
    name, size = type(field).__name__, getattr(field, "size", ())
    if not hasattr(field, "render") or len(size) != 3:
        raise InputError(f"{path}: holds a {name}, which is no field of a video: give a fit of one, such as of NVP")
    fps = facts.get("fps")
    rate = float(fps) if isinstance(fps, (int, float)) and 0 < fps < float("inf") else None
    return FittedVideo(path, renders, name, tuple(size), rate, checkpoint, device, hasattr(field, "frames"))


def _check_memory(stored: StoredField) -> None:
    needed = 2 * sum(tensor.numel() * 4 for tensor in stored.state.values())
    _refuse_if_larger(stored.path, needed)


def _refuse_if_larger(path: Path, needed: int) -> None:
    free = available_memory(torch.device("cpu"))
    if free is not None and needed > free:
        raise InputError(f"{path}: takes {gigabytes(needed)} of memory, of which {gigabytes(free)} are free")
