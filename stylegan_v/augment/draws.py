"""All random numbers of the pipe, drawn at once for every image, whatever is switched on."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stylegan_v.augment.settings import Settings
from stylegan_v.noise import RandomSource

# Columns of the three draws, ("augment/applied", "augment/uniform", "augment/normal"). New ones go to the end, so that
# the others keep their numbers.
_BANDS = ("imgfilter0", "imgfilter1", "imgfilter2", "imgfilter3")
_GEOMETRY = ("xflip", "rotate90", "xint", "scale", "rotate_before", "aniso", "rotate_after", "xfrac")
_COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")
APPLIED = (*_GEOMETRY, *_COLOUR, *_BANDS, "noise", "cutout")
UNIFORM = (
    *("xflip", "rotate90", "xint_x", "xint_y", "rotate_before", "rotate_after"),
    *("lumaflip", "hue", "cutout_x", "cutout_y"),
)
NORMAL = ("scale", "aniso", "xfrac_x", "xfrac_y", "brightness", "contrast", "saturation", *_BANDS, "noise")


class Draws:
    """The random numbers of each image by name, and whether each transform acts on it; every entry float64 [N].

    They are on the host: so few numbers are worth no launches, and which way an image is warped is decided there, which
    would otherwise wait for the device.

    Args:
        settings: Decides how often each transform acts.
        p: Probability that the multipliers refer to.
        random: Where the numbers come from.
        frames: Leading axes of the draws beside the clip: () for one transform per clip, (T,) for one per frame.
    """

    def __init__(self, settings: Settings, p: float, random: RandomSource, frames: tuple[int, ...] = ()) -> None:
        chance = _columns(APPLIED, random.uniform("augment/applied", *frames, len(APPLIED)).cpu())
        odds = _odds(settings, p)
        self.applied = {name: (chance[name] < odds[name]).double() for name in APPLIED}
        self.uniform = _columns(UNIFORM, random.uniform("augment/uniform", *frames, len(UNIFORM)).cpu())
        self.normal = _columns(NORMAL, random.normal("augment/normal", *frames, len(NORMAL)).cpu().double())

    def gaussian(self, name: str, transform: str | None = None) -> Float[Tensor, " N"]:
        """A standard normal draw, 0 where its transform does not act."""
        return self.normal[name] * self.applied[transform or name]

    def centred(self, name: str, transform: str | None = None) -> Float[Tensor, " N"]:
        """A uniform draw in [-1, 1), 0 where its transform does not act."""
        return (2 * self.uniform[name] - 1) * self.applied[transform or name]

    def whole(self, name: str, count: int) -> Float[Tensor, " N"]:
        """A whole number, uniform in 0 .. count - 1, 0 where the transform does not act."""
        return torch.floor(count * self.uniform[name]) * self.applied[name]


def _odds(settings: Settings, p: float) -> dict[str, float]:
    # Two rotations that act with probability 1 - sqrt(1 - p) each leave an image unturned with probability 1 - p.
    rotate = 1 - math.sqrt(max(1 - settings.rotate * p, 0.0))
    bands = [settings.imgfilter * band for band in settings.imgfilter_bands]
    multipliers = {**vars(settings), **dict(zip(_BANDS, bands, strict=True))}
    odds = {name: multipliers[name] * p for name in APPLIED if not name.startswith("rotate_")}
    return {**odds, "rotate_before": rotate, "rotate_after": rotate}


def _columns(names: tuple[str, ...], draws: Float[Tensor, "... K"]) -> dict[str, Float[Tensor, " N"]]:
    return dict(zip(names, draws.reshape(-1, len(names)).unbind(dim=1), strict=True))
