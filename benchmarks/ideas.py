"""What was tried against what the networks use: forward, backward and, for R1, twice backward, side by side.

    python benchmarks/ideas.py --resolution 64
    python benchmarks/ideas.py --resolution 256 --videos 16 --precision bf16-mixed --rounds 20     # on a GPU

Every idea (`benchmarks/idea_list.py`) is a few ways to the same values, on tensors of the shapes of one block of the
networks at full width. The ways take turns; a ratio is the median over rounds of the time of a way over that of the
project's own way in the same round, in process-CPU seconds, or by events of a GPU. Above 1 is slower than what the
project does. Beside it stands the largest difference of results and gradients, over the largest value of each. A table
goes to stderr, the same as JSON to stdout.

Not measured is one pass of the generator for both phases. The discriminator's clips are drawn with latents of their
own, by a generator that has just been moved; shared clips would be those of the generator's own phase, made before its
step. That is another algorithm, a step of both at once, and other numbers than the recorded ones.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
from torch import Tensor

from benchmarks.idea_list import IDEAS, Idea, Sizes
from benchmarks.measuring import choose_device, interleaved
from command_line import Parser
from errors import InputError, clear_errors


@dataclass(frozen=True)
class Row:
    """One way of one idea.

    Attributes:
        idea: Its name.
        way: Its name.
        ours: Whether the project goes it.
        milliseconds: By stage, median over rounds.
        ratios: To the project's way, by stage, median over rounds.
        difference: Of values and gradients from those of the project's way: the largest, over the largest value.
    """

    idea: str
    way: str
    ours: bool
    milliseconds: dict[str, float]
    ratios: dict[str, float]
    difference: float


def difference(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Largest difference of any tensor from its counterpart, over the largest value of that; NaN stays."""
    pairs = [(a.double(), b.double()) for a, b in zip(found, wanted, strict=True)]
    tiny = torch.finfo(torch.float64).tiny  # where all of them are zero
    return torch.stack([(a - b).abs().max() / b.abs().max().clamp(min=tiny) for a, b in pairs]).max().item()


def compare(found: Idea, device: torch.device, rounds: int) -> list[Row]:
    """The rows of an idea.

    Args:
        found: The idea.
        device: Where its tensors are.
        rounds: In which all ways take their turns.
    """
    seconds: dict[str, dict[str, list[float]]] = {}
    differences: dict[str, float] = dict.fromkeys(next(iter(found.stages.values())), 0.0)
    for stage, calls in found.stages.items():
        wanted = [value.detach().clone() for value in calls[found.ours]()]
        for name, call in calls.items():
            if name != found.ours:
                differences[name] = max(differences[name], difference(call(), wanted))
        seconds[stage] = interleaved(calls, device, rounds=rounds)
    return [_row(found, name, seconds, differences[name]) for name in differences]


def _row(found: Idea, way: str, seconds: dict[str, dict[str, list[float]]], apart: float) -> Row:
    milliseconds = {stage: 1e3 * statistics.median(times[way]) for stage, times in seconds.items()}
    ratios = {
        stage: statistics.median(a / b for a, b in zip(times[way], times[found.ours], strict=True))
        for stage, times in seconds.items()
    }
    return Row(found.name, way, way == found.ours, milliseconds, ratios, apart)


HEADER = "| idea | way | ms | over ours, by stage | difference |\n|---|---|---|---|---|"
STAGES = "stages: forward / and backward / twice backward where R1 needs it; one step of adam and average"


def line(row: Row) -> str:
    """A row for people, as Markdown."""
    times = " / ".join(f"{value:.1f}" for value in row.milliseconds.values())
    ratios = "ours" if row.ours else " / ".join(f"{value:.2f}" for value in row.ratios.values())
    return f"| {row.idea} | {row.way} | {times} | {ratios} | {'' if row.ours else f'{row.difference:.0e}'} |"


def main(args: Sequence[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/ideas.py"):
        parser = Parser(prog="benchmarks/ideas.py", description=__doc__)
        parser.add_argument("--resolution", type=int, default=64, help="side of the features of the block, pixels")
        parser.add_argument("--videos", type=int, default=2, help="in the batch")
        parser.add_argument("--frames", type=int, default=3, help="of each video")
        parser.add_argument("--device", type=str, default="auto", help="cpu, cuda or auto")
        parser.add_argument("--precision", type=str, default="32", help="of features: 32 or bf16-mixed")
        parser.add_argument("--rounds", type=int, default=3, help="in which all ways take their turns")
        parser.add_argument("--only", type=list[str] | None, default=None, help=f"of {', '.join(IDEAS)}")
        parser.add_argument("--channel_base", type=int, default=None, help="narrower or wider networks than published")
        given = parser.parse_args(args)
        if given.precision not in ("32", "bf16-mixed"):
            raise InputError(f"--precision {given.precision}: give 32 or bf16-mixed")
        if min(given.videos, given.frames, given.rounds) < 1 or given.resolution not in (2**n for n in range(3, 13)):
            raise InputError("videos, frames and rounds are above 0, resolution is a power of two from 8: give such")
        if unknown := set(given.only or ()) - set(IDEAS):
            raise InputError(f"--only {sorted(unknown)}: there are {', '.join(IDEAS)}")
        device = choose_device(given.device)
        dtype = torch.bfloat16 if given.precision == "bf16-mixed" else torch.float32
        width = given.channel_base or (32768 if given.resolution >= 512 else 16384)
        sizes = Sizes(given.resolution, given.videos, given.frames, dtype, device, width)
        torch.manual_seed(0)
        rows = []
        print(HEADER, file=sys.stderr, flush=True)
        for name, make in IDEAS.items():
            if given.only is None or name in given.only:
                rows += (found := compare(make(sizes), device, given.rounds))
                print("\n".join(line(row) for row in found), file=sys.stderr, flush=True)
        print(STAGES, file=sys.stderr)
        settings = {name: value for name, value in vars(given).items() if name != "only"}
        about = {"device": str(device), "threads": torch.get_num_threads(), "torch": torch.__version__}
        print(json.dumps({**settings, **about, "rows": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
