"""Inception of 2015-12-05, the network of FID, KID and IS, from either of two files.

A TorchScript archive is the port that StyleGAN2-ADA and StyleGAN-V use. A `.pth` file holds weights alone, which the
package torch-fidelity computes with, resizing as TensorFlow 1 did; torchmetrics takes the same weights through the same
package, but resizes with antialiasing unless told otherwise, and so gives other numbers.

Shape legend
    B, T    clips, frames of a clip
    N       B x T frames, clip by clip
    D, C    2048 features, 1008 classes
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from errors import InputError
from stylegan_v.metrics.detectors.interface import check_clips, check_probabilities, measuring
from stylegan_v.metrics.detectors.torchscript import call_script, load_script

_MAX_BYTES = 2**30


class Inception:
    """The network of FID.

    Args:
        network: What is moved to another device.
        features: Frames [N, 3, H, W] of bytes to features.
        probabilities: The same to class probabilities, without the bias of the last layer.
        sha256: Of the file.
        device: Where the network lies.
    """

    name = "inception"
    caveat = ""
    unit: Literal["clip", "frame"] = "frame"
    min_frames = 1

    def __init__(
        self,
        network: nn.Module,
        features: Callable[[Tensor], Tensor],
        probabilities: Callable[[Tensor], Tensor],
        sha256: str,
        device: torch.device,
    ) -> None:
        self.network = network
        self.digest = sha256
        self.device = device
        self._features = features
        self._probabilities = probabilities

    def to(self, device: torch.device | str) -> Inception:
        """The same network; it moves."""
        self.device = torch.device(device)
        self.network.to(self.device)
        return self

    def features(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "N D"]:
        """What the last pooling gives for each frame."""
        return self._features(self._frames(clips))

    def probabilities(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "N C"]:
        """Class probabilities of each frame."""
        return self._probabilities(self._frames(clips))

    def _frames(self, clips: Tensor) -> UInt8[Tensor, "N 3 H W"]:
        check_clips(self.name, clips, self.min_frames)
        return rearrange(clips.to(self.device), "B T C H W -> (B T) C H W")


def load_inception(path: Path, sha256: str, device: torch.device) -> Inception:
    """The network in a file: of weights alone if it ends in ``.pth``, else a TorchScript archive.

    Args:
        path: The file.
        sha256: Of it.
        device: Where the network computes.

    Raises:
        InputError: The file is refused, or torch-fidelity is needed and not installed.
    """
    if path.suffix == ".pth":
        return _of_weights(path, sha256, device)
    network = load_script(path, device)
    return Inception(
        network,
        lambda frames: call_script(path, network, frames, return_features=True),
        lambda frames: check_probabilities(path, call_script(path, network, frames, no_output_bias=True)),
        sha256,
        device,
    )


def _of_weights(path: Path, sha256: str, device: torch.device) -> Inception:
    """The network of torch-fidelity with the weights in ``path``."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise InputError(
            f"{path}: weights for the package torch-fidelity, which is not installed: pip install torch-fidelity, or "
            "give the TorchScript file inception-2015-12-05.pt"
        ) from error
    weights = _reread(path)
    try:
        network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], weights).to(device)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: no weights of the Inception of 2015-12-05: {reason}") from error

    def answer(frames: Tensor, which: int) -> Tensor:
        with measuring(frames.device):
            return network(frames)[which]

    return Inception(
        network, lambda frames: answer(frames, 0), lambda frames: answer(frames, 1).softmax(dim=1), sha256, device
    )


def _reread(path: Path) -> io.BytesIO:
    """The tensors in a file of weights, written anew: torch-fidelity reads its file without `weights_only`."""
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES} bytes: give the weights of Inception")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path}: no file of weights, or a damaged one: get it again") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: holds other things than tensors: give the weights of Inception")
    written = io.BytesIO()
    torch.save(dict(state), written)
    written.seek(0)
    return written
