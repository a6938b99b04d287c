"""What is measured of enlarged clips: distances on fixed random features, spectra, and how well they can be shifted.

Shape legend
    N       clips
    T       frames of a clip
    H, W    height and width
    K       radial frequencies
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from stylegan_v.metrics.detectors.table import load_detector
from stylegan_v.metrics.frechet import frechet_distance
from stylegan_v.metrics.kernel import kernel_distance

DETECTORS = ("random_2d", "random_3d")
_LOBES = 6  # of the windowed sinc that shifts pictures
_FRAMES_PER_CLIP = 2  # of which image features are taken, so that there are not many of the same picture


class Summary:
    """Features and mean spectrum of clips, taken in a few at a time."""

    def __init__(self) -> None:
        self.detectors = {name: load_detector(name) for name in DETECTORS}
        self.features: dict[str, list[Tensor]] = {name: [] for name in DETECTORS}
        self.power, self.num_frames = torch.zeros(0), 0

    def take(self, clips: UInt8[Tensor, "n T 3 H W"]) -> None:
        """More clips."""
        ends = clips[:, :: max(1, clips.shape[1] - 1)][:, :_FRAMES_PER_CLIP]
        for name, detector in self.detectors.items():
            self.features[name].append(detector.features(clips if name == "random_3d" else ends).cpu())
        power = radial_power(clips.flatten(0, 1).float() / 127.5 - 1).sum(dim=0)
        self.power = power if not self.num_frames else self.power + power
        self.num_frames += clips.shape[0] * clips.shape[1]

    @staticmethod
    def of(groups: Iterable[UInt8[Tensor, "n T 3 H W"]]) -> Summary:
        """Of all clips of an iterable."""
        made = Summary()
        for clips in groups:
            made.take(clips)
        return made


def radial_power(frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N K"]:
    """Mean power of the colours at each radial frequency, from 1 to half the side, in cycles per frame.

    A Hann window keeps the edges of frames from passing for detail.

    Args:
        frames: Square ones.
    """
    side = frames.shape[-1]
    window = torch.hann_window(side, periodic=True)
    centred = (frames - frames.mean(dim=(2, 3), keepdim=True)) * window * window[:, None]
    power = torch.fft.fft2(centred).abs().square().mean(dim=1)
    y = torch.fft.fftfreq(side, 1 / side)
    radius = (y[:, None].square() + y.square()).sqrt().round().long()
    rings = torch.stack([power[:, radius == k].mean(dim=1) for k in range(1, side // 2 + 1)], dim=1)
    return rings


def spectrum_error(found: Summary, true: Summary, beyond: int = 0) -> float:
    """Root mean square difference of the mean power spectra, in dB.

    Args:
        found: Of generated clips.
        true: Of true ones.
        beyond: Frequencies up to this one are left out.
    """
    level = [10 * (one.power / one.num_frames).log10()[beyond:] for one in (found, true)]
    return float((level[0] - level[1]).square().mean().sqrt())


def scores(found: Summary, true: Summary) -> dict[str, float]:
    """All figures of generated clips beside true ones; lower is better."""
    native = len(true.power) // 2
    made = {
        "spectrum_db": spectrum_error(found, true),
        "spectrum_beyond_native_db": spectrum_error(found, true, native),
    }
    for name in DETECTORS:
        features = torch.cat(found.features[name]), torch.cat(true.features[name])
        made[f"{name}/kernel"] = float(kernel_distance(*features))
        made[f"{name}/frechet"] = float(frechet_distance(*features))
    return made


def shifted(frames: Float[Tensor, "N 3 H W"], shift: tuple[float, float]) -> Float[Tensor, "N 3 H W"]:
    """Frames as a grid that is moved by ``shift`` (y, x) pixels sees them, by a windowed sinc."""
    for axis, moved in zip((2, 3), shift, strict=True):
        side = frames.shape[axis]
        distance = np.arange(side) - (np.arange(side) + moved)[:, None]
        kernel = np.sinc(distance) * np.sinc(distance / _LOBES) * (np.abs(distance) < _LOBES)
        matrix = torch.from_numpy((kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32))
        frames = torch.einsum("ij,...j->...i", matrix, frames.movedim(axis, -1)).movedim(-1, axis)
    return frames


def shift_consistency(look: Callable[[tuple[float, float]], Tensor], shifts: Iterable[float]) -> dict[str, float]:
    """PSNR, dB, between frames on a moved grid and the frames moved, away from the borders, for each shift.

    Args:
        look: Frames [N, 3, H, W] in [-1, 1] on a grid that is moved by (y, x) pixels.
        shifts: In pixels, along both axes.
    """
    still, inner = look((0.0, 0.0)), slice(_LOBES + 1, -_LOBES - 1)
    found = {}
    for shift in shifts:
        difference = look((shift, shift)) - shifted(still, (shift, shift))
        error = float(difference[..., inner, inner].square().mean())
        found[f"{shift:g}"] = 10 * math.log10(4 / max(error, 1e-12))
    return found
