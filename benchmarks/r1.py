"""Ways to the gradient of the R1 penalty, side by side: how far from the exact one, how long, how much memory.

    python benchmarks/r1.py --resolution 64 --batch 2
    python benchmarks/r1.py --resolution 256 --batch 16 --precision bf16-mixed     # on a GPU

The exact gradient in float32 (differentiated twice) is what all others are compared with:

* exact: at the precision of the run;
* differences: central differences with activations held on their pieces (`stylegan_v.r1.DifferencesR1`), in float32;
* differences, free: the same without holding them, which is what a difference of two forward passes is at first sight;
* differences, bf16: held, but under the run's autocast, where that is on.

Times are process-CPU seconds, or those of a GPU between two events, of calls that take turns; the ratio is the median
of the rounds' own ratios. Memory is that of tensors alive at once beyond what was there, counted once. A table goes to
stderr, the same as JSON to stdout.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
from torch import Tensor

from benchmarks.measuring import MultiplyAdds, choose_device, interleaved
from benchmarks.train_step import Conditioning, Precision, TrainStep, build
from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v import losses
from stylegan_v.cost.counting import LiveTensors
from stylegan_v.r1 import DifferencesR1, ExactR1

Gradient = dict[str, Tensor]  # of the discriminator, by parameter, float64
Way = Callable[[], Tensor]  # leaves the gradient on the parameters, returns the penalty


@dataclass(frozen=True)
class Difference:
    """How far a gradient is from the exact one.

    Attributes:
        cosine: Of the angle between them.
        relative: Norm of their difference over that of the exact one.
    """

    cosine: float
    relative: float


@dataclass
class Row:
    """One way.

    Attributes:
        name: Of it.
        penalty: That it tells, over the exact one.
        whole: All parameters.
        blocks: The parameters of each part of the discriminator.
        seconds: Of each round.
        ratio: Median over rounds of its seconds over those of exact.
        multiply_adds: In units of 10^9.
        memory_gib: Of tensors alive at once.
    """

    name: str
    penalty: float
    whole: Difference
    blocks: dict[str, Difference]
    seconds: list[float] = field(default_factory=list)
    ratio: float = 0.0
    multiply_adds: float = 0.0
    memory_gib: float = 0.0


class FreeDifferences(DifferencesR1):
    """Differences of two forward passes as they come, across the kinks between them."""

    def __call__(
        self, judge: Callable, clip: Tensor, shares: Tensor | None, backpropagate: Callable[[Tensor, bool], None]
    ) -> Tensor:
        with torch.autocast(clip.device.type, enabled=False):
            start = clip.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(judge(start).sum(), start)
            for part in losses.r1_differences(judge, clip, gradient, self.step, shares):
                backpropagate(part, False)
            return losses.squared_slope(gradient, shares)


def difference(found: Gradient, exact: Gradient, prefix: str = "") -> Difference:
    """Of the parameters whose names begin so.

    Args:
        found: A gradient.
        exact: The one that it should be.
        prefix: All names begin with "".
    """
    a, b = (torch.cat([g.flatten() for name, g in one.items() if name.startswith(prefix)]) for one in (found, exact))
    norms = a.norm() * b.norm()
    same = bool(torch.equal(a, b))  # also where both are zero
    cosine, relative = (1.0, 0.0) if same else ((a @ b / norms).item(), ((a - b).norm() / b.norm()).item())
    return Difference(cosine, relative)


def parts_of(names: Sequence[str]) -> list[str]:
    """Prefixes of the parts of a discriminator: its blocks one by one."""
    heads = [".".join(name.split(".")[: 2 if name.startswith("blocks.") else 1]) + "." for name in names]
    return list(dict.fromkeys(heads))


def ways(step: TrainStep, size: float, precision: Precision) -> dict[str, Way]:
    """All that are compared, by name; the first is what they are compared with.

    Args:
        step: Discriminator and clips.
        size: The step of the differences.
        precision: Of the run.
    """
    step.forget(step.generator, step.discriminator)

    def way(r1: ExactR1, inner: Callable = nullcontext, outer: Callable = nullcontext) -> Tensor:
        step.discriminator.zero_grad(set_to_none=True)

        def judge(clip: Tensor) -> Tensor:
            with inner():
                return step.logits(clip)

        with outer():
            return r1(judge, step.real, None, lambda loss, last: loss.backward())

    found = {"exact, float32": partial(way, ExactR1())}
    if precision == "bf16-mixed":
        found["exact, bf16"] = partial(way, ExactR1(), outer=step.autocast)
    found["differences"] = partial(way, DifferencesR1(size))
    found["differences, free"] = partial(way, FreeDifferences(size))
    if precision == "bf16-mixed":
        found["differences, bf16"] = partial(way, DifferencesR1(size), inner=step.autocast)
    return found


def compare(step: TrainStep, found: dict[str, Way], device: torch.device, rounds: int) -> list[Row]:
    """A row for each way.

    Args:
        step: Whose discriminator they leave gradients on.
        found: The ways.
        device: Where.
        rounds: How often each is timed.
    """
    rows: list[Row] = []
    exact: Gradient = {}
    for name, way in found.items():
        with MultiplyAdds() as counter, LiveTensors() as live:
            penalty = way().item()
        gradient = {
            name: torch.zeros_like(p, dtype=torch.float64) if p.grad is None else p.grad.double()
            for name, p in step.discriminator.named_parameters()
        }
        exact, first = exact or gradient, rows[0].penalty if rows else penalty
        blocks = {part[:-1]: difference(gradient, exact, part) for part in parts_of(list(gradient))}
        row = Row(name, penalty / first if rows else penalty, difference(gradient, exact), blocks)
        row.multiply_adds, row.memory_gib = counter.total / 1e9, live.peak / 2**30
        rows.append(row)
    rows[0].penalty = 1.0
    seconds = interleaved(found, device, rounds=rounds)
    for row in rows:
        row.seconds = seconds[row.name]
        row.ratio = statistics.median(a / b for a, b in zip(row.seconds, seconds[rows[0].name], strict=True))
    return rows


def r1(
    resolution: int,
    batch: int,
    frames: int,
    device: torch.device,
    precision: Precision,
    conditioning: Conditioning,
    step: float,
    rounds: int,
    channel_base: int | None = None,
) -> dict:
    """Measures; settings and rows.

    Args:
        resolution: Side of the frames, pixels.
        batch: Clips.
        frames: Of a clip.
        device: Where.
        precision: "32" or "bf16-mixed".
        conditioning: "hypernetwork" or "projection".
        step: Of the differences, see `DifferencesR1`.
        rounds: How often each way is timed.
        channel_base: Narrower or wider networks than the published ones.
    """
    torch.manual_seed(0)
    sizes = {"conditioning": conditioning, "channel_base": channel_base}
    networks = build(resolution, batch, frames, device=device, precision=precision, **sizes)
    rows = compare(networks, ways(networks, step, precision), device, rounds)
    settings = {"resolution": resolution, "batch": batch, "frames": frames, "precision": precision, "step": step}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    about = {**sizes, "device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}
    return {**settings, **about, "rows": [asdict(row) for row in rows]}


def table(found: dict) -> str:
    """The report for people."""
    unit = "CPU s" if found["device"] == "cpu" else "GPU s"
    lines = [
        f"{found['resolution']} px, {found['batch']} clips x {found['frames']} frames, {found['precision']}, "
        f"{found['conditioning']}, step {found['step']:g}, {found['device']}, {found['threads']} threads",
        f"{'way':20}{'cosine':>10}{'relative':>10}{'penalty':>9}{unit:>9}{'ratio':>7}{'GMAC':>9}{'GiB':>7}",
    ]
    for row in found["rows"]:
        whole, seconds = row["whole"], statistics.median(row["seconds"])
        lines.append(
            f"{row['name']:20}{whole['cosine']:10.6f}{whole['relative']:10.1e}{row['penalty']:9.4f}{seconds:9.3f}"
            f"{row['ratio']:7.2f}{row['multiply_adds']:9.1f}{row['memory_gib']:7.2f}"
        )
    others = found["rows"][1:]
    lines.append("cosine, relative difference of each part")
    lines.append(f"{'':20}" + "".join(f"{row['name']:>21}" for row in others))
    for part in found["rows"][0]["blocks"]:
        figures = [row["blocks"][part] for row in others]
        lines.append(f"{part:20}" + "".join(f"{one['cosine']:12.5f}{one['relative']:9.1e}" for one in figures))
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/r1.py"):
        parser = Parser(prog="benchmarks/r1.py", description=__doc__)
        parser.add_argument("--resolution", type=int, default=64, help="side of the frames, pixels")
        parser.add_argument("--batch", type=int, default=2, help="clips")
        parser.add_argument("--frames", type=int, default=3, help="of a clip")
        parser.add_argument("--device", type=str, default="auto", help="cpu, cuda or auto")
        parser.add_argument("--precision", type=Precision, default="32", help="of the run")
        parser.add_argument("--conditioning", type=Conditioning, default="hypernetwork", help="on time")
        parser.add_argument("--step", type=float, default=0.001, help="of the differences, root mean square of a pixel")
        parser.add_argument("--rounds", type=int, default=3, help="how often each way is timed")
        parser.add_argument(
            "--channel_base", type=int | None, default=None, help="narrower or wider than the published networks"
        )
        given = parser.parse_args(args)
        if min(given.batch, given.frames, given.rounds) < 1:
            raise InputError("--batch, --frames and --rounds have to be 1 at least")
        device = choose_device(given.device)
        sizes = {"resolution": given.resolution, "batch": given.batch, "frames": given.frames}
        kinds = {"precision": given.precision, "conditioning": given.conditioning, "channel_base": given.channel_base}
        report = r1(**sizes, device=device, **kinds, step=given.step, rounds=given.rounds)
        print(table(report), file=sys.stderr)
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
