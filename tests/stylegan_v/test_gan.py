"""The adversarial step against formulas written out, and what surrounds it."""

from __future__ import annotations

import copy
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from datasets.datamodule import SyntheticVideos
from errors import InputError
from stylegan_v import losses
from stylegan_v.augment import AdaptiveProbability, AugmentPipe
from stylegan_v.gan import VideoGAN
from stylegan_v.networks import (
    Discriminator,
    Generator,
    HypernetworkConditioning,
    Motionless,
    ProjectionConditioning,
)
from stylegan_v.training_clips import draw_inputs
from tests.stylegan_v import tiny_gan
from tests.stylegan_v.tiny_gan import RecordingGAN, StopAfter, labelled_gradients, same_gradient

DEVICE = torch.device("cpu")


def fit(model: VideoGAN, folder: Path, updates: int = 1, clips: SyntheticVideos | None = None, **settings: Any) -> None:
    trainer = tiny_gan.trainer(folder, StopAfter(updates), **settings)
    trainer.fit(model, tiny_gan.data() if clips is None else clips)


def clone(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


class Until(Callback):
    """Calls a function with the model before the first update's first phase."""

    def __init__(self) -> None:
        self.before: dict[str, Tensor] = {}

    def on_train_batch_start(self, trainer: Any, pl_module: VideoGAN, *args: Any) -> None:
        self.before = clone(pl_module)


# The algorithm


def test_phases_come_in_the_order_of_the_algorithm(tmp_path: Path) -> None:
    model = tiny_gan.gan(made=RecordingGAN, pl_weight=1.0, r1_every=3)
    fit(model, tmp_path, 4)
    assert model.phases == [
        *((0, phase) for phase in ("generator", "path_length", "discriminator", "r1")),
        *((1, phase) for phase in ("generator", "discriminator")),
        *((2, phase) for phase in ("generator", "path_length", "discriminator")),
        *((3, phase) for phase in ("generator", "discriminator", "r1")),
    ]


def test_phases_without_weight_are_left_out(tmp_path: Path) -> None:
    model = tiny_gan.gan(made=RecordingGAN, r1_gamma=0.0)
    fit(model, tmp_path, 1)
    assert model.phases == [(0, "generator"), (0, "discriminator")]


def first_batch(clips: SyntheticVideos) -> tuple[Tensor, Tensor]:
    clips.start_update = 0
    batch = next(iter(clips.train_dataloader()))
    return batch["clip"] / 127.5 - 1, batch["t"].double()


def fakes(model: VideoGAN, clips: SyntheticVideos, phase: str) -> tuple[Tensor, Tensor]:
    i = draw_inputs(model.generator, clips, 0, phase, list(range(clips.batch_size)), DEVICE)
    clip = model.generator(i.z, i.t, i.c, i.motion_z, first_code=i.first_code, update_w_avg=False)
    return clip, i.t


def test_gradients_of_the_first_update_are_those_of_the_formulas(tmp_path: Path) -> None:
    """Learning rates of zero, so that every phase sees the initial networks."""
    still = lambda params: torch.optim.SGD(params, lr=0.0)  # noqa: E731
    gamma = 0.7
    model = tiny_gan.gan(made=RecordingGAN, g_optimizer=still, d_optimizer=still, r1_gamma=gamma, r1_every=16)
    clips = tiny_gan.data()
    fit(model, tmp_path, 1, clips)
    real, t = first_batch(clips)
    g_parameters, d_parameters = list(model.generator.parameters()), list(model.discriminator.parameters())

    fake, fake_t = fakes(model, clips, "generator")
    g_loss = -torch.sigmoid(model.discriminator(fake, fake_t)).log().mean()
    expected = {"generator": torch.autograd.grad(g_loss, g_parameters)}
    fake, fake_t = fakes(model, clips, "discriminator")
    fake_part = (1 - torch.sigmoid(model.discriminator(fake.detach(), fake_t))).log().mean()
    real_part = torch.sigmoid(model.discriminator(real, t)).log().mean()
    expected["discriminator"] = torch.autograd.grad(-fake_part - real_part, d_parameters)
    real.requires_grad_()
    (slope,) = torch.autograd.grad(model.discriminator(real, t).sum(), real, create_graph=True)
    r1 = 16 * gamma / 2 * slope.square().sum() / (len(real) * real.shape[1])
    expected["r1"] = torch.autograd.grad(r1, d_parameters, materialize_grads=True)

    for phase, gradients in expected.items():
        assert same_gradient(list(gradients), model.gradients[f"0/{phase}"]), phase


def test_path_length_phase_is_the_penalty_of_the_first_half(tmp_path: Path) -> None:
    still = lambda params: torch.optim.SGD(params, lr=0.0)  # noqa: E731
    model = tiny_gan.gan(made=RecordingGAN, g_optimizer=still, pl_weight=3.0)
    model.regularization = type(model.regularization)(pl_weight=3.0, pl_every=2)
    clips = tiny_gan.data()
    fit(model, tmp_path, 1, clips)

    i = draw_inputs(model.generator, clips, 0, "path_length", [0, 1], DEVICE)
    ws = model.generator.mapping(i.z, update_w_avg=False)
    clip = model.generator.synthesis(ws, i.t, None, i.motion_z, first_code=i.first_code)
    model._trainer.datamodule = clips
    model.updates = 0
    noise = model.random("path_length/noise", [0, 1]).normal("noise", *clip.shape[1:])
    penalty, mean, _ = losses.path_length_penalty(clip, ws, noise, torch.zeros(()))
    gradients = torch.autograd.grad(3.0 * 2 * penalty, list(model.generator.parameters()), materialize_grads=True)

    assert same_gradient(list(gradients), model.gradients["0/path_length"])
    torch.testing.assert_close(model.mean_path_length, mean)


def test_micro_batches_give_the_gradients_of_the_whole(tmp_path: Path) -> None:
    whole = labelled_gradients(tmp_path)
    parts = labelled_gradients(tmp_path, num_micro_batches=2)
    assert len(whole["gradients"]) == 7
    for phase, gradients in whole["gradients"].items():
        assert same_gradient(gradients, parts["gradients"][phase]), phase
    for name in ("generator.mapping.w_avg", "ada.p", "mean_path_length"):
        torch.testing.assert_close(parts["state"][name], whole["state"][name], rtol=1e-5, atol=1e-6)


def test_optimisers_are_corrected_for_lazy_regularisation() -> None:
    model = tiny_gan.gan(r1_every=16)
    g_optimizer, d_optimizer = model.configure_optimizers()
    assert g_optimizer.param_groups[0]["lr"] == pytest.approx(0.0025 * 2 / 3)  # path length every 2 in the tiny GAN
    assert d_optimizer.param_groups[0]["lr"] == pytest.approx(0.0025 * 16 / 17)
    assert d_optimizer.param_groups[0]["betas"] == pytest.approx((0.0, 0.99 ** (16 / 17)))


def test_r1_weight_follows_resolution_and_batch(tmp_path: Path) -> None:
    model = tiny_gan.gan()
    fit(model, tmp_path)
    assert model.gamma == pytest.approx(0.0002 * 16 * 16 / 4)


# Averages


def test_average_moves_by_beta_and_copies_buffers(tmp_path: Path) -> None:
    model, start = tiny_gan.gan(ema_kclips=0.008, ema_rampup=None), Until()
    tiny_gan.trainer(tmp_path, start, StopAfter(1)).fit(model, tiny_gan.data())
    beta = 0.5 ** (4 / 8)
    for name, average in model.generator_ema.named_parameters():
        old, new = start.before[f"generator_ema.{name}"], model.generator.get_parameter(name)
        torch.testing.assert_close(average, beta * old + (1 - beta) * new)
    assert torch.equal(model.generator_ema.mapping.w_avg, model.generator.mapping.w_avg)
    assert not any(p.requires_grad for p in model.generator_ema.parameters())


@pytest.mark.parametrize(("past_clips", "half_life"), [(100, 0.5 * 100), (10**6, 0.1 * 1000), (None, 0.1 * 1000)])
def test_average_of_weights_from_elsewhere_goes_on_where_it_was(
    tmp_path: Path, past_clips: int | None, half_life: float
) -> None:
    model, start = tiny_gan.gan(ema_kclips=0.1, ema_rampup=0.5), Until()
    model.past_clips = past_clips
    run = tiny_gan.trainer(tmp_path, start, StopAfter(1))
    run.fit(model, tiny_gan.data())
    beta = 0.5 ** (4 / half_life)
    name, average = next(iter(model.generator_ema.named_parameters()))
    old, new = start.before[f"generator_ema.{name}"], model.generator.get_parameter(name)
    torch.testing.assert_close(average, beta * old + (1 - beta) * new)
    run.save_checkpoint(tmp_path / "saved.ckpt")
    other = tiny_gan.gan()
    other.on_load_checkpoint(torch.load(tmp_path / "saved.ckpt", weights_only=True))
    assert other.past_clips == past_clips


def test_a_checkpoint_of_before_fine_tuning_is_read() -> None:
    checkpoint: dict[str, Any] = {}
    tiny_gan.gan().on_save_checkpoint(checkpoint)
    del checkpoint["counters"]["past_clips"]
    model = tiny_gan.gan()
    model.on_load_checkpoint(checkpoint)
    assert model.past_clips == 0


def test_average_is_the_generator_itself_at_the_start_of_a_ramp_up(tmp_path: Path) -> None:
    model = tiny_gan.gan(ema_rampup=0.05)
    fit(model, tmp_path, 1)
    assert all(
        torch.equal(a, b) for a, b in zip(model.generator_ema.parameters(), model.generator.parameters(), strict=True)
    )


def test_average_stays_in_evaluation_mode(tmp_path: Path) -> None:
    model = tiny_gan.gan()
    fit(model, tmp_path, 1)
    model.train()
    assert model.generator.training
    assert not any(module.training for module in model.generator_ema.modules())


def test_mean_style_moves_in_both_phases(tmp_path: Path) -> None:
    still = lambda params: torch.optim.SGD(params, lr=0.0)  # noqa: E731
    model, clips = tiny_gan.gan(g_optimizer=still), tiny_gan.data()
    fit(model, tmp_path, 1, clips)
    expected = torch.zeros(8)
    for phase in ("generator", "discriminator"):
        inputs = draw_inputs(model.generator, clips, 0, phase, list(range(4)), DEVICE)
        mean = model.generator.mapping(inputs.z, update_w_avg=False)[:, 0].mean(dim=0)
        expected = 0.995 * expected + 0.005 * mean
    torch.testing.assert_close(model.generator.mapping.w_avg, expected)


def test_augmentation_adapts_within_its_step(tmp_path: Path) -> None:
    model = tiny_gan.gan(augmented=True)
    fit(model, tmp_path, 3)
    moved = model.ada.p.item() - 0.5  # 4 clips an update, 50 clips from 0 to 1
    assert abs(moved) == pytest.approx(3 * 4 / 50) or abs(moved) == pytest.approx(4 / 50)
    assert model.augment_p == model.ada.p.item()


def test_augmentation_without_ada_gets_the_default_and_ada_alone_is_refused() -> None:
    assert isinstance(tiny_gan.gan(augment=AugmentPipe()).ada, AdaptiveProbability)
    with pytest.raises(InputError, match=r"model\.augment"):
        tiny_gan.gan(ada=AdaptiveProbability())


# Counters and the end of a run


def test_counters_count_clips_and_frames(tmp_path: Path) -> None:
    model, clips = tiny_gan.gan(), tiny_gan.data()
    fit(model, tmp_path, 3, clips)
    assert (model.updates, model.num_clips, model.num_frames) == (3, 12, 36)
    assert clips.start_update == 3


def test_run_ends_after_total_kimg(tmp_path: Path) -> None:
    model = tiny_gan.gan(total_kimg=0.030)
    fit(model, tmp_path, 100)
    assert (model.updates, model.num_frames) == (3, 36)


def test_max_steps_of_the_trainer_counts_optimiser_steps(tmp_path: Path) -> None:
    model = tiny_gan.gan(r1_every=16)
    tiny_gan.trainer(tmp_path, max_steps=7).fit(model, tiny_gan.data())  # 3 + 2 + 2
    assert model.updates == 3


def test_everything_measured_is_logged(tmp_path: Path) -> None:
    model, trainer = tiny_gan.gan(augmented=True, pl_weight=1.0), tiny_gan.trainer(tmp_path, StopAfter(2))
    trainer.fit(model, tiny_gan.data())
    logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
    phases = ("generator", "path_length", "discriminator", "r1")
    assert set(logged) == {
        *("loss/g", "loss/d", "loss/r1", "loss/path_length", "path_length"),
        *("scores/real", "scores/fake", "signs/real", "signs/fake"),
        *(f"grad_norm/{phase}" for phase in phases),
        *(f"progress/{name}" for name in ("updates", "num_clips", "num_frames", "kimg", "augment")),
    }
    assert all(math.isfinite(value) for value in logged.values())
    assert (logged["progress/updates"], logged["progress/kimg"]) == (2, pytest.approx(0.024))


def test_logged_gradient_norm_is_that_of_the_whole_gradient(tmp_path: Path) -> None:
    model, trainer = tiny_gan.gan(made=RecordingGAN), tiny_gan.trainer(tmp_path, StopAfter(1))
    trainer.fit(model, tiny_gan.data())
    expected = torch.cat([g.flatten() for g in model.gradients["0/discriminator"]]).norm()
    torch.testing.assert_close(trainer.callback_metrics["grad_norm/discriminator"], expected)


# What is not finite


class Poisoned(VideoGAN):
    """Spoils the gradients of one phase from one update on."""

    phase, updates_spoiled = "discriminator", range(1, 2)

    def on_gradients(self, phase: str) -> None:
        if phase == self.phase and self.updates in self.updates_spoiled:
            network = self.generator if phase == "generator" else self.discriminator
            next(iter(network.parameters())).grad.view(-1)[0] = torch.inf


@pytest.mark.parametrize("fused", [True, False])
def test_spoilt_step_is_skipped_and_named(tmp_path: Path, fused: bool, caplog: pytest.LogCaptureFixture) -> None:
    def adam(params: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(params, lr=0.0025, betas=(0.0, 0.99), fused=fused)

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: VideoGAN, *args: Any) -> None:
            self.past = [*getattr(self, "past", []), (clone(pl_module), copy.deepcopy(trainer.optimizers))]

    model, watch = tiny_gan.gan(made=Poisoned, g_optimizer=adam, d_optimizer=adam, r1_every=16), Watch()
    with caplog.at_level(logging.WARNING):
        tiny_gan.trainer(tmp_path, watch, StopAfter(3)).fit(model, tiny_gan.data())

    (first, first_optimizers), (second, second_optimizers), (third, _) = watch.past
    names = [f"discriminator.{name}" for name, _ in model.discriminator.named_parameters()]
    assert all(torch.equal(first[name], second[name]) for name in names)
    assert any(not torch.equal(second[name], third[name]) for name in names)
    assert not torch.equal(first["generator.synthesis.const"], second["generator.synthesis.const"])
    states = [optimizers[1].state_dict()["state"] for optimizers in (first_optimizers, second_optimizers)]
    assert all(torch.equal(states[0][i][key], states[1][i][key]) for i in states[0] for key in states[0][i])
    assert [record.message for record in caplog.records if "not finite" in record.message] == [
        "update 1: loss or gradient of phase discriminator is not finite, step skipped"
    ]
    assert all(value.isfinite().all() for value in clone(model).values())


def test_clips_that_are_not_finite_spoil_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN logits in the first update: no step, no mean style from it, no augmentation statistics."""
    model = tiny_gan.gan(augmented=True)
    judge = model.judge
    monkeypatch.setattr(model, "judge", lambda *args: judge(*args) * (math.nan if model.updates == 0 else 1.0))
    start = clone(model)
    fit(model, tmp_path, 1)
    assert all(torch.equal(start[name], value) for name, value in clone(model).items() if not name.startswith("ada."))
    assert model.ada.p.item() == 0.5


@pytest.mark.parametrize("phase", ["generator", "discriminator", "r1"])
def test_run_stops_after_too_many_spoilt_steps_of_a_phase(tmp_path: Path, phase: str) -> None:
    model = tiny_gan.gan(made=Poisoned, max_bad_updates=3)
    model.phase, model.updates_spoiled = phase, range(100)
    with pytest.raises(InputError, match=f"phase {phase} was not finite for 3 updates in a row"):
        fit(model, tmp_path, 100)
    assert model.updates == (5 if phase == "r1" else 3)  # R1 runs in updates 0, 2, 4


# Agreement of data, networks and devices


@pytest.mark.parametrize(
    ("networks", "clips", "message"),
    [
        ({"generator": {"resolution": 32}}, {}, r"data\.resolution .* model\.generator\.resolution"),
        ({"discriminator": {"resolution": 32}}, {}, r"data\.resolution .* model\.discriminator\.resolution"),
        ({"discriminator": {"num_frames": 2}}, {}, r"num_frames is 3 but model\.discriminator\.num_frames is 2"),
        ({"generator": {"c_dim": 2}}, {}, r"data\.c_dim is 0 but model\.generator\.c_dim is 2"),
        ({"discriminator": {"c_dim": 2}}, {}, r"data\.c_dim is 0 but model\.discriminator\.c_dim is 2"),
        (
            {"discriminator": {"group_size": 4}},
            {"batch_size": 6},
            r"mbstd_group_size: groups of 4 .*data\.batch_size 6",
        ),
    ],
)
def test_disagreement_names_both_keys(tmp_path: Path, networks: Any, clips: Any, message: str) -> None:
    made = {name: getattr(tiny_gan, name)(**networks.get(name, {})) for name in ("generator", "discriminator")}
    with pytest.raises(InputError, match=message):
        fit(tiny_gan.gan(**made), tmp_path, 1, tiny_gan.data(**clips))


def test_batch_must_come_out_even(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.batch_size: 4 .* model\.num_micro_batches = 3"):
        fit(tiny_gan.gan(num_micro_batches=3), tmp_path)


def test_scaled_losses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trainer\.precision"):
        fit(tiny_gan.gan(), tmp_path, precision="64-true")


# Options


def test_frozen_layers_stay_as_they_are(tmp_path: Path) -> None:
    model = tiny_gan.gan(freeze_d=4)
    before = clone(model.discriminator)
    fit(model, tmp_path, 2)
    after = clone(model.discriminator)
    first = model.discriminator.blocks["b16"]
    frozen = {*clone(first)} and {f"blocks.b16.{name}" for name in clone(first)} | {"fromrgb.weight", "fromrgb.bias"}
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["blocks.b8.conv0.weight"], after["blocks.b8.conv0.weight"])


class PlainDiscriminator(Discriminator):
    """With a layer whose weight autocast casts, and remembers."""

    def __init__(self) -> None:
        super().__init__(**tiny_gan.discriminator_settings())
        self.plain = torch.nn.Linear(3, 1)

    def forward(self, clip: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return super().forward(clip, t, c) + self.plain(clip.mean(dim=(1, 3, 4))).squeeze(1)


def test_half_precision_sees_the_parameters_of_the_moment(tmp_path: Path) -> None:
    """Autocast must not hand the R1 phase the weights from before the discriminator's step."""

    class Seen(VideoGAN):
        @torch.no_grad()
        def update_r1(self, reals: list[Any]) -> None:
            logits = self.judge(reals[0], "r1")
            torch.clear_autocast_cache()
            self.stale = not torch.equal(logits, self.judge(reals[0], "r1"))

    fast = lambda params: torch.optim.SGD(params, lr=1.0)  # noqa: E731
    model = tiny_gan.gan(made=Seen, discriminator=PlainDiscriminator(), d_optimizer=fast)
    fit(model, tmp_path, 1, precision="bf16-mixed")
    assert not model.stale


def test_half_precision_trains(tmp_path: Path) -> None:
    model = tiny_gan.gan(augmented=True, pl_weight=1.0)
    fit(model, tmp_path, 3, precision="bf16-mixed")
    assert model.guard.bad_in_a_row == {"generator": 0, "path_length": 0, "discriminator": 0, "r1": 0}
    assert all(value.isfinite().all() for value in clone(model).values())


def test_labels_reach_both_networks(tmp_path: Path) -> None:
    clips = tiny_gan.data(labelled=True)
    clips.setup("fit")
    model = tiny_gan.gan(clips.c_dim)
    start = clone(model)
    fit(model, tmp_path, 1, clips)
    moved = [name for name, value in clone(model).items() if "embed" in name and not torch.equal(value, start[name])]
    assert any(name.startswith("generator.mapping.embed") for name in moved)
    assert any(name.startswith("discriminator") for name in moved)


def test_losses_of_a_short_run_stay_finite_and_move_weights(tmp_path: Path) -> None:
    model = tiny_gan.gan(augmented=True, pl_weight=2.0)
    start = clone(model)
    fit(model, tmp_path, 3)
    end = clone(model)
    assert all(value.isfinite().all() for value in end.values())
    unmoved = [name for name, p in model.named_parameters() if torch.equal(start[name], end[name])]
    assert unmoved == []


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("kind", [HypernetworkConditioning, ProjectionConditioning])
def test_single_frames_train_an_image_generator(
    kind: type[HypernetworkConditioning | ProjectionConditioning], labelled: bool, tmp_path: Path
) -> None:
    clips = tiny_gan.data(num_frames=1, labelled=labelled)
    clips.setup("fit")
    sizes = {"channel_base": 128, "channel_max": 8, "conv_clamp": None}
    generator = Generator(16, z_dim=8, w_dim=8, c_dim=clips.c_dim, motion=Motionless(), **sizes)
    conditioning = kind(num_frames=1, c_dim=clips.c_dim, dim=8)
    discriminator = Discriminator(16, conditioning=conditioning, mbstd_group_size=2, concat_res=8, **sizes)
    model = tiny_gan.gan(generator=generator, discriminator=discriminator, augmented=True, pl_weight=2.0, r1_every=1)
    start = clone(model)
    fit(model, tmp_path, 2, clips)
    end = clone(model)
    assert (model.num_clips, model.num_frames) == (8, 8)
    assert all(model.latest[f"loss/{loss}"].isfinite() for loss in ("g", "d", "r1", "path_length"))
    assert all(value.isfinite().all() for value in end.values())
    assert [name for name, p in model.named_parameters() if torch.equal(start[name], end[name])] == []


def test_seed_of_the_data_decides_the_run(tmp_path: Path) -> None:
    def weights(seed: int) -> np.ndarray:
        model = tiny_gan.gan()
        fit(model, tmp_path, 1, tiny_gan.data(seed=seed))
        return model.generator.synthesis.const.detach().numpy()

    assert np.array_equal(weights(5), weights(5))
    assert not np.array_equal(weights(5), weights(6))


def test_derivatives_are_taken_outside_autocast(tmp_path: Path) -> None:
    """Inside it, torch rounds the gradients of matrix products to bfloat16 although their operands are float32."""
    model, seen = tiny_gan.gan(r1_every=1, pl_weight=2.0), []
    model.discriminator.head.out.register_full_backward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    fit(model, tmp_path, 1, precision="bf16-mixed")
    assert len(seen) >= 4  # generator, both halves of the discriminator, R1
    assert not any(seen)
