"""Training on views: what is drawn, what is compared, and that resuming and splitting change nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datasets.datamodule import SyntheticVideos
from datasets.frame_sampling import RandomSpans
from datasets.view_sampling import ClipView, ViewLaw, surrounded
from errors import InputError
from stylegan_v.agreement import check_views
from stylegan_v.multi_scale import MultiScale, consistency_loss, teacher_loss
from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning
from stylegan_v.schedules import GeneratorRegularization
from stylegan_v.training_clips import Clips, Drawn, draw, draw_clips, draw_inputs, generate
from tests.stylegan_v import tiny_gan
from tests.stylegan_v.tiny_gan import HORIZON, RecordingGAN, StopAfter, same_gradient
from tests.stylegan_v.viewed_gan import data, discriminator, gan, generator, recorded, stirred

ROOT = Path(__file__).parents[2]
DEVICE = torch.device("cpu")


@pytest.fixture
def clips() -> SyntheticVideos:
    clips = data(8)
    clips.setup("fit")
    return clips


def inputs_of(clips: SyntheticVideos, network: Generator, numbers: list[int], phase: str = "generator") -> Any:
    return draw_inputs(network, clips, 3, phase, numbers, DEVICE)


def test_views_of_a_clip_do_not_depend_on_its_company_but_on_its_phase(clips: SyntheticVideos) -> None:
    network = stirred()
    together, alone = (inputs_of(clips, network, numbers) for numbers in ([0, 1, 2, 3, 4, 5], [5]))
    assert (together.views[5], together.coarser[5]) == (alone.views[0], alone.coarser[0])
    assert together.views != inputs_of(clips, network, list(range(6)), "discriminator").views
    whole, _ = draw_clips(network, together, list(range(6)))
    one, _ = draw_clips(network, alone, [5])
    torch.testing.assert_close(whole.clip[5:], one.clip, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(whole.view[5:], one.view)


def test_clips_show_their_views_and_the_rest_is_their_mirror_image(clips: SyntheticVideos) -> None:
    network = stirred().eval()
    inputs = inputs_of(clips, network, list(range(20)))
    found, _ = draw_clips(network, inputs, list(range(20)))
    assert found.clip.shape == (20, 3, 3, 16, 16)
    for i, view in enumerate(inputs.views):
        some = inputs.some([i])
        where = {"size": view.size, "window": view.window, "shift": view.shift}
        ws = network.mapping(some.z, update_w_avg=False)
        alone = network.synthesis(ws, some.t, None, some.motion_z, first_code=some.first_code, **where)
        torch.testing.assert_close(found.clip[i], surrounded(alone[0], (16, 16)), rtol=1e-3, atol=1e-4)
        assert found.view[i].tolist() == pytest.approx(view.facts((16, 16)))
    assert {view.native((16, 16)) for view in inputs.views} == {True, False}
    assert min(view.size[0] for view in inputs.views) < 16 < max(view.size[0] for view in inputs.views)


def test_real_and_generated_clips_follow_one_law(clips: SyntheticVideos) -> None:
    """Also in what the videos limit: two thirds of them have more than 16 pixels."""
    network, real = generator(), clips.clips()
    fakes = np.array(
        [
            view.facts((16, 16))
            for n in range(40)
            for view in inputs_of(clips, network, list(range(8 * n, 8 * n + 8))).views
        ]
    )
    reals = np.array([real[update, n]["view"].tolist() for update in range(40) for n in range(8)])
    for threshold in (-0.2, 0.0, 0.01, 0.5):
        assert abs((fakes[:, 0] > threshold).mean() - (reals[:, 0] > threshold).mean()) < 0.1
    assert np.abs(fakes.mean(axis=0) - reals.mean(axis=0)).max() < 0.1
    assert np.abs(fakes.std(axis=0) - reals.std(axis=0)).max() < 0.1


def test_losses_vanish_for_a_picture_that_is_one_at_all_scales(clips: SyntheticVideos) -> None:
    """A constant picture is one; the teacher then says by how much it differs."""
    network, teacher = generator().eval(), generator().eval()
    for net, value in ((network, 0.3), (teacher, 0.1)):
        for name, parameter in net.synthesis.named_parameters():
            if "torgb" in name:
                nn.init.constant_(parameter, 0.0)
        nn.init.constant_(net.synthesis.blocks["b16"].torgb.bias, value)
    views = [ClipView((32, 32), (4, 8, 20, 24), (0.2, 0.1)), ClipView.whole((16, 16))]
    inputs = inputs_of(clips, network, [0, 1])
    drawn, _ = draw(network, type(inputs)(**vars(inputs) | {"views": views, "coarser": [(20, 20), (16, 16)]}))
    assert consistency_loss(drawn) < 1e-6
    torch.testing.assert_close(teacher_loss(drawn, teacher), torch.tensor(0.1), rtol=1e-4, atol=0)
    total, parts = MultiScale(teacher_weight=2, consistency_weight=1, every=3).losses(drawn, teacher)
    torch.testing.assert_close(total, torch.tensor(0.6), rtol=1e-4, atol=0)
    assert set(parts) == {"loss/teacher", "loss/consistency"}


def test_the_teacher_draws_the_same_latents(clips: SyntheticVideos) -> None:
    """A head without effect enlarges what its own network draws: reduced again, little is lost."""
    network = generator()
    drawn, _ = draw(network, inputs_of(clips, network, list(range(8))))
    own = teacher_loss(drawn, network)
    assert 0 < own < 0.1 * teacher_loss(drawn, generator(seed=5))


def test_native_clips_are_what_they_are_without_views(clips: SyntheticVideos) -> None:
    network, inputs = generator(), inputs_of(clips, generator(), [0, 1])
    whole = [ClipView.whole((16, 16))] * 2
    drawn, ws = draw(network, type(inputs)(**vars(inputs) | {"views": whole}))
    expected, expected_ws = generate(network, inputs)
    torch.testing.assert_close(torch.stack(drawn.patches), expected, rtol=0, atol=1e-6)
    assert torch.equal(ws, expected_ws)
    assert isinstance(drawn, Drawn) and teacher_loss(drawn, network) == 0


def run(folder: Path, updates: int, **settings: Any) -> RecordingGAN:
    model = gan(RecordingGAN, **settings)
    tiny_gan.trainer(folder, StopAfter(updates)).fit(model, data(8))
    return model


def nearly_equal(expected: list[Tensor], found: list[Tensor]) -> bool:
    """Of R1, whose gradients are differences of larger terms: one by one, their own size is no measure of rounding."""
    largest = max(float(gradient.abs().max()) for gradient in expected)
    return all(float((a - b).abs().max()) <= 1e-4 * largest for a, b in zip(expected, found, strict=True))


def test_a_run_is_logged_and_its_micro_batches_give_the_gradients_of_the_whole(tmp_path: Path) -> None:
    one, two = run(tmp_path / "a", 1), run(tmp_path / "b", 1, num_micro_batches=2)
    assert one.phases == [(0, "generator"), (0, "discriminator"), (0, "r1")]
    for name in ("0/generator", "0/discriminator"):
        assert same_gradient(one.gradients[name], two.gradients[name]), name
    assert nearly_equal(one.gradients["0/r1"], two.gradients["0/r1"])
    for name in ("loss/teacher", "loss/consistency", "views/scaled", "views/log2_scale", "loss/r1"):
        torch.testing.assert_close(one.latest[name], two.latest[name], rtol=1e-3, atol=1e-5)
    assert one.latest["loss/teacher"] > 0 and one.latest["loss/consistency"] > 0
    assert 0.3 < one.latest["views/scaled"] <= 1
    shares = {name: float(one.latest[f"views/scale_{name}"]) for name in ("below_1", "1", "to_2", "to_4", "above_4")}
    assert sum(shares.values()) == pytest.approx(1) and sum(share > 0 for share in shares.values()) > 1
    assert 1 - shares["1"] == pytest.approx(float(one.latest["views/scaled"]))


@pytest.mark.slow
def test_two_processes_give_the_gradients_of_one(tmp_path: Path) -> None:
    """Clips of many scales, with all losses on them, dealt out to two."""
    command = [sys.executable, "-m", "tests.stylegan_v.viewed_gan", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=240)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    whole = recorded(tmp_path)

    assert [name.split("/")[1] for name in whole["gradients"]] == ["generator", "discriminator", "r1"] * 2
    for phase, gradients in whole["gradients"].items():
        if phase.endswith("r1"):
            assert nearly_equal(gradients, first["gradients"][phase]), phase
        else:
            assert same_gradient(gradients, first["gradients"][phase]), phase
    for name, value in whole["latest"].items():
        torch.testing.assert_close(first["latest"][name], value, rtol=1e-3, atol=1e-5, msg=name)
    assert whole["latest"]["loss/teacher"] > 0 and whole["latest"]["loss/consistency"] > 0
    assert all(torch.equal(value, second["state"][name]) for name, value in first["state"].items())


def test_without_the_last_block_all_of_it_is_trained(tmp_path: Path) -> None:
    """The generator ends at half its resolution, and its image is enlarged by the head alone."""
    model = run(tmp_path, 2, generator=stirred(mode="replace_last_block"))
    assert list(model.generator.synthesis.blocks) == ["b4", "b8"]
    assert model.latest["loss/teacher"] > 0 and all(value.isfinite().all() for value in model.latest.values())
    names = [name for name, _ in model.generator.named_parameters()]
    assert len(names) == len(model.gradients["0/generator"])
    still = [name for name, g in zip(names, model.gradients["0/generator"], strict=True) if not g.any()]
    assert not [name for name in still if ".decoder." in name or "torgb" in name], still
    for average, own in zip(model.generator_ema.parameters(), model.generator.parameters(), strict=True):
        assert average.shape == own.shape


def test_losses_without_weight_leave_the_gradients_as_they_are(tmp_path: Path) -> None:
    off, without = run(tmp_path / "a", 1, multi_scale=MultiScale(0.0, 0.0)), run(tmp_path / "b", 1, multi_scale=None)
    assert all(map(torch.equal, off.gradients["0/generator"], without.gradients["0/generator"]))
    assert "loss/teacher" not in without.latest


def test_losses_act_every_so_many_updates() -> None:
    assert [MultiScale(every=3).acts(update) for update in range(5)] == [True, False, False, True, False]


def test_a_resumed_run_ends_where_the_whole_one_does(tmp_path: Path) -> None:
    whole, first, second = gan(), gan(), gan()
    tiny_gan.trainer(tmp_path / "whole", StopAfter(2)).fit(whole, data())
    trainer = tiny_gan.trainer(tmp_path / "first", StopAfter(1))
    trainer.fit(first, data())
    trainer.save_checkpoint(tmp_path / "first.ckpt")
    tiny_gan.trainer(tmp_path / "second", StopAfter(2)).fit(second, data(), ckpt_path=tmp_path / "first.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_half_precision_and_path_lengths_take_views(tmp_path: Path) -> None:
    regularization = GeneratorRegularization(pl_weight=1.0, pl_every=1, style_mixing_prob=0.9)
    model = gan(RecordingGAN, generator_regularization=regularization)
    tiny_gan.trainer(tmp_path, StopAfter(1), precision="bf16-mixed").fit(model, data())
    assert [phase for _, phase in model.phases] == ["generator", "path_length", "discriminator", "r1"]
    assert all(value.isfinite().all() for value in model.latest.values())
    assert all(float(model.guard.bad_in_a_row[phase]) == 0 for _, phase in model.phases)


def test_the_penalty_of_a_patch_counts_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All frames at half size: a quarter of the pixels, a quarter of the penalty."""
    penalties = []
    for name in ("counted", "not counted"):
        model = gan(multi_scale=None, r1_every=1)
        clips = data(views=ViewLaw((0.5, 0.5), native_share=0))
        tiny_gan.trainer(tmp_path / name, StopAfter(1)).fit(model, clips)
        penalties.append(float(model.latest["loss/r1"]))
        monkeypatch.setattr(Clips, "shares", None)
    assert penalties[0] == pytest.approx(penalties[1] / 4, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator": tiny_gan.generator()}, r"data\.views: .*model\.generator\.decoder"),
        ({"discriminator": tiny_gan.discriminator()}, r"data\.views: .*views of model\.discriminator\.conditioning"),
        ({"data": tiny_gan.data(), "multi_scale": True}, r"model\.multi_scale: .*data\.views"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_views(**{"generator": generator(), "discriminator": discriminator(), "data": data(), **change})
    check_views(generator(), discriminator(), data(), True)
    check_views(tiny_gan.generator(), discriminator(), tiny_gan.data())


@pytest.mark.parametrize("settings", [{"teacher_weight": -1.0}, {"every": 0}])
def test_weights_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"model\.multi_scale"):
        MultiScale(**settings)


def test_images_have_views_too(tmp_path: Path) -> None:
    sampler = RandomSpans(num_frames=1, max_num_frames=HORIZON)
    conditioning = HypernetworkConditioning(num_frames=1, dim=8, max_num_frames=HORIZON, views=True)
    judge = Discriminator(**tiny_gan.discriminator_settings(num_frames=1) | {"conditioning": conditioning})
    clips = SyntheticVideos(
        6, 24, 16, frame_sampler=sampler, batch_size=2, num_workers=0, native_scales=[2], views=ViewLaw()
    )
    model = gan(discriminator=judge)
    tiny_gan.trainer(tmp_path, StopAfter(1)).fit(model, clips)
    assert model.updates == 1 and all(value.isfinite() for value in model.latest.values())
