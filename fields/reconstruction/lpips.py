"""LPIPS v0.1 per frame: distance between features of a network trained on ImageNet (Zhang et al. 2018).

The linear layers come with torchmetrics; the backbone's weights come from a file, and nothing is fetched unasked.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from errors import InputError
from fields.reconstruction.frames import full_precision
from weight_files import WeightFile, locate

Backbone = Literal["alex", "vgg", "squeeze"]

_FILES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth", "squeeze": "squeezenet1_1-b8a52dc0.pth"}
_FOLDER = "https://download.pytorch.org/models"
_NUM_DIGITS = 8
MIN_SIZE = {"alex": 31, "vgg": 16, "squeeze": 17}  # below it a layer of the backbone has no output


def weight_file(net: Backbone) -> WeightFile:
    """The file of a backbone's weights, whose name ends in the first digits of its sha256."""
    return WeightFile(
        name="lpips_weights",
        file=_FILES[net],
        page=f"{_FOLDER}/{_FILES[net]}",
        licence="BSD-3-Clause",
        sha256=_FILES[net].removesuffix(".pth")[-_NUM_DIGITS:],
        url=f"{_FOLDER}/{_FILES[net]}",
        about=f"torchvision's {_FILES[net].split('-')[0]} of ImageNet, the backbone of LPIPS {net}",
    )


def load_lpips(net: str = "alex", path: str | Path | None = None, cache_dir: str | Path | None = None) -> Lpips:
    """LPIPS with the weights of a file.

    Args:
        net: The backbone; figures of different ones cannot be compared.
        path: The file. None: the one of torchvision's name in ``cache_dir``.
        cache_dir: None: stylegan_v/weights in $XDG_CACHE_HOME or ~/.cache.

    Raises:
        MissingWeights: The file is not there.
        InputError: It is not the published one, or holds no such weights.
    """
    if net not in get_args(Backbone):
        raise InputError(f"lpips_net: {net}: give one of {', '.join(get_args(Backbone))}")
    found = locate(weight_file(net), path, cache_dir)
    return Lpips(net, read_weights(found.path), found.sha256)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file; nothing in it is run.

    Raises:
        InputError: It is not a file of tensors by name.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises for a broken file has many types
        raise InputError(f"{path}: not a file of weights ({type(error).__name__}): download it again") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{path}: not a file of tensors by name: give torchvision's file")
    return weights


class Lpips:
    """LPIPS v0.1 of frames, without resizing them.

    Args:
        net: The backbone.
        weights: Of torchvision's model of that name; its classifier is not asked.
        sha256: Of the file they are from, to be stated with results.

    Raises:
        InputError: Weights are missing or of other shapes.
    """

    def __init__(self, net: Backbone, weights: Mapping[str, Tensor], sha256: str) -> None:
        import torchvision_guard  # noqa: F401, I001  (before torchmetrics)
        from torchmetrics.functional.image.lpips import _NoTrainLpips

        with torch.random.fork_rng(devices=[]):  # the backbone is drawn at random before its weights come
            self.network = _NoTrainLpips(net=net, pnet_rand=True)
        _load_backbone(self.network.net, weights, net)
        self.net = net
        self.convention = f"LPIPS v0.1, {net}, frames at their own size; backbone sha256 {sha256}"

    def to(self, device: torch.device | str) -> Lpips:
        """The same, computed on ``device``."""
        self.network.to(device)
        return self

    def __call__(self, result: Float[Tensor, "F 3 H W"], reference: Float[Tensor, "F 3 H W"]) -> Float64[Tensor, " F"]:
        """LPIPS of every frame, 0 for equal ones.

        Args:
            result: In [0, 1].
            reference: In [0, 1].

        Raises:
            InputError: Frames are too small for the backbone.
        """
        height, width = result.shape[-2:]
        if min(height, width) < MIN_SIZE[self.net]:
            raise InputError(
                f"lpips: frames of {height}x{width} are too small: {self.net} needs {MIN_SIZE[self.net]} pixels on "
                "each side"
            )
        # A frame at a time: features take a hundred times its memory, and no other frame changes its last digits.
        pairs = zip(result.float().split(1), reference.float().split(1), strict=True)
        with full_precision(result.device):
            values = [self.network(one, other, normalize=True).flatten() for one, other in pairs]
        return torch.cat(values).double() if values else result.new_zeros(0, dtype=torch.float64)


def _load_backbone(backbone: nn.Module, weights: Mapping[str, Tensor], net: Backbone) -> None:
    """Fills a backbone, which is cut into slices, from torchvision's model by the numbers of its layers."""
    wanted = {name: re.sub(r"^slices?\.?\d+\.", "features.", name) for name in backbone.state_dict()}
    missing = sorted(set(wanted.values()) - set(weights))
    if missing:
        raise InputError(f"weights of {net}: {missing[0]} is missing: give torchvision's {_FILES[net]}")
    try:
        backbone.load_state_dict({name: weights[source] for name, source in wanted.items()})
    except RuntimeError as error:
        raise InputError(f"weights of {net}: other shapes than those of torchvision's {_FILES[net]}") from error
