"""What a small LIIF learns in ten minutes on two CPU cores: PSNR on held-out images beside bicubic enlargement.

    OMP_NUM_THREADS=2 python benchmarks/liif_tiny.py

Trains configs/fields/liif_tiny.yaml into runs/liif_tiny (a run that is there already is only measured), then measures
the held-out images of each family: RGB PSNR, as many pixels left out at every side as the scale (rounded up), mean over
the images. A table goes to stderr, the same as JSON to stdout, pictures into the run folder. The exit code is 1 where

- the mean over all images at x4 is not 1.5 dB above bicubic, or a family at x4 is below it, or
- the mean at x2.5, inside of the scales that are trained, or at x6, outside of them, is not above it.

Measured once (seed 0, 12 000 updates, torch 2.13, one thread on a machine that others used too: 849 process-CPU
seconds, of which two idle cores have 1200 in ten minutes), ours / bicubic:

        text            gratings        shapes          all
x2      26.05 / 24.40   50.49 / 50.28   30.18 / 28.54   35.58 / 34.41
x2.5    23.72 / 22.54   48.15 / 47.22   28.14 / 26.68   33.34 / 32.15
x3      22.15 / 21.29   45.40 / 43.45   26.62 / 25.35   31.39 / 30.03
x4      20.35 / 19.89   43.23 / 35.77   24.46 / 23.48   29.34 / 26.38
x6      18.72 / 18.59   32.43 / 26.41   22.11 / 21.44   24.42 / 22.14
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from command_line import Parser
from datasets.files import atomic_path
from datasets.image_collections import MadeImages
from datasets.image_pairs import bicubic, whole_pair
from datasets.image_samples import planar
from datasets.synthetic_images import FAMILIES, HELD_OUT
from errors import clear_errors
from fields.psnr_protocols import psnr_by_protocol
from fields.scale_scores import side_by_side, to_bytes
from fields.weights import load_field

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "fields" / "liif_tiny.yaml"
SCALES = (2.0, 2.5, 3.0, 4.0, 6.0)
SIZE = (128, 128)
GAIN = 1.5  # dB, of the mean at x4


@dataclass(frozen=True)
class Row:
    """Mean PSNR of the images of one family, or of all, at one scale, dB."""

    scale: float
    family: str
    ours: float
    bicubic: float

    @property
    def gain(self) -> float:
        """How much better than bicubic enlargement."""
        return self.ours - self.bicubic


def shaved_psnr(result: Tensor, truth: Tensor, scale: float) -> float:
    """RGB PSNR of images ``[1, 3, H, W]`` in [0, 1], as many pixels left out at every side as the scale says."""
    shave = math.ceil(scale)
    inner = (..., slice(shave, -shave), slice(shave, -shave))
    return float(psnr_by_protocol(result[inner], truth[inner], "plain"))


@torch.no_grad()
def measure(model: nn.Module, seeds: tuple[int, ...] = HELD_OUT, pictures: Path | None = None) -> list[Row]:
    """PSNR at every scale of every family, and of all together.

    Args:
        model: A continuous image.
        seeds: Of each family.
        pictures: Where a picture of each family at x4 goes; None: nowhere.
    """
    rows = []
    for scale in SCALES:
        all_ours, all_bicubic = [], []
        for family in FAMILIES:
            images, ours, cubic, shown = MadeImages(seeds, SIZE, [family]), [], [], []
            for number in range(len(seeds)):
                small, large = whole_pair(images.read(number), scale)
                enlarged, truth = bicubic(small, large.shape[:2]), planar(large)[None] / 255
                result = (model.render(planar(small)[None] / 127.5 - 1, large.shape[:2]) / 2 + 0.5).clamp(0, 1)
                ours.append(shaved_psnr(result, truth, scale))
                cubic.append(shaved_psnr(planar(enlarged)[None] / 255, truth, scale))
                pixels = Image.fromarray(small).resize(large.shape[1::-1], Image.Resampling.NEAREST)
                shown.append(side_by_side([np.asarray(pixels), enlarged, to_bytes(result[0]), large]))
            rows.append(Row(scale, family, float(np.mean(ours)), float(np.mean(cubic))))
            all_ours, all_bicubic = all_ours + ours, all_bicubic + cubic
            if pictures is not None and scale == 4:
                with atomic_path(pictures / f"x4_{family}.png") as temporary, temporary.open("wb") as file:
                    Image.fromarray(np.concatenate(shown[:6])).save(file, "PNG")
        rows.append(Row(scale, "all", float(np.mean(all_ours)), float(np.mean(all_bicubic))))
    return rows


def failures(rows: list[Row], gain: float = GAIN) -> list[str]:
    """What is not as it should be.

    Args:
        rows: As `measure` gives them.
        gain: Of the mean at x4, dB.
    """
    wanted = {(4.0, "all"): gain, (2.5, "all"): 0.0, (6.0, "all"): 0.0} | {(4.0, family): 0.0 for family in FAMILIES}
    return [
        f"x{row.scale:g} {row.family}: {row.gain:+.2f} dB, not {wanted[row.scale, row.family]:+.2f}"
        for row in rows
        if (row.scale, row.family) in wanted and not row.gain >= wanted[row.scale, row.family]
    ]


def as_text(rows: list[Row]) -> str:
    """The table: a line per scale, columns per family."""
    names = [*FAMILIES, "all"]
    found = {(row.scale, row.family): row for row in rows}
    lines = ["scale " + "".join(f"{name:>26}" for name in names), "      " + "      ours  bicubic    gain" * len(names)]
    for scale in SCALES:
        cells = [found[scale, name] for name in names]
        line = "".join(f"{row.ours:10.2f}{row.bicubic:9.2f}{row.gain:+7.2f}" for row in cells)
        lines.append(f"{f'x{scale:g}':<6}{line}")
    return "\n".join(lines)


def train(run: Path, updates: int | None) -> dict[str, float]:
    """Trains into a run folder; gives the seconds that it took, and process-CPU seconds, loader included."""
    from train import main

    before, start = _cpu_seconds(), time.monotonic()
    flags = [] if updates is None else [f"--model.total_updates={updates}"]
    sys.argv[1:] = []  # what was meant for this program is no business of the other
    main(["fit", "--config", str(CONFIG), "--runs_dir", str(run.parent), "--run_name", run.name, *flags])
    return {"seconds": time.monotonic() - start, "cpu_seconds": _cpu_seconds() - before}


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def benchmark(run: str = "runs/liif_tiny", updates: int | None = None, gain: float = GAIN) -> int:
    """Trains where there is no run yet, measures, prints; the number of things that are not as they should be.

    Args:
        run: Folder of the run.
        updates: Length of the run; None: as the config says.
        gain: What the mean at x4 must be above bicubic, dB.
    """
    folder = Path(run)
    took = {} if (folder / "last.ckpt").exists() else train(folder, updates)
    rows = measure(load_field(folder), pictures=folder / "samples")
    wrong = failures(rows, gain)
    print(as_text(rows), *(f"{name}: {value:.0f}" for name, value in took.items()), *wrong, sep="\n", file=sys.stderr)
    print(json.dumps({**took, "rows": [asdict(row) | {"gain": row.gain} for row in rows], "failures": wrong}))
    return len(wrong)


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/liif_tiny.py"):
        parser = Parser(prog="benchmarks/liif_tiny.py", description=__doc__)
        parser.add_function_arguments(benchmark)
        if benchmark(**parser.parse_args(args).as_dict()):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
