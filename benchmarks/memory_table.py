"""Memory that training takes, against size of frames, clips of a batch, frames of a clip, parts, and recomputation.

    python benchmarks/memory_table.py
    python benchmarks/memory_table.py --resolutions [256] --batches [32] --parts [1,4,8] --precision bf16-mixed

Networks of full width make an update on tensors without memory (`stylegan_v.cost`), so the table needs none and no GPU.
Where there is a GPU, the phases are also run there, for the clips of one part, and the most that torch allocated stands
beside the estimate. What the device's libraries take comes on top: a CUDA context, about half a GB.

Columns: `parts` is `model.num_micro_batches`, `recomputed` the callback RecomputeActivations. Weights, their average,
gradients and the means of Adam are in every row. A table goes to stderr, the same as JSON to stdout.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch

from benchmarks.train_step import build, check_sizes
from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v.cost import rehearse
from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning
from stylegan_v.recomputing import recompute

_GIB = 2**30


@dataclass(frozen=True)
class Setting:
    """A way to train.

    Attributes:
        resolution: Side of the frames, pixels.
        batch: Clips on the device.
        frames: Of a clip.
        parts: In which the batch is worked through.
        recomputed: Whether activations are made again instead of kept.
    """

    resolution: int
    batch: int
    frames: int
    parts: int
    recomputed: bool


@dataclass(frozen=True)
class Row:
    """What a setting takes, GiB.

    Attributes:
        setting: The setting.
        estimated: All of it.
        standing: Of this, what is there all the time.
        phase: Which needs most.
        gflop_per_clip: Operations of an update, 10^9 for each clip.
        measured: Most that torch allocated on a GPU; None without one, or where it was too small.
    """

    setting: Setting
    estimated: float
    standing: float
    phase: str
    gflop_per_clip: float
    measured: float | None = None


def estimate(setting: Setting, bf16: bool, channel_base: int | None = None) -> Row:
    """A row without a GPU.

    Args:
        setting: The setting.
        bf16: Whether autocast to bfloat16 is on.
        channel_base: Narrower or wider networks than the published ones.
    """
    sizes = {"channel_base": channel_base or (32768 if setting.resolution >= 512 else 16384)}
    with torch.device("meta"):
        generator = Generator(setting.resolution, **sizes)
        conditioning = HypernetworkConditioning(num_frames=setting.frames)
        groups = math.gcd(setting.batch // setting.parts, 4)
        network = Discriminator(setting.resolution, conditioning=conditioning, mbstd_group_size=groups, **sizes)
    if setting.recomputed:
        recompute(generator.synthesis.blocks)
        recompute(network.blocks)
    cost = rehearse(generator, network, setting.batch, num_micro_batches=setting.parts, bf16=bf16)
    figures = cost.peak / _GIB, (cost.standing + cost.gradients) / _GIB
    return Row(setting, *figures, cost.fullest, cost.operations_per_clip / 1e9)


def measured(setting: Setting, bf16: bool, channel_base: int | None = None) -> float | None:
    """GiB that torch allocates at most on the GPU; None where it has too few. Arguments as `estimate`."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    try:
        step = build(
            setting.resolution,
            setting.batch // setting.parts,
            setting.frames,
            device=torch.device("cuda"),
            precision="bf16-mixed" if bf16 else "32",
            conditioning="hypernetwork",
            channel_base=channel_base,
        )
        if setting.recomputed:
            recompute(step.generator.synthesis.blocks)
            recompute(step.discriminator.blocks)
        for name, call in itertools.chain(step.phases().items(), step.phases().items()):
            if name != "forward":
                call()
    except torch.cuda.OutOfMemoryError:
        return None
    return torch.cuda.max_memory_allocated() / _GIB


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    lines = [
        f"{'px':>5}{'clips':>6}{'k':>3}{'parts':>6} {'recomputed':11}{'GiB':>7}{'GPU':>7}{'GFLOP/clip':>11}  phase"
    ]
    for row in rows:
        given = row.setting
        gpu = "" if row.measured is None else f"{row.measured:.2f}"
        again = "yes" if given.recomputed else "no"
        lines.append(
            f"{given.resolution:5}{given.batch:6}{given.frames:3}{given.parts:6} {again:11}"
            f"{row.estimated:7.2f}{gpu:>7}{row.gflop_per_clip:11.0f}  {row.phase}"
        )
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/memory_table.py"):
        parser = Parser(prog="benchmarks/memory_table.py", description=__doc__)
        parser.add_argument(
            "--resolutions", type=list[int], default=[64, 128, 256, 512], help="sides of frames, pixels"
        )
        parser.add_argument("--batches", type=list[int], default=[8, 32], help="clips on the device")
        parser.add_argument("--frames", type=list[int], default=[3], help="of a clip")
        parser.add_argument("--parts", type=list[int], default=[1, 4], help="in which a batch is worked through")
        parser.add_argument("--precision", type=str, default="32", help="32 or bf16-mixed")
        parser.add_argument("--channel_base", type=int, default=None, help="narrower or wider networks than published")
        given = parser.parse_args(args)
        if given.precision not in ("32", "bf16-mixed"):
            raise InputError(f"precision {given.precision!r}: give 32 or bf16-mixed")
        axes = given.resolutions, given.batches, given.frames, given.parts, (False, True)
        if min(min(axis, default=0) for axis in axes[:4]) < 1:
            raise InputError("resolutions, batches, frames, parts: give numbers above 0, at least one of each")
        for resolution in given.resolutions:
            check_sizes(resolution)
        settings = [one for one in itertools.starmap(Setting, itertools.product(*axes)) if one.batch % one.parts == 0]
        if not settings:
            raise InputError("parts: none of them divides one of the batches: give such as do")
        rows = []
        for setting in settings:
            row = estimate(setting, given.precision == "bf16-mixed", given.channel_base)
            if torch.cuda.is_available():
                on_gpu = measured(setting, given.precision == "bf16-mixed", given.channel_base)
                row = Row(**{**vars(row), "measured": on_gpu})
            rows.append(row)
        print(table(rows), file=sys.stderr)
        print(json.dumps([asdict(row) for row in rows]))


if __name__ == "__main__":
    main()
