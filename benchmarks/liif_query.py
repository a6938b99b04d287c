"""Time and memory of LIIF's query in its fast form and in its published form, side by side.

    python benchmarks/liif_query.py

A model of EDSR-baseline's size with random weights, an input of 48 x 48 pixels, all pixels of outputs of x4 and x8, no
gradients, one thread. Encoding is the same for both and left out. Each form first searches for the chunk that suits it
best, then both take turns, and medians of process-CPU seconds are compared. Memory is the peak above what there was
before and above the output itself, in a fresh process for each: of the whole process as the system tells it (Linux),
and of the tensors that are alive at once. A table goes to stderr, the same as JSON to stdout. The exit code is 1 where

- the published form does not take 1.7 times as long as the fast one, or
- the fast form's peak grows with the output, or is more than a quarter of the published form's in one chunk.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
from torch import Tensor

from benchmarks.measuring import MultiplyAdds
from benchmarks.memory import ALLOCATOR, MIB, LiveTensors, resident_peak
from command_line import Parser
from errors import clear_errors
from fields.encoders import EDSR
from fields.liif import LIIF

RATIO = 1.7
SHARE = 1 / 4  # of the published form's peak in one chunk
SLACK = 0.5  # MiB by which two peaks may differ and still be called the same
CHUNKS = (128, 512, 2048, 8192)  # what is tried, beside all points at once in the published form
FORMS = ("fast", "published")


@dataclass(frozen=True)
class Setting:
    """The model and its input.

    Args:
        side: Height and width of the input, pixels.
        num_blocks: Of the encoder.
        num_features: Of the encoder.
        width: Of each of the perceptron's four hidden layers.
    """

    side: int = 48
    num_blocks: int = 16
    num_features: int = 64
    width: int = 256

    def model(self) -> LIIF:
        """With the same random weights each time."""
        torch.manual_seed(0)
        return LIIF(EDSR(self.num_blocks, self.num_features), (self.width,) * 4).eval()

    @torch.no_grad()
    def features(self, model: LIIF) -> Tensor:
        """Of one image of noise."""
        return model.encode(torch.rand(1, 3, self.side, self.side) * 2 - 1)


@dataclass(frozen=True)
class Peak:
    """Most memory above the output, MiB.

    Args:
        process: Growth of the resident set; None where the system does not tell.
        tensors: Tensors alive at once.
    """

    process: float | None
    tensors: float


@dataclass(frozen=True)
class Row:
    """Both forms at one scale.

    Args:
        scale: Of the output.
        searched: Process-CPU seconds by form and chunk.
        chunks: The best of each form.
        seconds: Process-CPU seconds of each form at its best chunk, medians.
        multiply_adds: Of each form, in units of 10^9.
        ratios: Published over fast of each round; `ratio` is that of the medians.
        peaks: By form at its best chunk, and of the published form in one.
    """

    scale: int
    searched: dict[str, dict[int, float]]
    chunks: dict[str, int]
    seconds: dict[str, float]
    multiply_adds: dict[str, float]
    ratios: list[float]
    peaks: dict[str, Peak] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times as long the published form takes."""
        return self.seconds["published"] / self.seconds["fast"]


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for all operations."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def render(model: LIIF, features: Tensor, form: str, scale: int, chunk: int) -> Tensor:
    """All pixels of the output, in one of the forms."""
    model.form = form
    height, width = features.shape[-2:]
    return model.render_features(features, (height * scale, width * scale), chunk=chunk)


