"""An update of a video GAN without memory or time: its operations, and the bytes that are alive at its fullest moment.

The networks are copied with tensors that have a shape and no memory, so this takes seconds at any size and no room.
Every operation of forward and backward passes is met, whatever the networks are made of, and activations that are
thrown away and made again are so here, too.

Memory is the sum of what lies there all the time (weights, the averaged generator, the two running means of Adam, the
gradients of both networks, the clips of the batch) and of what is alive at once in the phase that needs most. Beyond it
a device holds what its libraries take: a CUDA context (about half a GB), workspaces of convolutions, fragments.
Augmentation asks its numbers for their values, so it is measured on one real clip and multiplied. Left out are the
motion encoder, whose work is small; with views every clip is counted as a whole native frame.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from stylegan_v import losses
from stylegan_v.augment import AugmentPipe
from stylegan_v.cost.counting import Counter, LiveTensors, StillMotion, Work
from stylegan_v.networks import Discriminator, Generator

_ADAM_MEANS = 2
_PIXEL_BYTES = 1 + 4  # of real clips: as the loader brings them, and as the networks take them


@dataclass(frozen=True)
class Phase:
    """A part of an update, on one micro-batch.

    Attributes:
        work: What it does.
        peak: Most bytes of what it makes that are alive at once, gradients included.
        every: Updates from one to the next.
    """

    work: Work
    peak: int
    every: int = 1


@dataclass(frozen=True)
class Cost:
    """What a run costs on each device.

    Attributes:
        parameters: Of the networks that are trained, by name.
        phases: Of an update, by name, for each micro-batch.
        clips: Of a micro-batch.
        standing: Bytes that are there all the time: weights, average, optimisers, clips of the batch; what augmentation
            takes.
        gradients: Bytes of the gradients of both networks.
        peak: Bytes of all that is alive at once, at most.
    """

    parameters: dict[str, int]
    phases: dict[str, Phase]
    clips: int
    standing: int
    gradients: int
    peak: int

    @property
    def operations_per_clip(self) -> float:
        """Floating-point operations of an update for each clip of its batch, rare phases by their share."""
        found = sum(2 * phase.work.multiply_adds / phase.every for phase in self.phases.values())
        return found / self.clips

    @property
    def fullest(self) -> str:
        """The phase that needs most memory."""
        return max(self.phases, key=lambda name: self.phases[name].peak)


def rehearse(
    generator: Generator,
    discriminator: Discriminator,
    clips: int,
    *,
    num_micro_batches: int = 1,
    bf16: bool = False,
    augment: AugmentPipe | None = None,
    r1_every: int | None = 16,
    pl_every: int | None = None,
) -> Cost:
    """What an update will cost; the networks stay as they are.

    Args:
        generator: As it will be trained.
        discriminator: Likewise.
        clips: Of a batch on one device.
        num_micro_batches: Parts in which they are worked through.
        bf16: Whether autocast to bfloat16 is on.
        augment: What the discriminator sees clips through; its memory counts, its work does.
        r1_every: Updates from one R1 step to the next; None: none.
        pl_every: Updates from one path length step to the next; None: none.
    """
    sizes = {"generator": _bytes(generator), "discriminator": _bytes(discriminator)}
    parameters = {name: _count(net) for name, net in (("generator", generator), ("discriminator", discriminator))}
    clip = torch.Size([1, discriminator.num_frames, 3, *generator.resolution])
    trained = 4 * sum(parameters.values())
    standing = 2 * sizes["generator"] + sizes["discriminator"] + _ADAM_MEANS * trained
    standing += clips * clip.numel() * _PIXEL_BYTES
    if augment is not None:
        standing += clips // num_micro_batches * _augmenting(augment, clip)
    with FakeTensorMode(allow_non_fake_inputs=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch asks such tensors where they lie, and warns of itself
        update = _Update(generator, discriminator, clips // num_micro_batches, bf16=bf16)
        phases = {
            "generator": update.measured(update.generator_step),
            "discriminator": update.measured(update.discriminator_step),
        }
        if r1_every is not None:
            phases["R1"] = update.measured(update.r1_step, r1_every)
        if pl_every is not None:
            phases["path length"] = update.measured(update.path_length_step, pl_every)
    others = {name: 4 * parameters["discriminator" if _moves_generator(name) else "generator"] for name in phases}
    peak = standing + max(phase.peak + others[name] for name, phase in phases.items())
    return Cost(parameters, phases, clips // num_micro_batches, standing, trained, peak)


def _moves_generator(phase: str) -> bool:
    return phase in ("generator", "path length")


def _bytes(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _augmenting(augment: AugmentPipe, shape: torch.Size) -> int:
    """Bytes that augmentation of a clip takes, at most; the state of random generators stays."""
    with torch.random.fork_rng(devices=[]):
        clip, pipe = torch.rand(shape).requires_grad_(), copy.deepcopy(augment).cpu()
        with LiveTensors() as live:
            pipe(clip, 0.5)
    return live.peak


def _without_memory(module: nn.Module) -> nn.Module:
    """A copy on tensors of the same layout; to be called where new tensors have no memory."""

    def like(tensor: Tensor) -> Tensor:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")

    known = {id(p): nn.Parameter(like(p), requires_grad=p.requires_grad) for p in module.parameters()}
    known |= {id(buffer): like(buffer) for buffer in module.buffers()}
    return copy.deepcopy(module, known)


class _Update:
    """The phases of an update (`stylegan_v.gan.VideoGAN`) on one micro-batch, each from no gradients."""

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        clips: int,
        *,
        bf16: bool,
    ) -> None:
        motion, modulation = generator.synthesis.motion, generator.synthesis.temporal_modulation
        self.generator, self.discriminator = _without_memory(generator), _without_memory(discriminator)
        segment = 0 if modulation is None else 1 + 2 * modulation.v_dim
        self.generator.synthesis.motion = StillMotion(motion.out_dim, segment)
        self.bf16 = bf16
        self.t = torch.arange(discriminator.num_frames).expand(clips, -1).double()
        self.z = torch.randn(clips, generator.z_dim)
        self.c = torch.randn(clips, generator.c_dim) if generator.c_dim else None
        self.real = torch.randn(clips, discriminator.num_frames, 3, *generator.resolution)

    def measured(self, call: Callable[[], None], every: int = 1) -> Phase:
        """What a phase does and holds."""
        for parameter in (*self.generator.parameters(), *self.discriminator.parameters()):
            parameter.grad = None
        with LiveTensors() as live, Counter() as counter:
            call()
        return Phase(counter.work, live.peak, every)

    def autocast(self) -> AbstractContextManager:
        return torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext()

    def fakes(self) -> tuple[Tensor, Tensor]:
        ws = self.generator.mapping(self.z, self.c, update_w_avg=False)
        return self.generator.synthesis(ws, self.t, self.c), ws

    def judge(self, clip: Tensor) -> Tensor:
        return self.discriminator(clip, self.t, self.c)

    def generator_step(self) -> None:
        with _frozen(self.discriminator):
            with self.autocast():
                fake, _ = self.fakes()
                loss = losses.generator_loss(self.judge(fake))
            loss.backward()

    def discriminator_step(self) -> None:
        with self.autocast():
            with torch.no_grad():
                fake, _ = self.fakes()
            loss = losses.fake_loss(self.judge(fake))
        loss.backward()
        with self.autocast():
            loss = losses.real_loss(self.judge(self.real))
        loss.backward()

    def r1_step(self) -> None:
        real = self.real.detach().requires_grad_()
        with self.autocast():
            logits = self.judge(real)
        losses.r1_penalty(logits, real).backward()

    def path_length_step(self) -> None:
        """As if the whole micro-batch took part: it does where the first half of the batch is one."""
        with self.autocast():
            fake, ws = self.fakes()
        lengths = losses.path_lengths(fake, ws, torch.randn_like(fake))
        lengths.sum().backward()


class _frozen:  # noqa: N801  (used as a word)
    """While it lasts, a network collects no gradients; those that never did stay so."""

    def __init__(self, network: nn.Module) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]

    def __enter__(self) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(True)
