"""The feature network of content-debiased FVD (Ge et al., CVPR 2024): VideoMAE V2 from the published file of weights.

Features are those that the package cd-fvd 0.1.1 (MIT) takes: the normalised mean of all tokens after the last block.
Facts that are easily missed, and are so here as there:

- frames are brought to 224 x 224 whatever their shape, bilinear without antialiasing, as values in [0, 1]: the mean and
  spread that the network was trained with are not taken off;
- any number of frames from 2 on is taken; for other than 16 the positions are interpolated (`positions_for`), and a
  last odd frame is not seen;
- everything is computed in single precision, as there unless half is asked for.

Covariances of that package divide by N.

Shape legend
    B, T        clips, frames of a clip
    D, C        width of the features, classes
"""

from __future__ import annotations

import zipfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn import functional as F

from errors import InputError
from stylegan_v.metrics.detectors.interface import check_clips, measuring
from stylegan_v.metrics.detectors.videomae_encoder import GIANT, Sizes, VideoMaeEncoder, positions_for
from stylegan_v.weights import read_tensors

_MAX_BYTES = 8 * 2**30
_WRAPPERS = ("model", "module")  # names under which training programs keep the state dict


def preprocess(clips: UInt8[Tensor, "B T 3 H W"], side: int) -> Float[Tensor, "B T 3 side side"]:
    """Frames in [0, 1] of side x side pixels; what is not square is stretched.

    Args:
        clips: Of any size.
        side: In pixels.
    """
    frames = rearrange(clips, "B T C H W -> (B T) C H W").float() / 255
    frames = F.interpolate(frames, (side, side), mode="bilinear", align_corners=False)
    return rearrange(frames, "(B T) C H W -> B T C H W", B=len(clips))


class VideoMAE:
    """The network of content-debiased FVD: 1408 features of a clip.

    Each clip is looked at by itself: its features do not depend on how clips are put together, and one clip of 16
    frames fills a device.

    Args:
        encoder: With its weights.
        sha256: Of their file.
        device: Where it lies.
    """

    name = "videomae"
    caveat = ""
    unit: Literal["clip", "frame"] = "clip"

    def __init__(self, encoder: VideoMaeEncoder, sha256: str, device: torch.device) -> None:
        self.encoder = encoder
        self.digest = sha256
        self.device = device
        self.min_frames = encoder.sizes.frames_per_slot

    def to(self, device: torch.device | str) -> VideoMAE:
        """The same network; it moves."""
        self.device = torch.device(device)
        self.encoder.to(self.device)
        return self

    def features(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B D"]:
        """Features of clips of 16 frames, or of any number from 2 on, as cd-fvd takes them."""
        check_clips(self.name, clips, self.min_frames)
        sizes = self.encoder.sizes
        with measuring(self.device):
            positions = positions_for(sizes, clips.shape[1]).to(self.device)
            each = (preprocess(clip.to(self.device), sizes.image) for clip in clips.split(1))
            return torch.cat([self.encoder(clip, positions) for clip in each])

    def probabilities(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B C"]:
        """Probabilities of the 174 classes of Something-Something v2."""
        features = self.features(clips)
        with measuring(self.device):
            return torch.cat([self.encoder.head(row).softmax(dim=1) for row in features.split(1)])


def _read_torch(path: Path) -> Any:
    """What `torch.save` wrote; beside tensors and plain values it may hold the flags of a training program."""
    try:
        with torch.serialization.safe_globals([Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path}: not a file of weights, or a damaged one: get the published one again") from error


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights by name, on the CPU.

    Args:
        path: The file; a state dict may stand under the name ``model`` or ``module``.

    Raises:
        InputError: It is no file of weights, or too large a one.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES} bytes: give the published file of weights")
    content = read_tensors(path)[0] if path.suffix == ".safetensors" else _read_torch(path)
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    if not isinstance(content, Mapping) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise InputError(f"{path}: holds other things than tensors: give the published file of weights")
    return dict(content)


def _check_names(path: Path, state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    """Refuses another network, naming what it is first told by."""
    for name, shape in shapes.items():
        if name not in state:
            raise InputError(f"{path}: no weights of the encoder of CD-FVD: {name} is missing")
        if state[name].shape != shape:
            has, wants = list(state[name].shape), list(shape)
            raise InputError(f"{path}: no weights of the encoder of CD-FVD: {name} has shape {has}, not {wants}")
        if not state[name].is_floating_point() or state[name].layout != torch.strided:
            raise InputError(f"{path}: no weights of the encoder of CD-FVD: {name} holds no real numbers")
    if more := sorted(str(name)[:80] for name in state if name not in shapes):
        raise InputError(f"{path}: no weights of the encoder of CD-FVD: it has {more[0]} and {len(more) - 1} more")


def load_videomae(path: Path, sha256: str, device: torch.device, sizes: Sizes = GIANT) -> VideoMAE:
    """The network with the weights in a file.

    Args:
        path: Written by `torch.save` or in the safetensors format; nothing in it is executed.
        sha256: Of the file.
        device: Where the network computes.
        sizes: That the file must have.

    Raises:
        InputError: It is damaged, or holds another network.
    """
    with torch.device("meta"):  # the numbers are those of the file
        encoder = VideoMaeEncoder(sizes)
    state = read_state(path)
    _check_names(path, state, {name: tensor.shape for name, tensor in encoder.state_dict().items()})
    encoder.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    return VideoMAE(encoder.requires_grad_(False).eval().to(device), sha256, device)
