"""What a decoder costs: an update at native size and frames at native and twice the size, with each kind and without.

    OMP_NUM_THREADS=2 python benchmarks/decoder_cost.py
    OMP_NUM_THREADS=1 python benchmarks/decoder_cost.py --resolution 64 --repeats 1

Networks of full width. Multiply-adds of matrix products and convolutions are counted on tensors without memory. Seconds
are process-CPU seconds: with and without take turns, and ratios are medians over the turns of those within a turn, so
that other work on the machine has little to say in them. An update is the generator's step, the discriminator's, and
one sixteenth of R1; frames are drawn by the network as it is, without gradients.

What `ConvField` has to keep to: at most 1.10 of an update, and at twice the size at most 1.6 of a native frame without
a decoder. Options of decoders that are compared beside it are their defaults. A table goes to stderr, the same as JSON
to stdout; the exit code is 1 where ConvField exceeds a bound in what was counted.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.count import without_motion, worked
from benchmarks.train_step import R1_EVERY, TrainStep, build
from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v.host_memory import keep_freed_memory
from stylegan_v.networks.decoders import ConvField, NVPField, PointField

KINDS = {"none": None, "ConvField": ConvField, "PointField": PointField, "NVPField": NVPField}
UPDATE_BOUND, TWICE_BOUND = 1.10, 1.6


@dataclass
class Row:
    """One kind of decoder.

    Attributes:
        kind: Its class, or "none".
        parameters: Of the decoder.
        update_gigamacs: Multiply-adds of an update, per frame of a clip, 10^9.
        native_gigamacs: Of a native frame.
        twice_gigamacs: Of a frame of twice the size; None without a decoder.
        update_count: The update relative to that without a decoder, by multiply-adds.
        native_count: The native frame relative to that without a decoder, by multiply-adds.
        twice_count: The frame of twice the size relative to a native one without a decoder, by multiply-adds.
        update_seconds: As ``update_count``, by process-CPU seconds; None where it was not measured, as the next two.
        native_seconds: As ``native_count``.
        twice_seconds: As ``twice_count``.
    """

    kind: str
    parameters: int
    update_gigamacs: float
    native_gigamacs: float
    twice_gigamacs: float | None
    update_count: float
    native_count: float
    twice_count: float | None
    update_seconds: float | None = None
    native_seconds: float | None = None
    twice_seconds: float | None = None


def networks(kind: str, resolution: int, batch: int, frames: int, channel_base: int | None = None) -> TrainStep:
    """The networks of an update, the generator with a decoder of this kind that has an effect."""
    step = build(resolution, batch, frames, device=torch.device("cpu"), channel_base=channel_base)
    for network in (step.generator, step.generator_ema):
        if KINDS[kind] is not None:
            network.synthesis.add_decoder(KINDS[kind])
    return step


def calls(step: TrainStep, decoded: bool) -> dict[str, Callable[[], object]]:
    """What is compared."""

    def frames(factor: int) -> None:
        size = tuple(factor * side for side in step.generator.resolution) if factor > 1 else None
        with torch.no_grad():
            step.generator_ema(step.z, step.t.double(), size=size)

    found = {"G": step.update_generator, "D": step.update_discriminator, "R1": step.update_r1}
    found["native"] = lambda: frames(1)
    return found | ({"twice": lambda: frames(2)} if decoded else {})


def _together(found: dict[str, float]) -> dict[str, float]:
    """Parts of an update as one."""
    update = found["G"] + found["D"] + found["R1"] / R1_EVERY
    return {"update": update} | {name: found[name] for name in ("native", "twice") if name in found}


def counted(kind: str, resolution: int, batch: int, frames: int, channel_base: int | None) -> dict[str, float]:
    """Multiply-adds per frame, 10^9, of update, native frame and twice the size; and the decoder's parameters."""
    with FakeTensorMode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch asks fake tensors where they lie, and warns of itself
        step = without_motion(networks(kind, resolution, batch, frames, channel_base))
        work = {name: worked(call) for name, call in calls(step, kind != "none").items()}
        decoder = step.generator.decoder
        size = 0 if decoder is None else sum(p.numel() for p in decoder.parameters())
    per_frame = {name: done.multiply_adds / (batch * frames) / 1e9 for name, done in work.items()}
    return _together(per_frame) | {"parameters": size}


