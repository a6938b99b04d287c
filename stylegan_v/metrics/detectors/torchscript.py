"""Networks in TorchScript archives of anyone's: loaded only after the archive was judged, run the same way every time.

TorchScript is how the networks of the published metrics were handed out. Torch calls it deprecated and still runs it.

Shape legend
    B, T    clips, frames of a clip
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float32, UInt8
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.detectors.interface import measuring
from stylegan_v.metrics.detectors.torchscript_archive import checked_archive


def load_script(path: Path, device: torch.device) -> torch.jit.ScriptModule:
    """The network in an archive, in evaluation mode.

    Args:
        path: The archive.
        device: Where its tensors go.

    Raises:
        InputError: The archive is refused (`checked_archive`), or torch cannot make a network of it.
    """
    archive = checked_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*torch\.jit\.load.* is deprecated", DeprecationWarning)
            network = torch.jit.load(archive, map_location=device)
    except (RuntimeError, torch.jit.Error) as error:
        raise InputError(f"{path}: torch cannot read this archive: {_first_line(error)}") from error
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()


def call_script(path: Path, network: torch.jit.ScriptModule, x: Tensor, **options: bool) -> Tensor:
    """What a network answers to a batch, float32.

    The program is run as it is written: the executor that rewrites it after the first calls could give the first batch
    other last digits than the tenth.

    Args:
        path: Of its archive, for messages.
        network: From `load_script`.
        x: The batch.
        options: Keywords of its `forward`.

    Raises:
        InputError: It takes no such batch or keywords, or answers with anything but a matrix of a row per item.
    """
    try:
        with measuring(x.device), torch.jit.optimized_execution(False):
            answer: Any = network(x, **options)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, torch.jit.Error) as error:
        asked = ", ".join(f"{name}={value}" for name, value in options.items())
        raise InputError(
            f"{path}: cannot be called as network(x{', ' * bool(asked)}{asked}): {_last_line(error)}"
        ) from error
    if not isinstance(answer, Tensor) or answer.ndim != 2 or len(answer) != len(x):
        shape = list(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise InputError(f"{path}: answers with {shape} to {len(x)} items, not with a row of values for each")
    return answer.float()


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")[:200]


def _last_line(error: BaseException) -> str:
    """The reason itself, which torch puts below where in the program it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or ["no reason given"])[-1][:200]


class ScriptedClips:
    """A network of clips that is a TorchScript archive: where it lies, and how clips are handed to it.

    Args:
        path: Of its archive, for messages.
        network: Loaded from it.
        sha256: Of the file.
        device: Where the network lies.
    """

    caveat = ""
    unit: Literal["clip", "frame"] = "clip"

    def __init__(self, path: Path, network: torch.jit.ScriptModule, sha256: str, device: torch.device) -> None:
        self.path = path
        self.network = network
        self.digest = sha256
        self.device = device

    def to(self, device: torch.device | str) -> ScriptedClips:
        """The same network; it moves."""
        self.device = torch.device(device)
        self.network.to(self.device)
        return self

    def channels_first(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B 3 T H W"]:
        """Clips as such networks take them: 0 to 255, on their device."""
        return rearrange(clips.to(self.device), "B T C H W -> B C T H W").float()
