"""C3D fine-tuned on UCF-101, for the video inception score: a TorchScript port of the network that TGANv2 uses.

Known of its file is that it takes clips of 16 frames, brings them to its own size and gives class probabilities. Not
known, and assumed as for the I3D of the same origin: the order of axes [B, 3, 16, H, W], float values of bytes in
0..255, and a call without keywords. An answer whose rows are no probabilities is refused rather than made into some.

Shape legend
    B, T    clips, frames of a clip
    C       classes, 101
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.detectors.interface import check_clips, check_probabilities
from stylegan_v.metrics.detectors.torchscript import ScriptedClips, call_script, load_script


class C3D(ScriptedClips):
    """The network of the video inception score."""

    name = "c3d"
    min_frames = 16

    def features(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B D"]:
        """Refused: its file gives classes only."""
        raise InputError(f"{self.name}: gives class probabilities only: choose i3d or videomae for a distance")

    def probabilities(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B C"]:
        """Class probabilities of clips of exactly 16 frames."""
        check_clips(self.name, clips, self.min_frames)
        if clips.shape[1] != self.min_frames:
            raise InputError(f"{self.name}: looks at clips of {self.min_frames} frames, not {clips.shape[1]}")
        x = self.channels_first(clips)
        return check_probabilities(self.path, call_script(self.path, self.network, x))


def load_c3d(path: Path, sha256: str, device: torch.device) -> C3D:
    """The network in a file.

    Args:
        path: The TorchScript archive.
        sha256: Of the file.
        device: Where it computes.

    Raises:
        InputError: The archive is refused.
    """
    return C3D(path, load_script(path, device), sha256, device)
