"""The model that draws: found, read, put on a device, and told apart from others in the settings of its files."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from errors import InputError
from generate_options import Options
from stylegan_v.compiling import Compilation, compile_generator
from stylegan_v.host_memory import keep_freed_memory
from stylegan_v.networks import Generator
from stylegan_v.pretrained import make_generator, read_model
from stylegan_v.rendering import VideoLatents
from stylegan_v.sampling.latents import Video, draw
from stylegan_v.sampling.lists import numbers
from stylegan_v.weights import Weights

DEFAULT_FPS = 25.0
_COUNTERS = ("updates", "num_clips", "num_frames")
_PACKAGES = ("torch", "numpy", "av", "pillow")


@dataclass(frozen=True)
class Model:
    """A generator and how its videos are drawn.

    Attributes:
        generator: In evaluation mode, on its device.
        data_fps: Frames per second of its data.
        truncation_psi: 1 keeps the full variety.
        labels: Classes that videos take in turn; empty: each its own, drawn.
        checkpoint: SHA-256 of the file of weights.
        origin: Plain values on where and how pictures are made; they do not decide what these show.
    """

    generator: Generator
    data_fps: float
    truncation_psi: float
    labels: tuple[int, ...]
    checkpoint: str
    origin: dict[str, Any]

    def latents(
        self, videos: Sequence[Video], motions: Sequence[Video] | None = None, labels: Sequence[int] = ()
    ) -> VideoLatents:
        """What decides the content of ``videos`` and the motion of ``motions``, by default their own.

        Args:
            videos: Whose content.
            motions: Whose motion, as many.
            labels: Their classes; none: drawn, where there are classes.
        """
        device = self.generator.mapping.w_avg.device
        c = F.one_hot(torch.tensor(labels, device=device), self.generator.c_dim).float() if labels else None
        return draw(self.generator, videos, motions, c, self.truncation_psi)

    def turns(self, num: int, first: int = 0) -> list[int]:
        """Classes of ``num`` videos of a command, from number ``first`` on, which take them in turn; none, if drawn."""
        return [self.labels[(first + i) % len(self.labels)] for i in range(num)] if self.labels else []

    def settings(self, command: str, **own: Any) -> dict[str, Any]:
        """The settings of a file: what decides its frames, and under ``made_with`` what does not."""
        common = {"checkpoint": {"sha256": self.checkpoint}, "truncation_psi": float(self.truncation_psi)}
        return {"command": command, **common, **own, "made_with": self.origin}


def open_model(options: Options) -> Model:
    """The model that ``options`` name, ready to draw.

    Raises:
        InputError: There is none, it cannot be read, or it has not what is asked for.
    """
    weights = read_model(options.ckpt, ["generator_ema"])
    generator = make_generator(weights)
    labels = _labels(generator, options.label)
    device = pick_device(options.device)
    if device.type == "cpu":
        keep_freed_memory()
    generator.to(device)
    if options.compile:
        compilation = Compilation()
        compilation.check(device)
        compile_generator(generator, compilation)
    return Model(
        generator,
        options.data_fps or training_fps(weights),
        options.truncation_psi,
        labels,
        _sha256(weights.path),
        _origin(weights, device) | ({"compiled": True} if options.compile else {}),
    )


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" is a CUDA device where there is one.

    Raises:
        InputError: There is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device: {name} is not there: give cpu, cuda or auto") from error
    return device


def training_fps(weights: Weights) -> float:
    """Frames per second of the data of training, where the weights know it; else 25, and says so."""
    if "fps" in weights.facts:
        return float(weights.facts["fps"])
    print(
        f"{weights.path}: does not say how fast its data is: taken as {DEFAULT_FPS:g} (--data_fps changes it)",
        file=sys.stderr,
    )
    return DEFAULT_FPS


def _labels(generator: Generator, label: int | str | None) -> tuple[int, ...]:
    if label is None:
        return ()
    classes = numbers(label, "label")
    if wrong := [i for i in classes if i >= generator.c_dim]:
        known = f"its classes are 0 to {generator.c_dim - 1}" if generator.c_dim else "it was trained without labels"
        raise InputError(f"label: the model has no class {wrong[0]}: {known}")
    return tuple(classes)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _origin(weights: Weights, device: torch.device) -> dict[str, Any]:
    counters = {name: weights.facts[name] for name in _COUNTERS if name in weights.facts}
    # The last folder only: what is above it is the business of whoever made the picture.
    where = Path(weights.path.parent.name, weights.path.name)
    return {
        "checkpoint": {"path": str(where), "kind": weights.kind, **counters},
        "device": str(device),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }
