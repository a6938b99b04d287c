"""The video GAN in training: the adversarial step of StyleGAN-V as verbs, the averaged generator, the counters.

Shape legend
    B       clips of a micro-batch
    L, D    layers that take a style, width of a style (``w_dim``)

Clip ``n`` of the global batch belongs to part n mod P, with P = ranks x micro-batches; everything drawn for it is a
function of (seed, update, phase, n), and gradients are means over the parts. So every split of a batch, over processes
or micro-batches, gives the gradients of the whole, minibatch standard deviation included.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from pytorch_lightning import LightningModule
from pytorch_lightning.cli import OptimizerCallable
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.utilities.rank_zero import rank_zero_info
from torch import Tensor, nn

from datasets.datamodule import ClipDataModule
from errors import InputError
from stylegan_v import losses, schedules, steps
from stylegan_v.agreement import check_agreement, check_split, check_trainer, check_views
from stylegan_v.augment import AdaptiveProbability, AugmentPipe
from stylegan_v.compiling import differentiated_twice
from stylegan_v.distributed import Exchange, average_over_ranks, num_ranks, summed_over_ranks
from stylegan_v.multi_scale import MultiScale
from stylegan_v.networks import Discriminator, Generator
from stylegan_v.noise import AddressedRandom
from stylegan_v.optimizers import make_optimizer
from stylegan_v.r1 import ExactR1
from stylegan_v.training_clips import Clips, draw_clips, draw_inputs, split
from stylegan_v.transfer import Table, start_from

_COUNTERS = ("updates", "num_clips", "num_frames")


class VideoGAN(LightningModule):
    """StyleGAN-V (Skorokhodov et al. 2022) with lazy regularisation, adaptive augmentation and an averaged generator.

    Args:
        generator: Latents and times to frames.
        discriminator: Clips and times to one logit each.
        g_optimizer: Optimiser of the generator; its learning rate and betas are corrected for ``pl_every``.
        d_optimizer: Optimiser of the discriminator, corrected for ``r1_every``.
        augment: Transforms what the discriminator sees; None shows it the clips as they are.
        ada: Probability of each of these transforms; None with ``augment``: adaptive with its defaults.
        r1_gamma: Weight of the R1 penalty; None: 0.0002 H W / batch size; 0 leaves the phase out.
        r1_every: Updates between two R1 steps.
        r1: How the gradient of this penalty comes about; None: exactly, by differentiating twice.
        generator_regularization: Path length penalty and style mixing.
        ema_kclips: Half-life of the averaged generator, thousands of clips; None: 10 batch size / 32.
        ema_rampup: Largest half-life as a share of the clips seen so far; None: no ramp-up.
        total_kimg: Length of the run, thousands of real frames shown.
        num_micro_batches: Parts in which a process works through its share of a batch, to save memory.
        freeze_d: Number of first discriminator layers that stay as they are.
        multi_scale: Losses that hold the scales of a generator with a decoder together, where the data have views;
            None: none.
        init_from: Weights that a new run starts from: a run folder, a checkpoint, a folder or file of weights, a
            snapshot of the original system. What fits is taken, what has a meaning adapted. Resuming does not read it.
        max_bad_updates: So many steps of one phase in a row with a loss or gradient that is not finite end the run.
        overlap_exchange: Whether gradients travel between processes while the last backward pass of a step still makes
            more of them. Worth trying between machines; within one the exchange is short.
    """

    reduces_own_gradients = True  # see `distributed.OwnReductionDDPStrategy`

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        g_optimizer: OptimizerCallable = lambda params: steps.AdversarialAdam(params),
        d_optimizer: OptimizerCallable = lambda params: steps.AdversarialAdam(params),
        augment: AugmentPipe | None = None,
        ada: AdaptiveProbability | None = None,
        r1_gamma: float | None = None,
        r1_every: int = 16,
        r1: ExactR1 | None = None,
        generator_regularization: schedules.GeneratorRegularization = schedules.GeneratorRegularization(),  # noqa: B008
        ema_kclips: float | None = None,
        ema_rampup: float | None = 0.05,
        total_kimg: float = 25000,
        num_micro_batches: int = 1,
        freeze_d: int = 0,
        multi_scale: MultiScale | None = None,
        init_from: str | None = None,
        max_bad_updates: int = 20,
        overlap_exchange: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = generator, discriminator
        self.generator_ema = copy.deepcopy(generator).eval().requires_grad_(False)
        self.discriminator.freeze_layers(freeze_d)
        self.g_optimizer, self.d_optimizer = g_optimizer, d_optimizer
        if ada is not None and augment is None:
            raise InputError("model.ada: there is nothing to apply with this probability; give model.augment too")
        self.augment, self.augment_p = augment, 0.0
        self.ada = AdaptiveProbability() if ada is None and augment is not None else ada
        self.r1_gamma, self.r1_every, self.r1 = r1_gamma, r1_every, ExactR1() if r1 is None else r1
        self.regularization = generator_regularization
        self.ema_kclips, self.ema_rampup = ema_kclips, ema_rampup
        self.total_kimg, self.num_micro_batches = total_kimg, num_micro_batches
        self.register_buffer("mean_path_length", torch.zeros(()))
        self.updates = self.num_clips = self.num_frames = 0
        self.multi_scale = multi_scale
        self.init_from = init_from
        self.resumed = False
        self.started_from: Table | None = None  # what became of the source's tensors, where this start read them
        self.past_clips: int | None = 0  # clips seen by the weights that the run started from; None: not known
        self.guard = steps.DivergenceGuard(max_bad_updates)
        self.overlap_exchange = overlap_exchange
        self.exchange: Exchange | None = None  # of the gradients of the step under way, where it is overlapped
        self.keeps_gradients = False  # in the same memory for the whole run, as replayed CUDA graphs need it
        self.finite: dict[str, Tensor] = {}  # whether the steps of this update were taken, by phase
        self.latest: dict[str, Tensor] = {}  # what was last measured, by name

    # The algorithm (StyleGAN2-ADA's loop with StyleGAN-V's clips; all phases run in update 0).

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        numbers = list(range(self.global_rank, self.data.batch_size, self.trainer.world_size))
        reals = split(batch, numbers, self.num_micro_batches)
        self.update_generator(reals)
        if self.regularization.pl_weight > 0 and self.updates % self.regularization.pl_every == 0:
            self.update_path_length(reals)
        self.update_discriminator(reals)
        if self.gamma > 0 and self.updates % self.r1_every == 0:
            self.update_r1(reals)
        self.update_ema()
        self.update_counters()
        if self.ada is not None:
            self.ada.update(self.data.batch_size, summed_over_ranks)
        self.report()

    def update_generator(self, reals: list[Clips]) -> None:
        """Moves the generator towards clips that the discriminator takes for real."""
        with self.step("generator", self.optimizers()[0]) as means:
            for real in reals:
                fake, ws = self.generate(real.numbers, "generator")
                logits = self.judge(fake, "generator")
                loss = losses.generator_loss(logits)
                self.backpropagate((loss + self.scale_losses(fake, means)) / len(reals), last=real is reals[-1])
                means.record({"loss/g": loss, "w": ws[:, 0].mean(dim=0)} | fake.facts)

    def update_path_length(self, reals: list[Clips]) -> None:
        """Evens out how far clips move with their styles (StyleGAN2, section 3.2), on the first half of the batch."""
        half = (self.data.batch_size + 1) // 2
        parts = [numbers for real in reals if (numbers := [n for n in real.numbers if n < half])]
        places = [self.on_device(torch.tensor(numbers)) for numbers in parts]
        gain = self.regularization.pl_weight * self.regularization.pl_every * num_ranks()
        with self.step("path_length", self.optimizers()[0]) as means:
            # The penalty couples all clips through their mean: all lengths first, then its gradient by the chain rule.
            lengths = torch.zeros(half, device=self.device)
            for numbers, place in zip(parts, places, strict=True):
                lengths[place] = self.path_lengths(numbers).detach()
            lengths = summed_over_ranks(lengths).requires_grad_()
            penalty, mean = losses.path_length_deviation(lengths, self.mean_path_length)
            (slopes,) = torch.autograd.grad(penalty, lengths)
            for numbers, place in zip(parts, places, strict=True):
                penalized = (self.path_lengths(numbers) * slopes[place]).sum() * gain
                self.backpropagate(penalized, last=numbers is parts[-1])
            means |= {"loss/path_length": penalty.detach(), "path_length": mean}
        self.mean_path_length.copy_(torch.where(self.finite["path_length"], mean, self.mean_path_length))

    def update_discriminator(self, reals: list[Clips]) -> None:
        """Moves the discriminator towards telling real clips from generated ones."""
        with self.step("discriminator", self.optimizers()[1]) as means:
            for real in reals:
                with torch.no_grad():
                    fake, ws = self.generate(real.numbers, "discriminator")
                fake_logits = self.judge(fake, "discriminator/fake")
                fake_loss = losses.fake_loss(fake_logits)
                self.backpropagate(fake_loss / len(reals))
                real_logits = self.judge(real, "discriminator/real")
                real_loss = losses.real_loss(real_logits)
                self.backpropagate(real_loss / len(reals), last=real is reals[-1])
                means.record({"loss/d": fake_loss.detach() + real_loss.detach(), "w": ws[:, 0].mean(dim=0)})
                means.record({"scores/fake": fake_logits.mean(), "scores/real": real_logits.mean()})
                means.record({"signs/fake": fake_logits.sign().mean(), "signs/real": real_logits.sign().mean()})
                if self.ada is not None:
                    self.ada.observe(real_logits.detach())

    def update_r1(self, reals: list[Clips]) -> None:
        """Flattens the discriminator around real clips (R1, Mescheder et al. 2018)."""
        weight = self.gamma / 2 * self.r1_every / len(reals)
        with self.step("r1", self.optimizers()[1]) as means:
            for number, real in enumerate(reals, start=1):

                def judge(clip: Tensor, real: Clips = real) -> Tensor:
                    with differentiated_twice():
                        return self.judge(replace(real, clip=clip), "r1")

                def backpropagate(loss: Tensor, last: bool, done: bool = number == len(reals)) -> None:
                    self.backpropagate(loss * weight, last=last and done)

                means.record({"loss/r1": self.r1(judge, real.clip, real.shares, backpropagate)})

    def update_ema(self) -> None:
        """Moves the averaged generator's parameters towards the generator's and copies its buffers."""
        # A ramp-up forgets random initial weights; those of a source go on from where they were.
        rampup = None if self.past_clips is None else self.ema_rampup
        num_clips = (self.past_clips or 0) + self.num_clips
        beta = schedules.ema_beta(self.data.batch_size, self.ema_kclips, rampup=rampup, num_clips=num_clips)
        steps.move_average(self.generator_ema, self.generator, beta)

    def update_counters(self) -> None:
        """Counts the update; ends the run after ``total_kimg``."""
        self.updates += 1
        self.num_clips += self.data.batch_size
        self.num_frames += self.data.batch_size * self.discriminator.num_frames
        self.data.start_update = self.updates  # where the sampler of a resumed run begins
        self.stop_if_done()

    # What the verbs are made of.

    @contextmanager
    def step(self, phase: str, optimizer: LightningOptimizer) -> Iterator[steps.Means]:
        """One step of one optimiser on the gradients that the body leaves behind.

        They are averaged over ranks, together with what the body records; where any of it is not finite, neither
        parameters nor running means move.
        """
        means = steps.Means(self.num_micro_batches)
        optimizer.zero_grad(set_to_none=not self.keeps_gradients)
        if self.keeps_gradients:
            steps.gradients_of(optimizer.optimizer)
        if self.overlap_exchange:
            self.exchange = Exchange(steps.in_order_of_use(optimizer.optimizer))
        with self.toggled_optimizer(optimizer):
            yield means
        gradients = steps.gradients_of(optimizer.optimizer)
        if self.exchange is None:
            average_over_ranks([*gradients, *means.values()])
        else:
            self.exchange.finish(list(means.values()))
            self.exchange = None
        self.on_gradients(phase)
        norm = steps.gradient_norm(gradients)
        finite = self.finite[phase] = steps.all_finite(norm, *means.values())
        steps.step_if(finite, optimizer.optimizer, optimizer)
        if "w" in means:
            mapping = self.generator.mapping
            mapping.track(torch.where(finite, means.pop("w"), mapping.w_avg))
        self.latest |= means | {f"grad_norm/{phase}": norm}

    def backpropagate(self, loss: Tensor, *, last: bool = False) -> None:
        """Adds the gradients of a loss to those of its parameters; ``last`` of its step, so that they may travel."""
        sending = nullcontext() if self.exchange is None else self.exchange.backward_pass(loss, last)
        with self.without_autocast(), sending:
            self.manual_backward(loss)

    def without_autocast(self) -> torch.autocast:
        """For derivatives: autocast would round even those of layers that are kept in float32."""
        return torch.autocast(self.device.type, enabled=False)

    def on_gradients(self, phase: str) -> None:
        """Called before each step, when the parameters of its optimiser hold the gradients of the whole batch."""

    def generate(self, numbers: list[int], phase: str) -> tuple[Clips, Float[Tensor, "B L D"]]:
        """Generated clips, and their styles, for these clips of the global batch."""
        inputs = draw_inputs(self.generator, self.data, self.updates, phase, numbers, self.device)
        return draw_clips(self.generator, inputs, numbers, self.regularization.style_mixing_prob)

    def scale_losses(self, fake: Clips, means: steps.Means) -> Float[Tensor, ""] | float:
        """What holds the scales of generated clips together, where it is wanted; recorded by its parts."""
        if self.multi_scale is None or not self.multi_scale.acts(self.updates):
            return 0.0
        mixing = self.regularization.style_mixing_prob
        loss, parts = self.multi_scale.losses(fake.drawn, self.generator_ema, mixing)
        means.record(parts)
        return loss

    def judge(self, clips: Clips, phase: str) -> Float[Tensor, " B"]:
        """Logits of clips, augmented as this phase augments them."""
        clip = clips.clip
        if self.augment is not None:
            clip = self.augment(clip, self.augment_p, self.random(phase, clips.numbers))
        told = {} if clips.view is None else {"view": clips.view}
        return self.discriminator(clip, clips.t, clips.c, **told)

    def path_lengths(self, numbers: list[int]) -> Float[Tensor, " B"]:
        """Path lengths of generated clips; calling it again draws the same clips."""
        with differentiated_twice():
            fake, ws = self.generate(numbers, "path_length")
        noise = self.random("path_length/noise", numbers).normal("noise", *fake.clip.shape[1:])
        with self.without_autocast():
            return losses.path_lengths(fake.clip, ws, noise)

    def random(self, phase: str, numbers: list[int]) -> AddressedRandom:
        clips = torch.tensor(numbers)
        return AddressedRandom(self.data.seed, self.updates, phase, self.on_device(clips), clips)

    def on_device(self, values: Tensor) -> Tensor:
        """Values of the host where the networks are, without waiting."""
        return values.to(self.device, non_blocking=True)

    @property
    def data(self) -> ClipDataModule:
        """The data this run trains on."""
        return self.trainer.datamodule

    @property
    def gamma(self) -> float:
        """Weight of the R1 penalty."""
        data = self.data
        return schedules.default_r1_gamma(data.resolution, data.batch_size) if self.r1_gamma is None else self.r1_gamma

    def report(self) -> None:
        """Logs what was measured, stops a run that has diverged; here alone the host waits for the device."""
        progress = {f"progress/{name}": float(getattr(self, name)) for name in _COUNTERS}
        progress |= {"progress/kimg": self.num_frames / 1000, "progress/augment": self.augment_p}
        self.log_dict(self.latest | progress)
        probability = torch.zeros_like(self.mean_path_length) if self.ada is None else self.ada.p
        *finite, self.augment_p = torch.stack([*(flag.float() for flag in self.finite.values()), probability]).tolist()
        self.guard.check(self.updates - 1, dict(zip(self.finite, map(bool, finite), strict=True)))
        self.finite = {}

    # What Lightning calls.

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.trainer.limit_val_batches = 0  # Lightning's own validation stays off: `callbacks.Evaluation` measures
            check_agreement(self.generator, self.discriminator, self.data)
            check_views(self.generator, self.discriminator, self.data, self.multi_scale is not None)
            check_trainer(self.trainer.strategy, self.trainer.precision, self.trainer.world_size)
            group_size = self.discriminator.mbstd_group_size
            check_split(self.data.batch_size, self.trainer.world_size, self.num_micro_batches, group_size)
            self.r1.check(self.discriminator)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        g_optimizer = make_optimizer("model.g_optimizer", self.g_optimizer, self.generator)
        d_optimizer = make_optimizer("model.d_optimizer", self.d_optimizer, self.discriminator)
        schedules.correct_for_lazy_regularization(g_optimizer, self.regularization.pl_every)
        schedules.correct_for_lazy_regularization(d_optimizer, self.r1_every)
        return [g_optimizer, d_optimizer]

    def on_fit_start(self) -> None:
        # The averaged generator is in evaluation mode on purpose.
        warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode at the start of training")
        if self.init_from is not None:
            self.take_weights(self.init_from)
        self.data.start_update = self.updates
        self.augment_p = 0.0 if self.ada is None else float(self.ada.p)
        self.stop_if_done()

    def take_weights(self, path: str) -> None:
        """Gives the networks of a new run the weights of another; a run that has begun keeps its own."""
        if self.resumed or self.updates:
            rank_zero_info(f"init_from {path}: not read, the run goes on from its own checkpoint")
            return
        networks = {"generator": self.generator, "generator_ema": self.generator_ema}
        self.started_from = start_from(path, networks | {"discriminator": self.discriminator})
        self.past_clips = self.started_from.num_clips
        rank_zero_info("\n".join([f"started from {self.started_from.path}", *self.started_from.summary()]))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Does nothing: `callbacks.Evaluation` measures; without this Lightning would refuse to ``validate``."""

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """As `validation_step`, for ``test``."""

    def stop_if_done(self) -> None:
        if self.num_frames >= round(self.total_kimg * 1000):
            self.trainer.should_stop = True

    def weights_for_use(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """The networks that sampling needs, by name, and what is known of them: kept beside every checkpoint."""
        facts = {name: getattr(self, name) for name in (*_COUNTERS, "past_clips")} | {"fps": self.data.fps}
        known = {} if self.ada is None else {"augment_p": float(self.ada.p)}
        return {"generator_ema": self.generator_ema}, facts | known

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        counters = {name: getattr(self, name) for name in _COUNTERS}
        state = {"past_clips": self.past_clips, "bad_in_a_row": dict(self.guard.bad_in_a_row)}
        checkpoint["counters"] = counters | state

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.updates, self.num_clips, self.num_frames = (checkpoint["counters"][name] for name in _COUNTERS)
        self.guard.bad_in_a_row = dict(checkpoint["counters"]["bad_in_a_row"])
        self.past_clips = checkpoint["counters"].get("past_clips", 0)  # a run of before init_from has none
        self.resumed = True

    def train(self, mode: bool = True) -> VideoGAN:
        super().train(mode)
        self.generator_ema.eval()  # noise stays constant, running means stay put
        return self
