"""The command ``python -m stylegan_v.metrics.train_detector``: a feature network without a download.

Heavy packages are imported where they are used, so that `--help` answers at once. For the same reason annotations are
not postponed in this file.
"""

import sys
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import DefaultHelpFormatter, auto_cli

from command_line import Parser
from errors import InputError, clear_errors

if TYPE_CHECKING:
    from stylegan_v.metrics.factors.training import Training

_SAVE_EVERY = 100  # steps: half a minute
_MOST, _MOST_AT_ONCE = 10_000_000, 4096
_DESCRIPTION = """Trains the feature network "factors" on synthetic clips: what shape and colour, where, how fast and in
which direction it moves and turns, and in which order the frames are. Its numbers are not comparable with published
ones. The same command goes on with a training that was stopped. At the end it says how well each factor is told, and
whether distances see that clips are frozen, shuffled or reversed.

examples:
  python -m stylegan_v.metrics.train_detector
  python -m stylegan_v.metrics.train_detector --out ~/detectors/factors.safetensors --seed 1
  python -m stylegan_v.metrics.train_detector --out /tmp/try.safetensors --steps 20 --batch 8 --held_out 64
"""


def train_detector(
    out: str | None = None,
    steps: int = 1200,
    batch: int = 64,
    seed: int = 0,
    held_out: int = 1024,
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Trains the feature network "factors".

    Args:
        out: The .safetensors file to make. None: where the metrics look for it, in the cache folder.
        steps: Updates in all.
        batch: Clips per update, at least 2.
        seed: Of weights and clips. On one CPU, with as many threads, the same seed makes the same file.
        held_out: Clips of new scenes that the scores are told on, at least 2.
        device: Where the network is trained.
    """
    import torch

    from stylegan_v.metrics.factors.scores import as_text
    from stylegan_v.metrics.factors.training import Settings, Training

    _check(steps, batch, seed, held_out)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: there is no CUDA device here: give cpu")
    path = _place(out)
    checkpoint = path.with_name(f"{path.name}.unfinished")
    training = Training(Settings(steps, batch, seed), device)
    if checkpoint.exists():
        training.resume(checkpoint)
        print(f"goes on after step {training.step} of {steps} ({checkpoint})", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    _run(training, checkpoint)
    seconds = time.monotonic() - started
    scores, distances = _finish(training, path, held_out)
    checkpoint.unlink(missing_ok=True)
    print(as_text(scores, distances), end="")
    print(f"\n{path}: {training.step} steps ({seconds:.0f} s in this process); not comparable with published numbers")


def _check(steps: int, batch: int, seed: int, held_out: int) -> None:
    for key, value, least, most in (
        ("steps", steps, 1, _MOST),
        ("batch", batch, 2, _MOST_AT_ONCE),
        ("held_out", held_out, 2, _MOST),
    ):
        if not least <= value <= most:
            raise InputError(f"{key}: {value}: give a number from {least} to {most}")
    if steps * batch >= 2**32:
        raise InputError(f"steps: {steps} steps of {batch} clips are more than clips have numbers: give fewer")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed: {seed}: give a number from 0 to {2**32 - 1}")


def _place(out: str | None) -> Path:
    """The file to make; an existing one is kept."""
    from stylegan_v.metrics.detectors.table import DETECTORS
    from weight_files import target

    path = target(DETECTORS["factors"].weights[0]) if out is None else Path(out).expanduser()
    if path.suffix != ".safetensors":
        raise InputError(f"out: {path}: give a name that ends in .safetensors")
    if path.exists():
        raise InputError(f"out: {path}: is there already: remove it, or give another --out")
    return path


def _run(training: "Training", checkpoint: Path) -> None:
    """The steps that are left, with a bar; the first Ctrl-C ends after a step, with a checkpoint."""
    from tqdm import tqdm

    from stylegan_v.metrics.factors.training import interruptible, train

    with (
        interruptible() as requested,
        tqdm(total=training.settings.steps, initial=training.step, unit="step", desc="training", disable=None) as bar,
    ):

        def show(loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        done = train(training, checkpoint, _SAVE_EVERY, requested, show)
    if not done:
        print(f"stopped after step {training.step}; the same command goes on ({checkpoint})", file=sys.stderr)
        raise SystemExit(130)


def _finish(training: "Training", path: Path, held_out: int) -> tuple[dict[str, Any], dict[str, float]]:
    """Scores of what was trained, and its file."""
    from dataclasses import asdict

    from stylegan_v.metrics.detectors.factors import FRAME_SIZE, NUM_FRAMES, FactorDetector, write_factors
    from stylegan_v.metrics.factors.scores import held_out_scores, sanity

    detector = FactorDetector(training.network, "", {})
    seed = training.settings.seed
    scores, distances = held_out_scores(detector, seed, held_out), sanity(detector, seed, held_out)
    facts = {
        **asdict(training.settings),
        "frame_size": FRAME_SIZE,
        "num_frames": NUM_FRAMES,
        "feature_dim": training.network.feature_dim,
        "held_out": held_out,
        "scores": {name: asdict(score) for name, score in scores.items()},
        "frechet": distances,
    }
    write_factors(path, training.network, facts)
    return scores, distances


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


def main(args: Sequence[str] | None = None) -> None:
    """The command: flags only."""
    with clear_errors("train_detector"):
        try:
            auto_cli(
                train_detector,
                args=args,
                parser_class=Parser,
                prog="python -m stylegan_v.metrics.train_detector",
                as_positional=False,
                description=_DESCRIPTION,
                formatter_class=_Help,
            )
        except KeyboardInterrupt:
            print("train_detector: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
            raise SystemExit(130) from None


if __name__ == "__main__":
    main()
