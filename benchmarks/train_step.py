"""Seconds of one training update, phase by phase, and how they compare with the original implementation.

    python benchmarks/train_step.py --resolution 128 --batch 4 --frames 3

A table goes to stderr, the same as JSON to stdout. Machines differ from hour to hour, so times are not compared as
they are: a 2048^3 float32 matrix product is measured before and after (median of 5 each), and the score of a phase is

    score = (multiply-adds per second of the phase / those of the matrix product), here
            over the same quotient of the recorded original.

A phase asks for the same multiply-adds on both sides, so their number cancels, and what is left is (recorded seconds x
recorded speed of the product) / (seconds here x speed of the product here). Above 1 is faster than the original. The
multiply-adds printed beside it are counted once, during the warm-up, over the operations that really run: they say how
much of the machine a phase uses and do not enter the score. The CPU score is the same with process-CPU seconds in both
places: on a machine that others use too it is the steadier of the two.
"""

from __future__ import annotations

import copy
import json
import math
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
from torch import Tensor, nn

from benchmarks.compiled import Beside, beside, said
from benchmarks.measuring import (
    ORIGINAL_PRODUCT,
    ORIGINAL_THREADS,
    Timing,
    choose_device,
    measure,
    measure_product,
    score,
)
from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v import losses
from stylegan_v.compiling import Backend, Compilation, Mode, compile_generator, compile_method, differentiated_twice
from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning, ProjectionConditioning

# The original implementation, plain PyTorch operations, 2 CPU cores: torch 2.13 CPU build, 2 threads, float32, full
# widths, no augmentation, no optimiser step, median of 2 or 3 calls after a warm-up.
# (resolution, clips, frames) -> phase -> (seconds, process-CPU seconds)
ORIGINAL: dict[tuple[int, int, int], dict[str, tuple[float, float]]] = {
    (64, 4, 3): {"forward": (4.2, 7.5), "G": (14.6, 26.8), "D": (12.1, 22.1), "R1": (13.3, 25.1)},
    (128, 4, 3): {"forward": (6.7, 12.5), "G": (22.8, 42.1), "D": (21.8, 39.9), "R1": (18.4, 35.8)},
    (256, 2, 3): {"forward": (3.3, 6.3), "G": (13.8, 25.6), "D": (17.6, 32.7), "R1": (17.6, 33.4)},
}
R1_EVERY = 16
COMPILED = ("forward", "G", "D")  # the phases that graphs have a part in
PHASES = ("forward", "G", "D", "R1", "optimizers", "EMA")
SIDES = tuple(2**n for n in range(3, 13))  # of frames, pixels

Precision = Literal["32", "bf16-mixed"]
Conditioning = Literal["projection", "hypernetwork"]


@dataclass
class Report:
    """What was measured, and on what."""

    settings: dict[str, object]
    parameters: dict[str, int]
    product_gflops: list[float] = field(default_factory=list)
    phases: dict[str, Timing] = field(default_factory=dict)
    update_seconds: float | None = None
    clips_per_second: float | None = None
    peak_memory_gib: float = 0.0
    compiled: dict[str, Beside] = field(default_factory=dict)


