"""I3D of Kinetics-400 as FVD uses it: the TorchScript port of the TF-Hub network, called as the original FVD does.

The network takes the values of bytes, brings them to [-1, 1] (``rescale``) and to 224 x 224 (``resize``) by itself, and
gives what stands before its softmax, 400 values (``return_features``). Unterthiner et al. 2018, "Towards accurate
generative models of video"; the agreement of the port with TF-Hub is its author's statement.

Shape legend
    B, T    clips, frames of a clip
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from stylegan_v.metrics.detectors.interface import check_clips, no_classes
from stylegan_v.metrics.detectors.torchscript import ScriptedClips, call_script, load_script


class I3D(ScriptedClips):
    """The network of FVD."""

    name = "i3d"
    # Assumed, from the strides in time: three halvings, rounded up, must leave the two positions of the last pooling,
    # which 9 frames do; 10 is what other users of this network ask for.
    min_frames = 10

    def features(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B D"]:
        """What stands before the softmax, D = 400 in the network of FVD."""
        check_clips(self.name, clips, self.min_frames)
        x = self.channels_first(clips)
        return call_script(self.path, self.network, x, rescale=True, resize=True, return_features=True)

    def probabilities(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B C"]:
        """Refused: no protocol asks for the classes of Kinetics."""
        raise no_classes(self.name)


def load_i3d(path: Path, sha256: str, device: torch.device) -> I3D:
    """The network in a file.

    Args:
        path: The TorchScript archive.
        sha256: Of the file.
        device: Where it computes.

    Raises:
        InputError: The archive is refused.
    """
    return I3D(path, load_script(path, device), sha256, device)