def cpu_seconds(call: Callable[[], object]) -> float:
    """Process-CPU seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def multiply_adds(call: Callable[[], object]) -> float:
    """Of the matrix products and convolutions of a call, in units of 10^9."""
    with MultiplyAdds() as counter:
        call()
    return counter.total / 1e9


def search(model: LIIF, features: Tensor, scale: int, chunks: Sequence[int]) -> dict[str, dict[int, float]]:
    """Process-CPU seconds by form and chunk; all points at once is tried for the published form."""
    count = features.shape[-2] * features.shape[-1] * scale**2
    found: dict[str, dict[int, float]] = {form: {} for form in FORMS}
    for form in FORMS:
        for chunk in [*chunks, *([count] if form == "published" else [])]:
            found[form][chunk] = cpu_seconds(lambda form=form, chunk=chunk: render(model, features, form, scale, chunk))
    return found


def compare(model: LIIF, features: Tensor, scale: int, rounds: int, chunks: Sequence[int] = CHUNKS) -> Row:
    """Times both forms in turns, each at its best chunk; the one that begins alternates."""
    searched = search(model, features, scale, chunks)
    best = {form: min(seconds, key=seconds.get) for form, seconds in searched.items()}
    taken: dict[str, list[float]] = {form: [] for form in FORMS}
    for number in range(rounds):
        for form in FORMS if number % 2 else reversed(FORMS):
            taken[form].append(cpu_seconds(lambda form=form: render(model, features, form, scale, best[form])))
    ratios = [published / fast for fast, published in zip(taken["fast"], taken["published"], strict=True)]
    medians = {form: statistics.median(seconds) for form, seconds in taken.items()}
    counts = {form: multiply_adds(lambda form=form: render(model, features, form, scale, best[form])) for form in FORMS}
    return Row(scale, searched, best, medians, counts, ratios)


def measure_peak(setting: Setting, form: str, scale: int, chunk: int) -> Peak:
    """Memory above the output of one form."""
    with one_thread():
        model = setting.model()
        features = setting.features(model)
        render(model, features[..., :4, :4], form, 2, chunk)  # what torch sets up with the first use
        output = 3 * features[0, 0].numel() * scale**2 * 4 / MIB
        grown = resident_peak(lambda: render(model, features, form, scale, chunk))
        with LiveTensors() as live:
            render(model, features, form, scale, chunk)
    return Peak(None if grown is None else grown - output, live.peak / MIB - output)


def in_fresh_process(setting: Setting, form: str, scale: int, chunk: int) -> Peak:
    """What `measure_peak` says in a process of its own."""
    given = json.dumps({**asdict(setting), "form": form, "scale": scale, "chunk": chunk})
    command = [sys.executable, __file__, "--measure", given]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | ALLOCATOR)
    return Peak(**json.loads(done.stdout))


def add_peaks(setting: Setting, rows: list[Row]) -> None:
    """Memory of all rows: of the fast form in the same chunk at every scale, so that they can be compared."""
    chunk = max(row.chunks["fast"] for row in rows)
    for row in rows:
        count = setting.side**2 * row.scale**2
        row.peaks["fast"] = in_fresh_process(setting, "fast", row.scale, chunk)
        row.peaks["published"] = in_fresh_process(setting, "published", row.scale, row.chunks["published"])
        row.peaks["published in one"] = in_fresh_process(setting, "published", row.scale, count)


def failures(rows: list[Row], ratio: float = RATIO) -> list[str]:
    """What is not as it should be.

    Args:
        rows: With peaks, the smallest output first.
        ratio: What the published form's time must be, in units of the fast one's.
    """
    wrong = [f"x{row.scale}: ratio {row.ratio:.2f}, not {ratio:g}" for row in rows if not row.ratio >= ratio]
    for kind in ("process", "tensors"):
        for row in rows:
            peaks = {name: getattr(peak, kind) for name, peak in row.peaks.items()}
            if None in peaks.values():
                continue
            if not peaks["fast"] <= getattr(rows[0].peaks["fast"], kind) + SLACK:
                wrong.append(f"x{row.scale}: the peak of the {kind} grows with the output")
            if not peaks["fast"] <= SHARE * peaks["published in one"]:
                wrong.append(f"x{row.scale}: the peak of the {kind} is more than {SHARE:g} of the published form's")
    return wrong


def table(rows: list[Row]) -> str:
    """A line per scale and form, and what was found in the search."""
    lines = [f"{'':24}{'chunk':>8}{'CPU s':>8}{'ratio':>7}{'process MiB':>13}{'tensors MiB':>13}"]
    for row in rows:
        count = max(row.searched["published"])
        chunks = {"fast": row.chunks["fast"], "published": row.chunks["published"], "published in one": count}
        for name, peak in row.peaks.items():
            seconds = row.seconds.get(name, row.searched["published"][count])
            ratio = f"{seconds / row.seconds['fast']:.2f}"
            process = "-" if peak.process is None else f"{peak.process:.1f}"
            figures = f"{chunks[name]:8}{seconds:8.3f}{ratio:>7}{process:>13}{peak.tensors:13.1f}"
            lines.append(f"{f'x{row.scale} {name}':24}{figures}")
    for row in rows:
        counts = " and ".join(f"{row.multiply_adds[form]:.1f}" for form in FORMS)
        lines.append(
            f"x{row.scale}: ratio {min(row.ratios):.2f} to {max(row.ratios):.2f} over the rounds; {counts} GMAC"
        )
        for form, found in row.searched.items():
            searched = ", ".join(f"{chunk}: {seconds:.3f}" for chunk, seconds in found.items())
            lines.append(f"x{row.scale} {form}, seconds by chunk: {searched}")
    return "\n".join(lines)


def benchmark(
    scales: Sequence[int] = (4, 8),
    rounds: int = 5,
    ratio: float = RATIO,
    side: int = 48,
    num_blocks: int = 16,
    num_features: int = 64,
    width: int = 256,
) -> int:
    """Measures, prints; the number of things that are not as they should be.

    Args:
        scales: Of the outputs.
        rounds: Turns of each form; medians count.
        ratio: What the published form must take, in units of the fast form's time.
        side: Height and width of the input, pixels.
        num_blocks: Of the encoder.
        num_features: Of the encoder.
        width: Of each of the perceptron's four hidden layers.
    """
    setting = Setting(side, num_blocks, num_features, width)
    with one_thread():
        model = setting.model()
        features = setting.features(model)
        # With a chunk beyond the smallest output, memory would grow with the output.
        smallest = (side * min(scales)) ** 2
        chunks = [chunk for chunk in CHUNKS if chunk <= smallest] or [smallest]
        rows = [compare(model, features, scale, rounds, chunks) for scale in sorted(scales)]
    add_peaks(setting, rows)
    wrong = failures(rows, ratio)
    print(table(rows), *wrong, sep="\n", file=sys.stderr)
    settings = {**asdict(setting), "rounds": rounds, "torch": torch.__version__}
    print(json.dumps({**settings, "rows": [{**asdict(row), "ratio": row.ratio} for row in rows], "failures": wrong}))
    return len(wrong)


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    args = sys.argv[1:] if args is None else args
    if args[:1] == ["--measure"]:
        given = json.loads(args[1])
        form, scale, chunk = (given.pop(name) for name in ("form", "scale", "chunk"))
        print(json.dumps(asdict(measure_peak(Setting(**given), form, scale, chunk))))
        return
    with clear_errors("benchmarks/liif_query.py"):
        parser = Parser(prog="benchmarks/liif_query.py", description=__doc__)
        parser.add_function_arguments(benchmark)
        if benchmark(**parser.parse_args(args).as_dict()):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