class TrainStep:
    """Networks, a batch, and the phases of one update, each a call.

    Args:
        generator: In training mode.
        discriminator: In training mode.
        batch: Clips.
        autocast: Makes the context of mixed precision.
        augment: Applied to every clip the discriminator sees.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        batch: int,
        *,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
        augment: Callable[[Tensor], Tensor] = lambda clip: clip,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.generator_ema = copy.deepcopy(generator).eval().requires_grad_(False)
        self.autocast, self.augment = autocast, augment
        self.keeps_gradients = False
        self.g_opt, self.d_opt = (
            torch.optim.Adam(net.parameters(), lr=0.002, betas=(0.0, 0.99)) for net in (generator, discriminator)
        )
        device = generator.synthesis.const.device
        frames = discriminator.num_frames
        self.real = torch.rand(batch, frames, 3, *generator.resolution, device=device) * 2 - 1
        self.z = torch.randn(batch, generator.z_dim, device=device)
        self.t = torch.arange(frames, device=device).expand(batch, -1) * 5

    def phases(self) -> dict[str, Callable[[], object]]:
        """The phases by name, in the order of an update; the first is not part of one."""
        return {
            "forward": self.forward,
            "G": self.update_generator,
            "D": self.update_discriminator,
            "R1": self.update_r1,
            "optimizers": self.step,
            "EMA": self.update_ema,
        }

    def forward(self) -> None:
        """One batch of samples in evaluation mode."""
        with torch.no_grad(), self.autocast():
            self.generator_ema(self.z, self.t.double())

    def logits(self, clip: Tensor) -> Tensor:
        return self.discriminator(self.augment(clip), self.t).float()

    def update_generator(self) -> None:
        self.forget(self.discriminator, self.generator)
        with self.autocast():
            loss = losses.generator_loss(self.logits(self.generator(self.z, self.t.double())))
        self.backward(loss, last=True)

    def update_discriminator(self) -> None:
        """Fakes and reals one after the other, each with its own backward pass."""
        self.forget(self.generator, self.discriminator)
        with self.autocast():
            with torch.no_grad():
                fake = self.generator(self.z, self.t.double())
            loss = losses.fake_loss(self.logits(fake))
        self.backward(loss)
        with self.autocast():
            loss = losses.real_loss(self.logits(self.real))
        self.backward(loss, last=True)

    def update_r1(self) -> None:
        self.forget(self.generator, self.discriminator)
        real = self.real.clone().requires_grad_()
        with self.autocast(), differentiated_twice():
            logits = self.logits(real)
        self.backward(losses.r1_penalty(logits, real), last=True)

    def backward(self, loss: Tensor, last: bool = False) -> None:
        """One backward pass; ``last`` is that of the phase."""
        loss.backward()

    def step(self) -> None:
        """Both optimisers; a parameter without a gradient gets a zero one, so that all of them are stepped."""
        for net, optimizer in ((self.generator, self.g_opt), (self.discriminator, self.d_opt)):
            for parameter in net.parameters():
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            optimizer.step()

    def update_ema(self) -> None:
        with torch.no_grad():
            averaged = list(self.generator_ema.parameters())
            torch._foreach_lerp_(averaged, list(self.generator.parameters()), 0.002)

    def forget(self, frozen: nn.Module, trained: nn.Module) -> None:
        """Only ``trained`` collects gradients, beginning with none."""
        frozen.requires_grad_(False)
        trained.requires_grad_(True)
        for parameter in trained.parameters():
            parameter.grad = torch.zeros_like(parameter) if self.keeps_gradients else None

    def compile(self, compilation: Compilation) -> None:
        """From now on the networks run as graphs, outside of R1.

        Args:
            compilation: How.
        """
        compilation.check(self.z.device)
        self.keeps_gradients = compilation.replays  # replayed graphs write theirs into the same memory again
        for generator in (self.generator, self.generator_ema):
            compile_generator(generator, compilation)
        compile_method(self.discriminator, "forward", compilation)


def check_sizes(resolution: int, batch: int = 1, frames: int = 1, *, least: int = 32) -> None:
    """Refuses sizes that the networks are not made for.

    Args:
        resolution: Side of the frames, pixels.
        batch: Clips.
        frames: Of a clip.
        least: Of the sides that there are: discriminators join frames at 16 pixels, below their first block.

    Raises:
        InputError: One of them is refused.
    """
    if resolution not in SIDES or resolution < least:
        raise InputError(f"resolution {resolution}: give a power of two from {least} to {SIDES[-1]}")
    if min(batch, frames) < 1:
        raise InputError("batch, frames: give numbers above 0")


def build(
    resolution: int,
    batch: int,
    frames: int,
    *,
    device: torch.device,
    precision: Precision = "32",
    conditioning: Conditioning = "projection",
    augment: bool = False,
    channel_base: int | None = None,
) -> TrainStep:
    """The full-width networks of the paper at ``resolution``, or narrower ones of ``channel_base``.

    Raises:
        InputError: There are no networks of such sizes.
    """
    check_sizes(resolution, batch, frames)
    channel_base = channel_base or (32768 if resolution >= 512 else 16384)
    conditioned = {"projection": ProjectionConditioning, "hypernetwork": HypernetworkConditioning}[conditioning]
    with device:
        generator = Generator(resolution, channel_base=channel_base)
        discriminator = Discriminator(
            resolution,
            conditioning=conditioned(num_frames=frames),
            channel_base=channel_base,
            mbstd_group_size=math.gcd(batch, 4),
        )
    options: dict[str, Callable] = {}
    if precision == "bf16-mixed":
        options["autocast"] = lambda: torch.autocast(device.type, torch.bfloat16)
    if augment:
        from stylegan_v.augment import AugmentPipe

        pipe = AugmentPipe().to(device)
        options["augment"] = lambda clip: pipe(clip, 0.5)
    return TrainStep(generator.train(), discriminator.train(), batch, **options)


def _memory_gib(device: torch.device) -> float:
    """Most memory held so far: of the device, or of the process since it started."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def add_scores(phases: dict[str, Timing], products: Sequence[Timing], recorded: dict[str, tuple[float, float]]) -> None:
    """Fills in the scores of the phases that were recorded."""
    wall = statistics.mean(2 * product.multiply_adds / product.seconds for product in products)
    cpu = statistics.mean(2 * product.multiply_adds / product.cpu_seconds for product in products)
    for name in phases.keys() & recorded.keys():
        timing, (seconds, cpu_seconds) = phases[name], recorded[name]
        timing.score = score(timing.seconds, wall, seconds, ORIGINAL_PRODUCT)
        timing.cpu_score = score(timing.cpu_seconds, cpu, cpu_seconds, ORIGINAL_PRODUCT / ORIGINAL_THREADS)


