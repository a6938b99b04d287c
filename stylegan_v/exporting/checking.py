"""Whether a file draws what PyTorch draws: the same videos, at early, fractional and late times."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from stylegan_v.exporting.formats import Run
from stylegan_v.exporting.inputs import Take, draw_inputs
from stylegan_v.networks import Generator, MotionEncoder
from stylegan_v.rendering import draw_latents, render_float

TOLERANCE = 1e-4  # of frames in [-1, 1]; a byte is 8e-3
_LATE, _VERY_LATE = 1000.5, 1e7 + 0.25


def checked_times(generator: Generator) -> list[float]:
    """The beginning, a moment between whole frames beyond the first motion code, a late one and a very late one."""
    motion = generator.synthesis.motion
    distance = motion.distance if isinstance(motion, MotionEncoder) else 1
    return [0.0, 1.25 * distance + 0.3, _LATE, _VERY_LATE]


def largest_difference(run: Run, generator: Generator, take: Take) -> float:
    """The largest difference of a value of a frame between a file and PyTorch's own sampling.

    Two seeds: two videos at several times at once, then one nearer to the mean, at each time by itself, so that the
    numbers of videos and frames and the window of motion noise change from call to call.

    Args:
        run: The file as a function.
        generator: What was exported.
        take: Whether the file starts from content noise or from styles.
    """
    *near, _ = times = checked_times(generator)
    together = _difference(run, generator, take, 0, range(2), near, truncation_psi=1.0)
    alone = [_difference(run, generator, take, 1, [0], [time], truncation_psi=0.7) for time in times]
    return torch.tensor([together, *alone]).max().item()  # of torch, as it passes no nan over


def _difference(
    run: Run,
    generator: Generator,
    take: Take,
    seed: int,
    videos: Sequence[int],
    times: Sequence[float],
    *,
    truncation_psi: float,
) -> float:
    t = torch.tensor(times, dtype=torch.float64)
    found = run(draw_inputs(generator, take, seed, videos, t, truncation_psi=truncation_psi))
    latents = draw_latents(generator, seed, videos, truncation_psi=truncation_psi)
    expected = torch.cat(list(render_float(generator, latents, t)), dim=1)
    return (found - expected).abs().max().item()