def measured(
    kinds: Sequence[str], resolution: int, batch: int, frames: int, repeats: int, channel_base: int | None
) -> dict[str, dict[str, float]]:
    """Process-CPU seconds relative to no decoder, medians of the turns' own ratios; by kind and call."""
    steps = {}
    for kind in dict.fromkeys(("none", *kinds)):
        torch.manual_seed(0)
        steps[kind] = networks(kind, resolution, batch, frames, channel_base)
    turns: dict[str, list[dict[str, float]]] = {kind: [] for kind in steps}
    for turn in range(repeats + 1):  # the first one warms up
        for kind, step in steps.items():
            seconds = {name: _cpu_seconds(call) for name, call in calls(step, kind != "none").items()}
            if turn:
                turns[kind].append(_together(seconds))
    ratios: dict[str, dict[str, float]] = {}
    for kind in kinds:
        own = {"update": "update", "native": "native"} | ({"twice": "native"} if kind != "none" else {})
        ratios[kind] = {
            name: statistics.median(
                mine[name] / theirs[beside] for mine, theirs in zip(turns[kind], turns["none"], strict=True)
            )
            for name, beside in own.items()
        }
    return ratios


def _cpu_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def rows(
    kinds: Sequence[str], resolution: int, batch: int, frames: int, repeats: int, channel_base: int | None = None
) -> list[Row]:
    """Counts, and with ``repeats`` above 0 times.

    Args:
        kinds: Names of `KINDS`; "none" comes first of itself.
        resolution: Side of native frames.
        batch: Clips.
        frames: Of a clip.
        repeats: Turns that count; 0 leaves the times out.
        channel_base: Narrower or wider networks than the published ones.
    """
    kinds = list(dict.fromkeys(("none", *kinds)))
    work = {kind: counted(kind, resolution, batch, frames, channel_base) for kind in kinds}
    times = (
        measured(kinds, resolution, batch, frames, repeats, channel_base) if repeats else {kind: {} for kind in kinds}
    )
    plain, made = work["none"], []
    for kind in kinds:
        done, took = work[kind], times[kind]
        made.append(
            Row(
                kind,
                int(done["parameters"]),
                done["update"],
                done["native"],
                done.get("twice"),
                done["update"] / plain["update"],
                done["native"] / plain["native"],
                done["twice"] / plain["native"] if "twice" in done else None,
                *(took.get(name) for name in ("update", "native", "twice")),
            )
        )
    return made


def kept(found: Sequence[Row]) -> bool:
    """Whether ConvField, if it is there, keeps to its bounds in what was counted."""
    return all(
        row.update_count <= UPDATE_BOUND and row.twice_count <= TWICE_BOUND for row in found if row.kind == "ConvField"
    )


def table(found: Sequence[Row]) -> str:
    """The rows for people."""

    def cells(*values: float | None) -> str:
        return "".join(f"{'-':>10}" if value is None else f"{value:10.3f}" for value in values)

    lines = [
        f"{'':11}{'':>10}{'GMAC per frame':>30}{'of none, counted':>30}{'of none, CPU seconds':>30}",
        f"{'decoder':11}{'parameters':>10}" + f"{'update':>10}{'native':>10}{'twice':>10}" * 3,
    ]
    for row in found:
        gigamacs = cells(row.update_gigamacs, row.native_gigamacs, row.twice_gigamacs)
        counts = cells(row.update_count, row.native_count, row.twice_count)
        seconds = cells(row.update_seconds, row.native_seconds, row.twice_seconds)
        lines.append(f"{row.kind:11}{row.parameters:10}{gigamacs}{counts}{seconds}")
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/decoder_cost.py"):
        parser = Parser(prog="benchmarks/decoder_cost.py", description=__doc__)
        parser.add_argument("--resolution", type=int, default=256, help="side of native frames, pixels")
        parser.add_argument("--batch", type=int, default=1, help="clips")
        parser.add_argument("--frames", type=int, default=3, help="of a clip")
        parser.add_argument("--repeats", type=int, default=5, help="turns that are timed; 0 counts only")
        parser.add_argument("--kinds", type=list[str], default=list(KINDS), help="decoders to compare")
        parser.add_argument("--channel_base", type=int, default=None, help="other widths than the published ones")
        given = parser.parse_args(args)
        if min(given.resolution // 8, given.batch, given.frames) < 1 or given.repeats < 0:
            raise InputError("resolution, batch, frames, repeats: give at least 8, 1, 1 and 0")
        unknown = set(given.kinds) - set(KINDS)
        if unknown:
            raise InputError(f"kinds {sorted(unknown)}: give some of {', '.join(KINDS)}")
        sizes = given.resolution, given.batch, given.frames, given.repeats, given.channel_base
        keep_freed_memory()  # as training and sampling do
        found = rows(given.kinds, *sizes)
        print(table(found), file=sys.stderr)
        print(json.dumps({"threads": torch.get_num_threads(), "rows": [asdict(row) for row in found]}))
        if not kept(found):
            sys.exit(1)


if __name__ == "__main__":
    main()
