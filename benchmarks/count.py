"""What an update has to do at least: multiply-adds and bytes of each phase and block, counted and not estimated.

    python benchmarks/count.py
    python benchmarks/count.py --resolutions 256 --batch 16 --blocks true

Networks of full width run on tensors without memory, so the count takes seconds at any size. Multiply-adds are those of
matrix products and convolutions. The bytes are a bound from below: every product and convolution reads its inputs and
writes its results once, in the precision given, and all that lies between them (biases, activations, resampling,
modulation) is thought of as done on the way, for nothing. Optimisers and moving averages are bound by bytes alone.

A machine of F operations and B bytes per second needs at least ``sum over operations of max(2 multiply-adds / F, bytes
/ B)`` seconds: with --teraflops and --terabytes the floor of each phase is printed too (`benchmarks/roofline.py`
measures both, and the phases). A table goes to stderr, the same as JSON to stdout.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.train_step import R1_EVERY, TrainStep, build
from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v.cost.counting import StillMotion, Work, tensors_in, worked

_ADAM_WORDS, _EMA_WORDS = 7, 3  # read and written per parameter: value, gradient, two means; value, average
PHASES = ("forward", "G", "D", "R1")


def without_motion(step: TrainStep) -> TrainStep:
    """The networks and phases of an update on tensors without memory, with a stand-in for the motion encoder."""
    step.generator.synthesis.motion = StillMotion(step.generator.synthesis.motion.out_dim)
    step.generator_ema = step.generator  # what is counted does not depend on the values
    return step


@dataclass(frozen=True)
class Block:
    """A part of a network by itself.

    Attributes:
        module: The part.
        args: What it was called with: tensors by their shapes, the rest as it is.
    """

    module: nn.Module
    args: tuple

    def inputs(self, device: torch.device | str = "cpu") -> list:
        """Arguments of the same shapes, random."""
        return [_like(value, device) for value in self.args]

    def run(self, inputs: Sequence) -> None:
        """Forward and backward."""
        out = self.module(*inputs)
        torch.autograd.backward([one.float().sum() for one in tensors_in([out])])


def _like(value: object, device: torch.device | str) -> object:
    if isinstance(value, torch.Size):
        layout = torch.channels_last if len(value) == 4 else torch.contiguous_format
        return torch.randn(*value, device=device).to(memory_format=layout).requires_grad_()
    return value


def blocks(step: TrainStep) -> dict[str, Block]:
    """Blocks of both networks by name, and what each is called with in a phase of training."""
    found: dict[str, Block] = {}
    named = {f"G {name}": block for name, block in step.generator.synthesis.blocks.items()}
    named |= {f"D {name}": block for name, block in step.discriminator.blocks.items()}
    named |= {"D fromrgb": step.discriminator.fromrgb, "D epilogue": step.discriminator.epilogue}

    def note(name: str) -> Callable:
        def hook(module: nn.Module, args: tuple) -> None:
            found.setdefault(name, Block(module, tuple(_shape(value) for value in args)))

        return hook

    hooks = [block.register_forward_pre_hook(note(name)) for name, block in named.items()]
    with torch.no_grad():
        step.logits(step.generator(step.z, step.t.double()))
    for hook in hooks:
        hook.remove()
    return found


def _shape(value: object) -> object:
    return value.shape if isinstance(value, Tensor) else value


def count(
    resolution: int,
    batch: int = 1,
    frames: int = 3,
    conditioning: str = "projection",
    channel_base: int | None = None,
) -> dict[str, Work]:
    """Work of the phases of an update, of the optimisers and averages, and of the blocks forward and backward.

    Args:
        resolution: Side of the frames, pixels.
        batch: Clips.
        frames: Frames per clip.
        conditioning: Of the discriminator: projection or hypernetwork.
        channel_base: Narrower or wider networks than the published ones.
    """
    with FakeTensorMode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch asks fake tensors where they lie, and warns of itself
        settings = {"conditioning": conditioning, "channel_base": channel_base}
        step = build(resolution, batch, frames, device=torch.device("cpu"), **settings)
        numbers = [sum(p.numel() for p in net.parameters()) for net in (step.generator, step.discriminator)]
        step = without_motion(step)
        found = {name: worked(call) for name, call in step.phases().items() if name in PHASES}
        step.generator.requires_grad_(True)
        parts = blocks(step)
        inputs = {name: block.inputs() for name, block in parts.items()}
        found |= {name: worked(lambda n=name: parts[n].run(inputs[n])) for name in parts}
    found["optimizers"] = Work(words=_ADAM_WORDS * sum(numbers))
    found["EMA"] = Work(words=_EMA_WORDS * numbers[0])
    found["update"] = _update(found)
    return found


def _update(found: dict[str, Work]) -> Work:
    """An update on the average: R1 comes once in a while."""
    r1 = found["R1"]
    rarely = Work([(n // R1_EVERY, values // R1_EVERY) for n, values in r1.operations])
    return found["G"] + found["D"] + rarely + found["optimizers"] + found["EMA"]


@dataclass
class Row:
    """One phase or block at one size, per frame of a clip.

    Attributes:
        resolution: Side of the frames.
        name: Of the phase or block.
        gigamacs: Multiply-adds, 10^9.
        megabytes: At least moved, 10^6 bytes.
        floor_ms: Milliseconds at least, where the machine's speeds were given.
    """

    resolution: int
    name: str
    gigamacs: float
    megabytes: float
    floor_ms: float | None = None


def rows(
    resolution: int,
    work: dict[str, Work],
    num_frames: int,
    width: int,
    teraflops: float | None = None,
    terabytes: float | None = None,
) -> list[Row]:
    """Work per frame.

    Args:
        resolution: Side of the frames.
        work: As `count` gives it.
        num_frames: Of all clips together.
        width: Bytes per value of a product.
        teraflops: 10^12 operations per second of the machine's matrix products.
        terabytes: 10^12 bytes per second that it moves.
    """
    made = []
    for name, done in work.items():
        row = Row(resolution, name, done.multiply_adds / num_frames / 1e9, done.bytes(width) / num_frames / 1e6)
        if teraflops and terabytes:
            row.floor_ms = 1e3 * done.seconds(teraflops, terabytes, width) / num_frames
        made.append(row)
    return made


def table(found: Sequence[Row]) -> str:
    """The rows for people."""
    lines = [f"{'px':>5} {'phase or block':16}{'GMAC/frame':>12}{'MB/frame':>10}{'ops/byte':>10}{'floor ms':>10}"]
    for row in found:
        density = 2e3 * row.gigamacs / row.megabytes
        floor = f"{row.floor_ms:10.4f}" if row.floor_ms is not None else ""
        lines.append(f"{row.resolution:5} {row.name:16}{row.gigamacs:12.3f}{row.megabytes:10.2f}{density:10.0f}{floor}")
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/count.py"):
        parser = Parser(prog="benchmarks/count.py", description=__doc__)
        parser.add_argument(
            "--resolutions", type=list[int], default=[64, 128, 256, 512], help="sides of frames, pixels"
        )
        parser.add_argument("--batch", type=int, default=16, help="clips: what weights cost is shared among them")
        parser.add_argument("--frames", type=int, default=3, help="of a clip")
        parser.add_argument("--conditioning", type=str, default="projection", help="projection or hypernetwork")
        parser.add_argument("--bytes", type=int, default=2, help="per value of a product: 2 is bfloat16, 4 float32")
        parser.add_argument("--blocks", type=bool, default=False, help="each block forward and backward, too")
        parser.add_argument("--teraflops", type=float, default=None, help="10^12 operations per second of the machine")
        parser.add_argument("--terabytes", type=float, default=None, help="10^12 bytes per second that it moves")
        given = parser.parse_args(args)
        if min(given.batch, given.frames, given.bytes, *given.resolutions) < 1:
            raise InputError("batch, frames, bytes, resolutions: give numbers above 0")
        if given.conditioning not in ("projection", "hypernetwork"):
            raise InputError(f"conditioning {given.conditioning!r}: give projection or hypernetwork")
        found: list[Row] = []
        for resolution in given.resolutions:
            work = count(resolution, given.batch, given.frames, given.conditioning)
            if not given.blocks:
                work = {name: done for name, done in work.items() if name[:2] not in ("G ", "D ")}
            speeds = given.teraflops, given.terabytes
            found += rows(resolution, work, given.batch * given.frames, given.bytes, *speeds)
        print(table(found), file=sys.stderr)
        print(json.dumps([vars(row) for row in found]))


if __name__ == "__main__":
    main()
