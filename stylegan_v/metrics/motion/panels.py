"""Which curves are shown of generated and of real videos, and how they are read from what was seen.

Shape legend
    n, m    points of a curve, before and after thinning
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from einops import reduce
from jaxtyping import Float

from stylegan_v.metrics.motion.figures import mean_spectrum
from stylegan_v.metrics.motion.knots import phase_profile
from stylegan_v.metrics.motion.picture import Curve, Panel
from stylegan_v.metrics.motion.recurrence import GAP
from stylegan_v.metrics.motion.spectrum import fitting_window, frequencies
from stylegan_v.metrics.motion.watch import VideoMotion

Videos = Sequence[VideoMotion]
Points = tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]
_MOST_POINTS = 512
_FEWEST_PLACES = 4  # between two knots
_LEAST_DENSITY = 1e-12  # of a still video


def panels(fake: Videos, real: Videos, *, distance: float | None) -> list[Panel]:
    """The curves of both kinds, where they can be told.

    Args:
        fake: Generated.
        real: Real, of the same number of frames.
        distance: Between two knots, frames; None where it is not known.
    """
    num_frames = len(fake[0].times)
    found = [
        _panel("drift: distance to the first frames", "lag, frames", fake, real, _drift),
        _panel("motion energy, dB", "cycles per frame", fake, real, _spectrum),
    ]
    if num_frames > GAP + 2:
        title = f"recurrence: nearest frame more than {GAP} back"
        found.append(_panel(title, "time, frames", fake, real, _recurrence))
    whole = all(float(time).is_integer() for time in (distance or 0.5, fake[0].times[0]))
    if whole and _FEWEST_PLACES <= distance <= num_frames // 2:
        title = "second difference between knots, over its mean"
        found.append(_panel(title, "frames after a knot", fake, real, lambda videos: _profile(videos, int(distance))))
    return found


def _panel(title: str, x: str, fake: Videos, real: Videos, points: Callable[[Videos], Points]) -> Panel:
    return Panel(title, x, [Curve(label, *thinned(*points(v))) for label, v in (("fake", fake), ("real", real))])


def _drift(videos: Videos) -> Points:
    curve = np.mean([video.drift for video in videos], axis=0)
    return np.arange(len(curve), dtype=np.float64), curve


def _spectrum(videos: Videos) -> Points:
    density = mean_spectrum(videos).clip(min=_LEAST_DENSITY)
    return frequencies(fitting_window(len(videos[0].times))), 10 * np.log10(density)


def _recurrence(videos: Videos) -> Points:
    curve = np.mean([video.recurrence.relative for video in videos], axis=0)
    return np.arange(GAP + 1, len(curve), dtype=np.float64), curve[GAP + 1 :]


def _profile(videos: Videos, distance: int) -> Points:
    bends, times = (np.stack([getattr(video, name) for video in videos]) for name in ("bend", "times"))
    return np.arange(distance, dtype=np.float64), phase_profile(bends, times, distance)


def thinned(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """At most 512 points of a curve: means of as many neighbours as that takes; a rest at the end is left out."""
    width = -(-len(x) // _MOST_POINTS)
    whole = len(x) - len(x) % width
    return tuple(reduce(values[:whole], "(m width) -> m", "mean", width=width) for values in (x, y))
