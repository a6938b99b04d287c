"""The model that upscales: found, read, put on a device, and told apart from others in the settings of its files."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from errors import InputError
from fields.continuous_image import CHUNK, ContinuousImage
from fields.official.released import SUFFIXES, read_released
from fields.weights import build_field, read_field

_GPU_CHUNK = 8 * CHUNK  # a GPU needs more points at once to be busy


@dataclass(frozen=True)
class Model:
    """A model of continuous images and how it is used.

    Attributes:
        field: In evaluation mode, on its device.
        checkpoint: SHA-256 of the file of weights.
        chunk: Points that are queried at once.
    """

    field: ContinuousImage
    checkpoint: str
    chunk: int

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.field.parameters()).device


def open_model(path: str | os.PathLike[str], device: str) -> Model:
    """The model that a path names.

    Args:
        path: A run folder, a checkpoint, a folder or file of weights, or a checkpoint of the original LIIF (.pth).
        device: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one.

    Raises:
        InputError: There is none, it cannot be read, or it does not upscale.
    """
    chosen = choose_device(device)
    given = Path(path).expanduser()
    stored = read_released(given) if given.suffix.lower() in SUFFIXES else read_field(given)
    field = build_field(stored)
    if not isinstance(field, ContinuousImage):
        raise InputError(f"{stored.path}: holds a {type(field).__name__}, which upscales nothing: give a LIIF")
    with open(stored.path, "rb") as file:
        checkpoint = hashlib.file_digest(file, "sha256").hexdigest()
    return Model(field.to(chosen), checkpoint, CHUNK if chosen.type == "cpu" else _GPU_CHUNK)


def choose_device(name: str) -> torch.device:
    """The device of this name.

    Raises:
        InputError: There is none here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    refusal = f"device: {name}: there is no such device here: give cpu, or leave it out"
    try:
        device = torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(refusal) from error
    if device.type == "meta":
        raise InputError(refusal)
    return device
