"""A small network that was trained by `stylegan_v.metrics.train_detector` to tell what synthetic clips show.

It is asked for appearance and for motion at once (see `stylegan_v.metrics.factors`), from the same features, by linear
heads: so the features hold both. Convolutions in space and in time alternate ("R(2+1)D", Tran et al., CVPR 2018) but
for the first one, which sees both so that motion is told from pixels; its taps are two frames apart, because sprites
move by less than a pixel per frame. In time nothing is padded: every feature is that of a window of the clip, and a
longer clip has more windows.

Shape legend
    B, T    clips, frames of a clip
    t       windows of a clip
    D       feature dimension
    K       kinds of clips: shapes times directions
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange, reduce
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from errors import InputError
from stylegan_v.checkpoints import replacing
from stylegan_v.metrics.detectors.interface import NOT_COMPARABLE, check_clips, measuring
from stylegan_v.noise import AddressedRandom
from stylegan_v.weights import read_tensors, write_tensors

FORMAT, VERSION = "stylegan_v.factors", 1  # another architecture or other factors: another version
FRAME_SIZE, NUM_FRAMES = 32, 16  # of the clips that it is trained on
# What is told of a clip, and how many numbers that takes. Classes are told as probabilities, the others as values.
CLASSES = {"shape": 4, "direction": 8, "order": 4, "count": 2}
VALUES = {
    "position": 4,
    "velocity": 2,
    "speed": 1,
    "pace": 1,
    "spin": 1,
    "size": 1,
    "colour": 3,
    "background": 3,
    "scroll": 2,
}
# Of the first filters: pixels, radians from tap to tap (0.6 pixels per frame), pixels.
_WAVELENGTH, _ADVANCE, _REACH = 6.0, 1.26, 1.5
_MAX_FILE_BYTES = 16_000_000  # ours has 1.1 MB
_GROUP = 16  # clips that are looked at together
_REMEDY = "train one with: python -m stylegan_v.metrics.train_detector"


class Convolution(nn.Sequential):
    """Convolution in space and time, batch normalisation, ReLU; not padded in time, and in space as on a torus.

    Scenes of training live on a torus: with zeros around the frames, shapes are cut at the border and are learned late.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        kernel: Frames, rows and columns of the filters.
        stride: In frames, rows and columns.
        spacing: Frames from one tap of the filters to the next.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int] = (1, 1, 1),
        spacing: int = 1,
    ) -> None:
        padding = (0, kernel[1] // 2, kernel[2] // 2)
        super().__init__(
            nn.Conv3d(
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
                (spacing, 1, 1),
                bias=False,
                padding_mode="circular",
            ),
            nn.BatchNorm3d(out_channels),
            nn.ReLU(),
        )


class FactorNetwork(nn.Module):
    """Clips to features, and features to what is told of a clip.

    Args:
        width: Channels of the first layer.
        feature_dim: D.

    Attributes:
        min_frames: The frames that one window sees.
    """

    min_frames = 9

    def __init__(self, width: int = 24, feature_dim: int = 128) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.stem = Convolution(3, width, (3, 5, 5), (1, 2, 2), spacing=2)
        self.trunk = nn.Sequential(
            Convolution(width, 2 * width, (1, 3, 3), (1, 2, 2)),
            Convolution(2 * width, 2 * width, (3, 1, 1)),
            Convolution(2 * width, 2 * width, (1, 3, 3)),
            Convolution(2 * width, 4 * width, (1, 3, 3), (1, 2, 2)),
            Convolution(4 * width, 4 * width, (3, 1, 1), (2, 1, 1)),
            Convolution(4 * width, 4 * width, (1, 3, 3)),
        )
        # What there is, wherever it is; and a weight for each place, so that features know where things are.
        self.places = Convolution(4 * width, 16, (1, 1, 1))
        self.gather = nn.Linear(5 * width + 16 * (FRAME_SIZE // 8) ** 2, feature_dim)
        self.heads = nn.Linear(feature_dim, sum(CLASSES.values()) + sum(VALUES.values()))

    def features(self, clips: Float32[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B D"]:
        """Means over the windows of clips in [-1, 1], whose frames are 32x32 pixels."""
        first = self.stem(rearrange(clips, "B T C H W -> B C T H W"))
        last = self.trunk(first)

        # The means of the first layer tell motion by themselves; 5 of its moments make a window.
        moving = F.avg_pool1d(reduce(first, "B C T H W -> B C T", "mean"), 5, 2)
        anywhere = torch.cat([moving, reduce(last, "B C t H W -> B C t", "mean")], dim=1)
        somewhere = rearrange(self.places(last), "B C t H W -> B (C H W) t")

        windows = rearrange(torch.cat([anywhere, somewhere], dim=1), "B C t -> B t C")
        return F.relu(self.gather(windows)).mean(dim=1)

    def tell(self, features: Float32[Tensor, "B D"]) -> dict[str, Tensor]:
        """What features say of each factor: logits of classes, values in units of their usual spread."""
        widths = {**CLASSES, **VALUES}
        return dict(zip(widths, self.heads(features).split(list(widths.values()), dim=1), strict=True))

    def forward(self, clips: Float32[Tensor, "B T 3 H W"]) -> dict[str, Tensor]:
        return self.tell(self.features(clips))

    def weights(self) -> dict[str, Tensor]:
        """All that a file must hold: parameters and running moments."""
        return {name: value for name, value in self.state_dict().items() if not name.endswith("num_batches_tracked")}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Takes over what `weights` gave."""
        with torch.no_grad():
            for name, value in self.weights().items():
                value.copy_(weights[name])


def initialized(seed: int) -> FactorNetwork:
    """A network before training, a function of ``seed`` alone (He et al. 2015, eq. 10).

    Half of the first filters begin as waves that drift: random ones hardly tell directions apart, and learn it late.
    """
    network = FactorNetwork()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if value.ndim > 1:
                draws = AddressedRandom(seed, 0, "factor network", torch.arange(len(value)))
                value.copy_(draws.normal(name, *value.shape[1:]) * math.sqrt(2 / value[0].numel()))
            elif name.endswith("bias"):
                value.zero_()
        network.stem[0].weight[::2] = drifting_waves(seed, len(network.stem[0].weight[::2]))
    return network


def drifting_waves(seed: int, num: int) -> Float32[Tensor, "num 3 3 5 5"]:
    """Filters oriented in space and time (Adelson and Bergen 1985), blind to what stands still.

    Args:
        seed: Of their colours and phases.
        num: How many; their directions are spread evenly.
    """
    draws = AddressedRandom(seed, 0, "drifting waves", torch.arange(num))
    direction = 2 * math.pi * torch.arange(num) / num
    y, x = torch.meshgrid(torch.arange(5.0) - 2, torch.arange(5.0) - 2, indexing="ij")
    along = torch.sin(direction)[:, None, None] * y + torch.cos(direction)[:, None, None] * x
    advance = _ADVANCE * (torch.arange(3.0) - 1)[:, None, None]
    phase = 2 * math.pi * draws.uniform("phase").float()
    waves = torch.cos(2 * math.pi / _WAVELENGTH * along[:, None] - advance + phase[:, None, None, None])
    waves = (waves - waves.mean(dim=1, keepdim=True)) * torch.exp(-(x * x + y * y) / (2 * _REACH**2))
    filters = draws.normal("colour", 3)[:, :, None, None, None] * waves[:, None]
    return filters * math.sqrt(2) / filters.flatten(1).norm(dim=1)[:, None, None, None, None]


def as_input(clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B T 3 h w"]:
    """Clips of bytes in [-1, 1] at 32x32 pixels, box-like filtered where they were larger."""
    x = clips.float() / 127.5 - 1
    if x.shape[3:] == (FRAME_SIZE, FRAME_SIZE):
        return x
    frames = F.interpolate(x.flatten(0, 1), (FRAME_SIZE, FRAME_SIZE), mode="bilinear", antialias=True)
    return frames.unflatten(0, x.shape[:2])


class FactorDetector:
    """The trained network as a detector of features.

    Args:
        network: With its weights.
        digest: The sha256 of the file that they come from.
        facts: What the file says of its training.
    """

    name = "factors"
    caveat = NOT_COMPARABLE
    unit: Literal["clip", "frame"] = "clip"
    min_frames = FactorNetwork.min_frames

    def __init__(self, network: FactorNetwork, digest: str, facts: Mapping[str, Any]) -> None:
        self.network, self.digest, self.facts = network.eval().requires_grad_(False), digest, dict(facts)

    def to(self, device: torch.device | str) -> FactorDetector:
        """Itself, moved to ``device``."""
        self.network.to(device)
        return self

    def features(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B D"]:
        """Features of clips of any size, of ``min_frames`` frames or more."""
        check_clips(self.name, clips, self.min_frames)
        device = self.network.heads.weight.device
        with measuring(device):
            return torch.cat([self.network.features(as_input(group.to(device))) for group in clips.split(_GROUP)])

    def probabilities(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "B K"]:
        """How likely each kind is, a shape that moves in a direction: shape by shape, these being independent."""
        features = self.features(clips)
        with measuring(features.device):
            told = self.network.tell(features)
            shapes, directions = told["shape"].softmax(dim=1), told["direction"].softmax(dim=1)
            return rearrange(shapes.unsqueeze(2) * directions.unsqueeze(1), "B shape direction -> B (shape direction)")


def write_factors(path: Path, network: FactorNetwork, facts: Mapping[str, Any]) -> None:
    """Saves a network; whoever reads ``path`` finds the old file or the new one.

    Args:
        path: The final name; the folder must exist.
        network: With its weights.
        facts: Plain values: how it was trained, and what it reached.
    """
    metadata = {"format": FORMAT, "facts": json.dumps({"version": VERSION, **facts})}
    with replacing(path) as file:
        write_tensors(file, network.weights(), metadata)


def load_factors(path: str | Path, sha256: str, device: torch.device | str = "cpu") -> FactorDetector:
    """The detector that a file holds; nothing in it is executed.

    Args:
        path: A .safetensors file that `write_factors` made.
        sha256: Of that file; it becomes the detector's digest.
        device: Where features are computed.

    Raises:
        InputError: It is no such file.
    """
    path = Path(path)
    tensors, facts = read_factors(path, FORMAT)
    network = FactorNetwork()
    check_tensors(network.weights(), tensors, path)
    network.load_weights(tensors)
    return FactorDetector(network, sha256, facts).to(device)


def read_factors(path: Path, form: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the facts of a file of this module.

    Args:
        path: The file.
        form: The format that its metadata must name.

    Raises:
        InputError: It is no such file, or one of another version.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file: {_REMEDY}")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise InputError(f"{path}: too large for a network of factors: {_REMEDY}")
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != form:
        raise InputError(f"{path}: holds something else than a network of factors: {_REMEDY}")
    try:
        facts = json.loads(metadata.get("facts", ""))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its metadata are damaged: {_REMEDY}") from error
    if not isinstance(facts, dict) or facts.get("version") != VERSION:
        raise InputError(f"{path}: is not of version {VERSION}: {_REMEDY}")
    return tensors, facts


def check_tensors(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    """Compares names, shapes and kinds of tensors with those of the network at hand.

    Raises:
        InputError: They differ, or a number is not finite; the message names the first such tensor.
    """
    for name in [*expected, *found]:
        here, there = (
            f"{side[name].dtype} {list(side[name].shape)}" if name in side else "missing" for side in (expected, found)
        )
        if here != there:
            raise InputError(f"{path}: {name[:80]} is {there} there and {here} here: {_REMEDY}")
        if not found[name].isfinite().all():
            raise InputError(f"{path}: {name} has numbers that are not finite: {_REMEDY}")
