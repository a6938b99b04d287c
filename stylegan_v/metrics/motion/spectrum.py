"""Motion energy by temporal frequency, and how far two such spectra are from each other.

The frames are low-passed to a shorter side of 32 pixels; g(t) = f(t + 1) - f(t) is the change of every pixel from frame
to frame. Segments of 64 values of g (all of them, where there are fewer), each half over the next, lose their mean, are
weighted by a Hann window w and transformed (Welch 1967); the one-sided density, averaged over pixels and segments,

    S(v) = 2 |sum over t of w(t) g(t) exp(-2 pi i v t)|^2 / sum of w^2,        v in cycles per frame, 0 < v <= 1/2,

has the unit (pixels' range)^2 per cycle/frame; its integral is the mean square of g. A frame at the end that fills no
segment is left out. The distance of two spectra is the log-spectral one,

    distance = sqrt(mean over v of (10 log10((S_1(v) + S_0) / (S_2(v) + S_0)))^2),        in dB,

S_0 being the density of a noise of a tenth of a grey level. 0: motion of the same energy at every frequency; 3 dB: it
differs by a factor of 2. What is good is the distance of two halves of the real videos. A still video has tens of dB;
flicker, jerks and jitter show at high frequencies, lacking slow movement at low ones. The spectrum does not know where
in the frame something moves, nor in which direction.

Shape legend
    N, F    clips, frames of a clip
    f       frames of one part of a clip
    H, W    height and width
    K       frequencies
    M       differences of a segment
    D       values of a low-passed frame
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.motion.frames import Clips, each, follow, smaller

WINDOW = 64
_SIDE = 32
_FLOOR = 2 * (0.1 / 255) ** 2


def power_density(g: Float32[Tensor, "M D"]) -> Float64[Tensor, " K"]:
    """S of one segment at frequencies 1/M, 2/M, ... 1/2, averaged over its values."""
    window = torch.hann_window(len(g), dtype=torch.float64, device=g.device)
    amplitudes = torch.fft.rfft((g - g.mean(dim=0)) * window.unsqueeze(1), dim=0)[1:]
    density = 2 * amplitudes.abs().square().mean(dim=1) / window.square().sum()
    if len(g) % 2 == 0:
        density[-1] /= 2  # 1/2 has no mirror image
    return density


class MotionSpectrum:
    """S of one video; a follower.

    Args:
        window: M, at least 4.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.window = window
        self._waiting: Tensor | None = None
        self._total, self._num = torch.zeros(window // 2, dtype=torch.float64), 0

    def add(self, frames: Float[Tensor, "f 3 H W"]) -> None:
        small = smaller(frames, _SIDE).flatten(1)
        waiting = small if self._waiting is None else torch.cat([self._waiting, small])
        while len(waiting) > self.window:
            self._total += power_density(waiting[: self.window + 1].diff(dim=0)).cpu()
            self._num += 1
            waiting = waiting[self.window // 2 :]
        self._waiting = waiting

    def result(self) -> Float64[np.ndarray, " K"]:
        """At `frequencies`; nan where there were too few frames for one segment."""
        return (self._total / self._num).numpy() if self._num else np.full(self.window // 2, np.nan)


def frequencies(window: int = WINDOW) -> Float64[np.ndarray, " K"]:
    """Those of a spectrum, cycles per frame."""
    return np.arange(1, window // 2 + 1) / window


def spectrum_distance(first: Float64[np.ndarray, " K"], second: Float64[np.ndarray, " K"]) -> float:
    """Root mean square of the difference of two spectra, in dB.

    Args:
        first: S at `frequencies`.
        second: Likewise.
    """
    decibels = 10 * np.log10((first + _FLOOR) / (second + _FLOOR))
    return float(np.sqrt(np.mean(decibels**2)))


def motion_spectrum(clips: Clips, window: int = WINDOW, *, chunk: int = 32) -> Float64[np.ndarray, "N K"]:
    """S of each clip; see the head of the file.

    Args:
        clips: Bytes, or floats in [-1, 1].
        window: Differences of a segment; one less than the frames of a clip, where that is less.
        chunk: Frames looked at together; does not change the result.

    Raises:
        InputError: A segment is shorter than 4 frame differences.
    """
    window = fitting_window(clips.shape[1], window)
    return np.stack([follow(MotionSpectrum(window), clip, chunk) for clip in each(clips)])


def fitting_window(num_frames: int, window: int = WINDOW) -> int:
    """The length of the segments for videos of ``num_frames`` frames.

    Raises:
        InputError: It is less than 4.
    """
    if min(window, num_frames - 1) < 4:
        raise InputError(f"num_frames, window: {num_frames} frames have no segment of 4 differences: give more")
    return min(window, num_frames - 1)
