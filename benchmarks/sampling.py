"""Frames per second of one long video, and how that compares with the original implementation.

    python benchmarks/sampling.py --resolution 128 --frames 48 --chunk 16

A line for people goes to stderr, the figures as JSON to stdout. Machines differ from hour to hour, so the frames per
second are compared in units of a 2048^3 float32 matrix product measured before and after (median of 5 each): the
multiply-adds per second of sampling over those of the product, and the same quotient of the original's recorded speed.
Both sides need the same multiply-adds per frame, counted here over the operations that really run. A score above 1 is
faster than the original. What other programs take is left out of the same score by process-CPU seconds, which does not
see whether all threads are busy.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
from torch import Tensor

from benchmarks.compiled import Beside, beside, said
from benchmarks.measuring import ORIGINAL_PRODUCT, MultiplyAdds, choose_device, measure_product
from benchmarks.train_step import Precision, check_sizes
from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v.compiling import Backend, Compilation, Mode, compile_generator
from stylegan_v.networks import Generator
from stylegan_v.rendering import VideoLatents, draw_latents, render

# Frames per second of the original implementation, plain PyTorch operations, 2 CPU cores, float32, full widths: one
# video of 48 frames in chunks of 16, beside a matrix product of ORIGINAL_PRODUCT GFLOP/s (174 to 200).
ORIGINAL = {64: 3.1, 128: 2.1, 256: 1.5}


@dataclass
class Report:
    """What was measured, and on what.

    Attributes:
        settings: Of the run.
        frames_per_second: Of the whole video, median over repeats.
        cpu_seconds_per_frame: Process-CPU seconds per frame.
        multiply_adds_per_frame: In units of 10^9.
        product_gflops: Speed of the matrix product before and after, 10^9 operations per second.
        quotient: Multiply-adds per second of sampling over those of the product.
        original_quotient: The same of the recorded original; None where none was recorded.
        score: The first over the second.
        cpu_score: The same, with process-CPU seconds of sampling and of the product here.
        compiled: The whole video without and with a compiled network, where that was asked for.
    """

    settings: dict[str, object]
    frames_per_second: float
    cpu_seconds_per_frame: float
    multiply_adds_per_frame: float
    product_gflops: list[float]
    quotient: float
    original_quotient: float | None = None
    score: float | None = None
    cpu_score: float | None = None
    compiled: Beside | None = None


def sampling(
    resolution: int = 256,
    frames: int = 48,
    chunk: int = 16,
    device: str = "auto",
    precision: Precision = "32",
    repeats: int = 1,
    channel_base: int | None = None,
    compile: Mode | None = None,
    backend: Backend = "inductor",
) -> Report:
    """Times the rendering of one video.

    Args:
        resolution: Side of the frames, pixels.
        frames: Length of the video.
        chunk: Frames the network works on at once.
        device: "cpu", "cuda" or "auto".
        precision: Float32 everywhere, or bfloat16 where autocast allows it.
        repeats: Videos, after one chunk to warm up; the median counts.
        channel_base: A narrower or wider network than the published one.
        compile: Also measure the video with a compiled network, by turns with it as it is: "default",
            "reduce-overhead" (CUDA graphs) or "max-autotune-no-cudagraphs".
        backend: Of compiling.
    """
    check_sizes(resolution, least=8)
    if min(frames, chunk, repeats) < 1:
        raise InputError("frames, chunk, repeats: give numbers above 0")
    target, compilation = choose_device(device), None if compile is None else Compilation(backend, compile)
    torch.manual_seed(0)
    generator = Generator(resolution, channel_base=channel_base or (32768 if resolution >= 512 else 16384))
    generator = generator.to(target).eval()
    latents, t = draw_latents(generator, 0, [0]), torch.arange(frames, dtype=torch.float64)

    products = [measure_product(target)]
    autocast = torch.autocast(target.type, torch.bfloat16) if precision == "bf16-mixed" else nullcontext()
    with autocast:
        with MultiplyAdds() as counter:
            _render(generator, latents, t[:chunk], chunk)
        multiply_adds = counter.total / len(t[:chunk]) / 1e9
        timings = [_time(generator, latents, t, chunk) for _ in range(repeats)]
        compared = None
        if compilation is not None:
            compilation.check(target)
            compile_generator(generator, compilation)
            compared = beside(lambda: _render(generator, latents, t, chunk), target, rounds=repeats)
    products.append(measure_product(target))

    seconds, cpu_seconds = (statistics.median(column) for column in zip(*timings, strict=True))
    gflops = [2 * product.multiply_adds / product.seconds for product in products]
    report = Report(
        settings={
            "resolution": resolution,
            "frames": frames,
            "chunk": chunk,
            "device": str(target),
            "precision": precision,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
        frames_per_second=frames / seconds,
        cpu_seconds_per_frame=cpu_seconds / frames,
        multiply_adds_per_frame=multiply_adds,
        product_gflops=gflops,
        quotient=quotient(frames / seconds, multiply_adds, statistics.mean(gflops)),
        compiled=compared,
    )
    if target.type == "cpu" and precision == "32" and channel_base is None and resolution in ORIGINAL:
        report.original_quotient = quotient(ORIGINAL[resolution], multiply_adds, ORIGINAL_PRODUCT)
        report.score = report.quotient / report.original_quotient
        cpu_gflops = statistics.mean(2 * product.multiply_adds / product.cpu_seconds for product in products)
        report.cpu_score = quotient(frames / cpu_seconds, multiply_adds, cpu_gflops) / report.original_quotient
    return report


def quotient(frames_per_second: float, multiply_adds: float, product_gflops: float) -> float:
    """Multiply-adds per second of sampling over those of the matrix product.

    Args:
        frames_per_second: Of sampling.
        multiply_adds: Of one frame, in units of 10^9.
        product_gflops: Of the product; a multiply-add is two operations.
    """
    return frames_per_second * multiply_adds / (product_gflops / 2)


def _time(generator: Generator, latents: VideoLatents, t: Tensor, chunk: int) -> tuple[float, float]:
    """Wall-clock and process-CPU seconds of one video."""
    start = time.perf_counter(), time.process_time()
    _render(generator, latents, t, chunk)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def _render(generator: Generator, latents: VideoLatents, t: Tensor, chunk: int) -> None:
    """All frames, each brought to the host as a writer of videos would."""
    for frames in render(generator, latents, t, chunk=chunk):
        frames.cpu()


def main(args: Sequence[str] | None = None) -> None:
    """The command: `sampling` with its arguments as flags."""
    from jsonargparse import auto_cli

    with clear_errors("benchmarks/sampling.py"):
        report = auto_cli(sampling, args=args, as_positional=False, parser_class=Parser)
    given = report.settings
    against = (
        ""
        if report.score is None
        else f", original {report.original_quotient:.3f}: score {report.score:.2f} (CPU {report.cpu_score:.2f})"
    )
    print(
        f"{given['resolution']} px, {given['frames']} frames in chunks of {given['chunk']}, {given['device']}, "
        f"{given['precision']}, {given['threads']} threads: {report.frames_per_second:.2f} frames/s, "
        f"{report.multiply_adds_per_frame:.2f} GMAC per frame, "
        f"matrix product {' / '.join(f'{speed:.0f}' for speed in report.product_gflops)} GFLOP/s, "
        f"quotient {report.quotient:.3f}{against}",
        file=sys.stderr,
    )
    if report.compiled is not None:
        print(f"plain, compiled, ratio: {said('video', report.compiled)}", file=sys.stderr)
    print(json.dumps(asdict(report), indent=1))


if __name__ == "__main__":
    main()
