"""Which transforms a pipe applies and how strongly: one record, and named ones to start from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from errors import InputError


@dataclass(frozen=True)
class Settings:
    """Multipliers and strengths of all transforms, in the order in which they act (ADA, appendix B).

    A multiplier times the pipe's probability p is the chance that a transform acts on a clip; 0 switches it off.
    Lengths are fractions of the frame, n is a standard normal draw, U a uniform one.

    Args:
        xflip: Multiplier of the mirror image (half of the times it acts).
        rotate90: Multiplier of quarter turns (a uniform number of them; half turns only where frames are not square).
        xint: Multiplier of translation by whole pixels.
        scale: Multiplier of isotropic scaling.
        rotate: Multiplier of rotation; it may act both before and after ``aniso``.
        aniso: Multiplier of anisotropic scaling.
        xfrac: Multiplier of translation by fractions of a pixel.
        brightness: Multiplier of brightness.
        contrast: Multiplier of contrast.
        lumaflip: Multiplier of turning light to dark, hue kept (half of the times it acts).
        hue: Multiplier of hue rotation.
        saturation: Multiplier of saturation.
        imgfilter: Multiplier of band-wise filtering.
        noise: Multiplier of additive noise, independent in every frame.
        cutout: Multiplier of setting a rectangle to zero.
        xint_max: Whole-pixel translation is U(-xint_max, xint_max), rounded to pixels.
        scale_std: Isotropic scale is 2^(scale_std n).
        rotate_max: Angles are U(-1, 1) * rotate_max * 180 degrees.
        aniso_std: The scales are s in x and 1/s in y, s = 2^(aniso_std n).
        xfrac_std: Fractional translation is xfrac_std n.
        brightness_std: Brightness adds brightness_std n.
        contrast_std: Contrast multiplies by 2^(contrast_std n).
        hue_max: Hue turns by U(-1, 1) * hue_max * 180 degrees.
        saturation_std: Chroma is multiplied by 2^(saturation_std n).
        imgfilter_bands: Further multipliers of the four octave bands, lowest frequencies first.
        imgfilter_std: A band is amplified by 2^(imgfilter_std n), expected power kept.
        noise_std: Noise has standard deviation |n| noise_std.
        cutout_size: Sides of the rectangle as fractions of the frame's.
    """

    xflip: float = 0.0
    rotate90: float = 0.0
    xint: float = 0.0
    scale: float = 0.0
    rotate: float = 0.0
    aniso: float = 0.0
    xfrac: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    lumaflip: float = 0.0
    hue: float = 0.0
    saturation: float = 0.0
    imgfilter: float = 0.0
    noise: float = 0.0
    cutout: float = 0.0
    xint_max: float = 0.125
    scale_std: float = 0.2
    rotate_max: float = 1.0
    aniso_std: float = 0.2
    xfrac_std: float = 0.125
    brightness_std: float = 0.2
    contrast_std: float = 0.5
    hue_max: float = 1.0
    saturation_std: float = 1.0
    imgfilter_bands: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    imgfilter_std: float = 1.0
    noise_std: float = 0.1
    cutout_size: float = 0.5

    @property
    def geometric(self) -> bool:
        """Whether any transform moves pixels."""
        return any((self.xflip, self.rotate90, self.xint, self.scale, self.rotate, self.aniso, self.xfrac))

    @property
    def colouring(self) -> bool:
        """Whether any transform mixes colours."""
        return any((self.brightness, self.contrast, self.lumaflip, self.hue, self.saturation))


_BLIT = {"xflip": 1, "rotate90": 1, "xint": 1}
_GEOM = {"scale": 1, "rotate": 1, "aniso": 1, "xfrac": 1}
_COLOR = {"brightness": 1, "contrast": 1, "lumaflip": 1, "hue": 1, "saturation": 1}
_FILTER, _NOISE, _CUTOUT = {"imgfilter": 1}, {"noise": 1}, {"cutout": 1}
_BGC = {**_BLIT, **_GEOM, **_COLOR}

PRESETS: dict[str, dict[str, float]] = {
    "none": {},
    "blit": _BLIT,
    "geom": _GEOM,
    "color": _COLOR,
    "filter": _FILTER,
    "noise": _NOISE,
    "cutout": _CUTOUT,
    "bg": {**_BLIT, **_GEOM},
    "bgc": _BGC,
    "bgcf": {**_BGC, **_FILTER},
    "bgcfn": {**_BGC, **_FILTER, **_NOISE},
    "bgcfnc": {**_BGC, **_FILTER, **_NOISE, **_CUTOUT},
    "bgc_norgb": {**_BLIT, **_GEOM, **_CUTOUT},
    "easy": {
        **{"xflip": 1, "xint": 1, "scale": 1, "rotate": 0.5, "xfrac": 1, "noise": 0.1, "cutout": 1},
        **{"rotate_max": 0.1, "cutout_size": 0.25},
    },
    # Motion with a direction, or an up and a down: mirror images and quarter turns would leak into the samples.
    "directed": {**_BGC, "xflip": 0, "rotate90": 0},
    # Faces: symmetric, but never upside down nor in negative; skin keeps to plausible hues.
    "faces": {**_BGC, "rotate90": 0, "lumaflip": 0, "rotate_max": 0.1, "hue_max": 0.1},
}


def resolve(preset: str, overrides: Mapping[str, float | Sequence[float]]) -> Settings:
    """The settings of a preset with single members replaced.

    Args:
        preset: A key of `PRESETS`.
        overrides: Members of `Settings` that differ from the preset.

    Raises:
        InputError: The preset or a member is unknown, or a value cannot be used.
    """
    if preset not in PRESETS:
        raise InputError(f"augment preset '{preset}' is unknown: choose one of {', '.join(PRESETS)}")
    known = {field.name for field in dataclasses.fields(Settings)}
    if unknown := sorted(set(overrides) - known):
        raise InputError(f"augment override '{unknown[0]}' is unknown: choose among {', '.join(sorted(known))}")
    members = {**PRESETS[preset], **overrides}
    for name, value in members.items():
        _check(name, value)
    if "imgfilter_bands" in members:
        members["imgfilter_bands"] = tuple(members["imgfilter_bands"])
    return Settings(**members)


def _check(name: str, value: float | Sequence[float]) -> None:
    wanted = 4 if name == "imgfilter_bands" else 1
    numbers = [value] if isinstance(value, (int, float)) else list(value)
    scalar = isinstance(value, (int, float)) == (wanted == 1)
    if not scalar or len(numbers) != wanted or not all(0 <= number < math.inf for number in numbers):
        raise InputError(
            f"augment override '{name}' is {value}: give {wanted} number{'s' * (wanted > 1)} of at least 0"
        )