def train_step(
    resolution: int = 256,
    batch: int = 2,
    frames: int = 3,
    device: str = "auto",
    precision: Precision = "32",
    augment: bool = False,
    conditioning: Conditioning = "projection",
    phases: Sequence[str] = (),
    repeats: int = 3,
    channel_base: int | None = None,
    compile: Mode | None = None,
    backend: Backend = "inductor",
) -> Report:
    """Times the phases of one training update.

    Args:
        resolution: Side of the frames, pixels.
        batch: Clips.
        frames: Frames per clip.
        device: "cpu", "cuda" or "auto".
        precision: Float32 everywhere, or bfloat16 where autocast allows it.
        augment: Augment every clip the discriminator sees, each transform with probability 0.5.
        conditioning: Of the discriminator on time: of the released weights, or the default of our configs.
        phases: Only these: forward, G, D, R1, optimizers, EMA; none given means all.
        repeats: Calls per phase, after one to warm up; their median counts.
        channel_base: Narrower or wider networks than the published ones.
        compile: Also measure forward, G and D with compiled networks, by turns with those as they are: "default",
            "reduce-overhead" (CUDA graphs) or "max-autotune-no-cudagraphs".
        backend: Of compiling.
    """
    if unknown := set(phases) - set(PHASES):
        raise InputError(f"phases {sorted(unknown)}: give some of {', '.join(PHASES)}")
    if repeats < 1:
        raise InputError("repeats: give a number above 0")
    target, compilation = choose_device(device), None if compile is None else Compilation(backend, compile)
    torch.manual_seed(0)
    step = build(
        resolution,
        batch,
        frames,
        device=target,
        precision=precision,
        conditioning=conditioning,
        augment=augment,
        channel_base=channel_base,
    )
    plain = target.type == "cpu" and precision == "32" and not augment and channel_base is None
    recorded = ORIGINAL.get((resolution, batch, frames), {}) if plain and conditioning == "projection" else {}

    about = {"resolution": resolution, "batch": batch, "frames": frames, "device": str(target)}
    about |= {"precision": precision, "augment": augment, "conditioning": conditioning}
    sizes = {"G": step.generator, "D": step.discriminator}
    report = Report(
        settings={**about, "threads": torch.get_num_threads(), "torch": torch.__version__},
        parameters={name: sum(one.numel() for one in network.parameters()) for name, network in sizes.items()},
    )
    chosen = [name for name in PHASES if not phases or name in phases]
    products = [measure_product(target)]
    report.phases = {name: measure(step.phases()[name], target, repeats=repeats) for name in chosen}
    products.append(measure_product(target))
    report.product_gflops = [2 * product.multiply_adds / product.seconds for product in products]
    add_scores(report.phases, products, recorded)
    if compilation is not None:
        step.compile(compilation)
        report.settings |= {"compile": compile, "backend": backend}
        compiled = [name for name in chosen if name in COMPILED]
        report.compiled = {name: beside(step.phases()[name], target, rounds=repeats) for name in compiled}
    report.peak_memory_gib = _memory_gib(target)
    needed = {"G", "D", "R1", "optimizers", "EMA"}
    if needed <= report.phases.keys():
        seconds = {name: report.phases[name].seconds for name in needed}
        seconds["R1"] /= R1_EVERY  # lazy regularisation: one update in 16
        report.update_seconds = sum(seconds.values())
        report.clips_per_second = batch / report.update_seconds
    return report


