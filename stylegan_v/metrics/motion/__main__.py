"""The command ``python -m stylegan_v.metrics.motion``.

Heavy packages are imported where they are used, so that `--help` answers at once.
"""

import math
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, Literal

from jsonargparse import DefaultHelpFormatter, auto_cli

from command_line import Parser
from errors import InputError, clear_errors

_LAST_START = 2.0**52  # whole numbers of frames are told apart for as long again
_DESCRIPTION = """How generated videos move, beside real ones: jerks at the knots of motion, repeats and loops, drift,
energy by frequency, movement forth and back. No pretrained network is asked. Leaves motion.json and motion.png.

examples:
  python -m stylegan_v.metrics.motion --fake runs/custom
  python -m stylegan_v.metrics.motion --fake runs/custom --real ~/my_videos --num_frames 512
  python -m stylegan_v.metrics.motion --fake ~/generated_videos --real ~/my_videos --distance 16
"""


def watch_motion(
    fake: str,
    real: str | None = None,
    num_videos: int = 16,
    num_frames: int = 256,
    start: float = 0.0,
    distance: float | None = None,
    seed: int = 0,
    chunk: int = 32,
    device: Literal["cpu", "cuda"] = "cpu",
    out: str = "motion",
) -> dict[str, Any]:
    """Watches generated videos beside real ones.

    Args:
        fake: What is judged: a run, a folder or file of weights, or a snapshot of the original system; or generated
            videos, as a folder, zip or store of them.
        real: Real videos: a folder, zip, store or video file; or a training config, run or checkpoint, whose data are
            taken. None: the data that the run of ``fake`` was trained on. Synthetic data show videos that training did
            not see.
        num_videos: Of each kind, at least 2. Real videos are shown again where there are fewer.
        num_frames: Of each video, consecutive; at least 16. Recurrence needs 66, a jump at least one knot.
        start: Time of the first generated frame, in frames of the training data.
        distance: Frames between the knots of motion. None: that of the generator; for videos no jump is told.
        seed: Of latents, order, first frames and resampling.
        chunk: Frames in memory together.
        device: Where networks and figures are computed.
        out: Folder for motion.json and motion.png.
    """
    from pathlib import Path

    import torch

    from stylegan_v.metrics.motion.comparison import Plan, compare

    if num_videos < 2 or num_frames < 16 or chunk < 1:
        raise InputError("num_videos, num_frames, chunk: give at least 2 videos, 16 frames and chunks of 1")
    if seed < 0:
        raise InputError(f"seed: {seed}: give a number that is not negative")
    if not 0 <= start <= _LAST_START:
        raise InputError(f"start: {start:g}: give a time from 0 to {_LAST_START:g}, in frames")
    if distance is not None and not (math.isfinite(distance) and distance > 0):
        raise InputError(f"distance: {distance:g}: give a positive number of frames")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: there is no CUDA device here: give cpu")
    plan = Plan(num_videos, num_frames, start, distance, seed, chunk, device)
    return compare(fake, real, plan, Path(out).expanduser())


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


def main(args: Sequence[str] | None = None) -> None:
    """The command: flags only."""
    with clear_errors("motion"):
        report = auto_cli(
            watch_motion,
            args=args,
            parser_class=Parser,
            prog="python -m stylegan_v.metrics.motion",
            as_positional=False,
            description=_DESCRIPTION,
            formatter_class=_Help,
        )
        from stylegan_v.metrics.motion.report import as_text

        print(as_text(report), end="")


if __name__ == "__main__":
    main()
