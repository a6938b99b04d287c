"""Measured time over the least that this machine needs: each phase of an update, each block of both networks.

    python benchmarks/roofline.py --resolution 128 --batch 4
    python benchmarks/roofline.py --resolution 256 --batch 16 --precision bf16-mixed     # on a GPU
    python benchmarks/roofline.py --resolution 128 --batch 4 > out/before.json           # then change something, and
    python benchmarks/roofline.py --resolution 128 --batch 4 --before out/before.json

Two ceilings are measured first and last: a large product of matrices in the precision of the run, and a large copy.
`benchmarks/count.py` tells what has to be done; both together are the floor, and what is printed is how many times over
it every part takes. Blocks run forward and backward by themselves, with inputs of the shapes of the update. Beside the
figures of an earlier run stands how many times over its floor each part took then: the floor moves with the machine, so
these can be compared where milliseconds cannot. A table, Markdown if asked for, goes to stderr, the same as JSON to
stdout.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch

from benchmarks.count import Work, blocks, count
from benchmarks.measuring import choose_device, measure
from benchmarks.train_step import R1_EVERY, TrainStep, build
from command_line import Parser
from errors import InputError, clear_errors

_SIDES = {"cuda": 8192, "cpu": 2048}  # of the matrices of the product
_COPIED = {"cuda": 2**30, "cpu": 2**27}  # bytes
_REPEATS = 5
_LONGEST = 2**20  # bytes of an earlier report
SETTINGS = ("resolution", "batch", "frames", "precision", "channel_base")  # of which two reports have to be equal


@dataclass(frozen=True)
class Ceilings:
    """What the machine reaches where nothing stands in its way.

    Attributes:
        teraflops: 10^12 operations per second of a product of square matrices.
        terabytes: 10^12 bytes per second of a copy, read and written counted.
    """

    teraflops: float
    terabytes: float


@dataclass(frozen=True)
class Row:
    """One phase or block.

    Attributes:
        name: Of it.
        milliseconds: Measured, median.
        floor: Milliseconds at least.
        times: The first over the second.
        share: Of the update (phases: R1 counted by how rarely it comes), or of all blocks.
    """

    name: str
    milliseconds: float
    floor: float
    times: float
    share: float


def ceilings(device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Measures both.

    Args:
        device: Of the machine.
        dtype: Of the product.
    """
    side = _SIDES[device.type]
    a, b = torch.randn(2, side, side, device=device, dtype=dtype)
    product = measure(lambda: a @ b, device, repeats=_REPEATS)
    source = torch.empty(_COPIED[device.type], dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(source)
    copy = measure(lambda: target.copy_(source), device, repeats=_REPEATS)
    return Ceilings(2 * side**3 / product.seconds / 1e12, 2 * source.numel() / copy.seconds / 1e12)


def mean(found: Sequence[Ceilings]) -> Ceilings:
    """Of several measurements."""
    return Ceilings(*(statistics.mean(getattr(one, name) for one in found) for name in ("teraflops", "terabytes")))


def as_row(name: str, seconds: float, work: Work, limits: Ceilings, width: int, whole: float) -> Row:
    """A row of a measured time; ``whole`` is what shares are taken of, seconds."""
    floor = work.seconds(limits.teraflops, limits.terabytes, width)
    return Row(name, 1e3 * seconds, 1e3 * floor, seconds / floor, seconds / whole)


def _block_seconds(step: TrainStep, device: torch.device, repeats: int) -> dict[str, float]:
    """Forward and backward of each block by itself."""
    step.generator.requires_grad_(True)
    step.discriminator.requires_grad_(True)
    found = {}
    for name, block in blocks(step).items():
        inputs = block.inputs(device)

        with step.autocast():
            found[name] = measure(partial(block.run, inputs), device, repeats=repeats).seconds
    return found


def roofline(
    resolution: int,
    batch: int,
    frames: int,
    device: torch.device,
    precision: str,
    repeats: int,
    which: str,
    channel_base: int | None = None,
) -> dict:
    """Measures; settings, ceilings and rows.

    Args:
        resolution: Side of the frames, pixels.
        batch: Clips.
        frames: Frames per clip.
        device: Where.
        precision: "32" or "bf16-mixed".
        repeats: Calls of everything after one to warm up; their median counts.
        which: "phases", "blocks" or "all".
        channel_base: Narrower or wider networks than the published ones.
    """
    dtype, width = (torch.bfloat16, 2) if precision == "bf16-mixed" else (torch.float32, 4)
    work = count(resolution, batch, frames, channel_base=channel_base)
    limits = [ceilings(device, dtype)]
    torch.manual_seed(0)
    step = build(resolution, batch, frames, device=device, precision=precision, channel_base=channel_base)
    seconds: dict[str, float] = {}
    if which != "blocks":
        seconds = {n: measure(call, device, repeats=repeats).seconds for n, call in step.phases().items()}
    found = {} if which == "phases" else _block_seconds(step, device, repeats)
    limits.append(ceilings(device, dtype))
    reached = mean(limits)
    weights = {name: 1 / R1_EVERY if name == "R1" else 1.0 for name in seconds if name != "forward"}
    update = sum(weights[name] * seconds[name] for name in weights)
    rows = [as_row(n, s, work[n], reached, width, update / weights.get(n, 1.0)) for n, s in seconds.items()]
    if seconds:
        rows.append(as_row("update", update, work["update"], reached, width, update))
    rows += [as_row(n, s, work[n], reached, width, sum(found.values())) for n, s in found.items()]
    settings = {"resolution": resolution, "batch": batch, "frames": frames, "precision": precision}
    settings["channel_base"] = channel_base
    about = {"device": _name(device), "threads": torch.get_num_threads(), "torch": torch.__version__}
    speeds = {"frames_per_second": batch * frames / update} if seconds else {}
    figures = {"ceilings": [asdict(one) for one in limits], "rows": [asdict(row) for row in rows]}
    return {**settings, **about, **speeds, **figures}


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def earlier(path: Path, found: Mapping) -> dict[str, float]:
    """How many times over their floors the parts took in an earlier run of the same sizes, by name.

    Args:
        path: What that run wrote to stdout.
        found: The settings of this one.

    Raises:
        InputError: It is no such report, or one of another size.
    """
    if not path.is_file() or path.stat().st_size > _LONGEST:
        raise InputError(f"--before {path}: is no report of benchmarks/roofline.py: give what it wrote to stdout")
    try:
        report = json.loads(path.read_text())
        settings = {name: report[name] for name in SETTINGS}
        times = {str(row["name"]): float(row["times"]) for row in report["rows"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"--before {path}: is no report of benchmarks/roofline.py: {error!r}") from error
    if other := [f"{name} {value}" for name, value in settings.items() if value != found[name]]:
        raise InputError(f"--before {path}: was measured at {', '.join(other)}: measure the same again")
    return times


def table(found: dict, before: Mapping[str, float] | None = None, *, markdown: bool = False) -> str:
    """The report for people.

    Args:
        found: As `roofline` returns it.
        before: Times over the floor of an earlier run, by name.
        markdown: Whether the rows are those of a table in Markdown.
    """
    products = " / ".join(f"{1e3 * one['teraflops']:.0f}" for one in found["ceilings"])
    copies = " / ".join(f"{1e3 * one['terabytes']:.1f}" for one in found["ceilings"])
    lines = [
        f"{found['resolution']} px, {found['batch']} clips x {found['frames']} frames, {found['precision']}, "
        f"{found['device']}, {found['threads']} threads",
        f"product {products} GFLOP/s, copy {copies} GB/s",
    ]
    titles = ["phase or block", "ms", "floor ms", "times", "share"] + ["times before"] * (before is not None)
    cells = [_cells(row, before) for row in found["rows"]]
    if markdown:
        lines += ["", *("| " + " | ".join(row) + " |" for row in [titles, ["---"] * len(titles), *cells])]
    else:
        lines += [f"{row[0]:16}" + "".join(f"{cell:>13}" for cell in row[1:]) for row in [titles, *cells]]
    if "frames_per_second" in found:
        lines += [""] * markdown + [f"update: {found['frames_per_second']:.2f} frames/s"]
    return "\n".join(lines)


def _cells(row: dict, before: Mapping[str, float] | None) -> list[str]:
    figures = [f"{row['milliseconds']:.2f}", f"{row['floor']:.2f}", f"{row['times']:.2f}", f"{row['share']:.0%}"]
    if before is None:
        return [row["name"], *figures]
    then = before.get(row["name"])
    return [row["name"], *figures, "" if then is None else f"{then:.2f}"]


def main(args: Sequence[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/roofline.py"):
        parser = Parser(prog="benchmarks/roofline.py", description=__doc__)
        parser.add_argument("--resolution", type=int, default=256, help="side of the frames, pixels")
        parser.add_argument("--batch", type=int, default=4, help="clips")
        parser.add_argument("--frames", type=int, default=3, help="of a clip")
        parser.add_argument("--device", type=str, default="auto", help="cpu, cuda or auto")
        parser.add_argument("--precision", type=str, default="32", help="32 or bf16-mixed")
        parser.add_argument("--repeats", type=int, default=3, help="calls of everything, after one to warm up")
        parser.add_argument("--which", type=str, default="all", help="phases, blocks or all")
        parser.add_argument("--channel_base", type=int, default=None, help="narrower or wider networks than published")
        parser.add_argument(
            "--before", type=str | None, default=None, help="JSON of an earlier run, to stand beside this one"
        )
        parser.add_argument("--markdown", type=bool, default=False, help="a table to paste")
        given = parser.parse_args(args)
        if given.precision not in ("32", "bf16-mixed") or given.which not in ("phases", "blocks", "all"):
            raise InputError("precision is 32 or bf16-mixed, which is phases, blocks or all: give one of these")
        if min(given.resolution, given.batch, given.frames, given.repeats) < 1:
            raise InputError("resolution, batch, frames, repeats: give numbers above 0")
        device = choose_device(given.device)
        sizes = given.resolution, given.batch, given.frames
        before = None if given.before is None else earlier(Path(given.before), vars(given))
        found = roofline(*sizes, device, given.precision, given.repeats, given.which, given.channel_base)
        print(table(found, before, markdown=given.markdown), file=sys.stderr)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