def table(report: Report) -> str:
    """The report for people."""
    given = report.settings
    product = statistics.mean(report.product_gflops)
    lines = [
        f"{given['resolution']} px, {given['batch']} clips x {given['frames']} frames, {given['conditioning']}, "
        f"{given['precision']}, {given['device']}, {given['threads']} threads; "
        f"G {report.parameters['G'] / 1e6:.2f} M, D {report.parameters['D'] / 1e6:.2f} M parameters",
        f"matrix product {' / '.join(f'{speed:.0f}' for speed in report.product_gflops)} GFLOP/s "
        f"(original: {ORIGINAL_PRODUCT:.0f})",
        f"{'phase':12}{'seconds':>9}{'CPU s':>9}{'GMAC':>9}{'of product':>12}{'score':>8}{'CPU score':>11}",
    ]
    for name, timing in report.phases.items():
        share = 2 * timing.multiply_adds / timing.seconds / product
        verdict = ""
        if timing.score is not None:
            word = "faster" if timing.score > 1 else "slower"
            verdict = f"{timing.score:8.2f}{timing.cpu_score:11.2f}  {word}"
        lines.append(
            f"{name:12}{timing.seconds:9.3f}{timing.cpu_seconds:9.2f}{timing.multiply_adds:9.1f}{share:12.0%}{verdict}"
        )
    if report.update_seconds is not None:
        lines.append(
            f"update (R1 once in {R1_EVERY}): {report.update_seconds:.3f} s, {report.clips_per_second:.2f} clips/s, "
            f"peak memory {report.peak_memory_gib:.2f} GiB"
        )
    if report.compiled:
        unit = "CPU" if given["device"] == "cpu" else "GPU"
        lines.append(
            f"compiled ({given['backend']}, {given['compile']}), {unit} seconds by turns: plain, compiled, ratio"
        )
        lines += [said(name, found) for name, found in report.compiled.items()]
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """The command: `train_step` with its arguments as flags."""
    from jsonargparse import auto_cli

    with clear_errors("benchmarks/train_step.py"):
        report = auto_cli(train_step, args=args, as_positional=False, parser_class=Parser)
    print(table(report), file=sys.stderr)
    print(json.dumps(asdict(report), indent=1))


if __name__ == "__main__":
    main()
