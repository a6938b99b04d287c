"""How far the samples of a run are from real clips, beside what that number is worth.

    python -m stylegan_v.metrics.demo_report runs/demo

Appearance and motion are distances on fixed random convolution features (`random_features`): not FID, not FVD, and
comparable only between the rows of one table. The other rows say what the samples' numbers mean: other real clips (the
floor: nothing can be expected to be lower), the samples' own frozen copies, the same network before training, and real
clips frozen or shuffled.

Shape legend
    B, T    clips, frames of a clip
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from jsonargparse import auto_cli
from torch import Tensor
from tqdm import tqdm

from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v.checkpoints import build, find_checkpoint, read_checkpoint, read_config
from stylegan_v.metrics.controls import frozen, shuffled
from stylegan_v.metrics.curves import draw_curves
from stylegan_v.metrics.measure import Measure
from stylegan_v.metrics.reals import RealClips, build_data
from stylegan_v.metrics.summary import (
    FLOOR,
    FROZEN_REAL,
    FROZEN_SAMPLES,
    SAMPLES,
    SHUFFLED_REAL,
    UNTRAINED,
    judge,
    markdown,
    summarize,
    write_report,
)
from stylegan_v.networks import Generator
from stylegan_v.pretrained import load_generator
from stylegan_v.rendering import draw_latents, render

NUM_FRAMES = 16  # of a clip, consecutive
_GROUP = 16  # clips rendered from one start
_CHUNK = 64


def demo_report(
    run: str, num_clips: int = 256, num_draws: int = 5, seed: int = 0, device: str = "cpu", out: str | None = None
) -> dict[str, Any]:
    """Measures the samples of a run; leaves report.json, report.md and curves.png.

    Args:
        run: Run folder, whose last checkpoint is measured, or a checkpoint.
        num_clips: Clips of each set. Frechet distances fall with it: compare only equal numbers.
        num_draws: Independent draws of references, other reals and samples; the table shows their mean and spread.
        seed: Of the draws.
        device: "cpu" or "cuda".
        out: Folder for the report; None: the run folder.
    """
    if num_clips < 2 or num_draws < 2:
        raise InputError("num_clips, num_draws: distances and their spread need at least 2 of each")
    path = find_checkpoint(run)
    folder = path.parent if out is None else Path(out).expanduser()
    if folder.is_file():
        raise InputError(f"out: {folder} is a file: give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    config = read_config(read_checkpoint(path, mmap=True), path)
    generator, untrained = load_generator(path).to(device), fresh_generator(config, seed).to(device)
    reals = RealClips(build_data(config), num_clips, NUM_FRAMES, seed)
    draws = list(measure_draws(generator, untrained, reals, num_draws, torch.device(device)))

    report = {
        "measure": "Frechet and unbiased cubic kernel distance on fixed random convolution features (not FID, not FVD)",
        "protocol": {
            "clips": num_clips,
            "frames": NUM_FRAMES,
            "draws": num_draws,
            "seed": seed,
            "resolution": list(reals.data.resolution),
            "reference": "held-out videos" if reals.held_out else "videos of training, none are held out",
            "weights": "averaged (EMA)",
            "covariance": "unbiased (N - 1)",
        },
        "rows": summarize(draws),
        "verdict": judge(draws),
        "draws": draws,
    }
    write_report(folder, report, draw_curves(path.parent, folder / "curves.png"))
    return report


def fresh_generator(config: dict[str, Any], seed: int) -> Generator:
    """The network of a run as it is before training.

    Args:
        config: Of the run.
        seed: Of its weights.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(config["model"]["init_args"]["generator"]).eval().requires_grad_(False)


def measure_draws(
    generator: Generator, untrained: Generator, reals: RealClips, num_draws: int, device: torch.device
) -> Iterator[dict[str, dict[str, float]]]:
    """Yields the rows of each draw; every draw has a reference, other reals and samples of its own.

    Args:
        generator: Averaged weights.
        untrained: The same network at its start.
        reals: Real clips.
        num_draws: How many.
        device: Where the features are computed.
    """
    measure = Measure(device)
    with tqdm(total=num_draws * 2 * reals.num_clips, unit="clip", desc="measuring", disable=None) as bar:
        for draw in range(num_draws):
            rng = np.random.default_rng([reals.seed, draw, 2])
            reference = measure.features(reals.draw(2 * draw))
            real, samples = reals.draw(2 * draw + 1), sample_clips(generator, reals, draw, bar.update)
            sets = {
                FLOOR: real,
                SAMPLES: samples,
                FROZEN_SAMPLES: frozen(samples, rng),
                UNTRAINED: sample_clips(untrained, reals, draw, bar.update),
                FROZEN_REAL: frozen(real, rng),
                SHUFFLED_REAL: shuffled(real, rng),
            }
            yield {row: measure.distances(reference, measure.features(clips)) for row, clips in sets.items()}


def sample_clips(
    generator: Generator, reals: RealClips, draw: int, progress: Callable[[int], Any]
) -> UInt8[Tensor, "B T 3 H W"]:
    """Clips of independent latents, at times like those of the real clips.

    Args:
        generator: What is measured.
        reals: Decides number, length and times.
        draw: Number of the draw; another one shares nothing with it.
        progress: Told the number of clips whenever some are there.
    """
    videos = range(draw * reals.num_clips, (draw + 1) * reals.num_clips)
    groups = [videos[i : i + _GROUP] for i in range(0, len(videos), _GROUP)]
    conditions = reals.conditions(draw).to(generator.mapping.w_avg.device).split(_GROUP)
    clips = []
    for group, c, start in zip(groups, conditions, reals.starts(draw, len(groups)), strict=True):
        t = start + torch.arange(reals.num_frames, dtype=torch.float64)
        chunks = render(generator, draw_latents(generator, reals.seed, group, c=c), t, chunk=_CHUNK)
        clips.append(torch.cat([chunk.cpu() for chunk in chunks], dim=1))
        progress(len(group))
    return torch.cat(clips)


def main(args: Sequence[str] | None = None) -> None:
    """The command: the run folder, then flags."""
    with clear_errors("demo_report"):
        report = auto_cli(demo_report, args=args, parser_class=Parser, prog="python -m stylegan_v.metrics.demo_report")
        print(markdown(report, None), end="")


if __name__ == "__main__":
    main()
