"""Fits of scenes: rays of their pixels, rates, what is minimised, and whole runs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn
from torch.testing import assert_close

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from pytorch_lightning import Callback, Trainer

from datasets.radiance_datamodule import SphereScene
from datasets.signal_datamodule import SyntheticSignal
from datasets.sphere_scene import take_views
from errors import InputError
from fields.fitting import RadianceFitting
from fields.fitting.radiance import generator_of, rays_of
from fields.radiance.camera import pixel_rays
from fields.radiance.nerf import NeRF
from fields.radiance.rates import delayed_log_decay
from fields.radiance.rays import Rays, Rendered
from fields.radiance.tnerf import TNeRF

TINY = {"num_samples": (6,), "num_octaves": 3, "view_octaves": 2, "width": 12, "depth": 2, "colour_width": 8}
STATIC = partial(NeRF, **TINY, density="softplus")
MOVING = partial(TNeRF, **TINY, density="softplus", warp_width=8, warp_depth=2)


class Constant(nn.Module):
    """Two levels of one colour each."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = nn.Parameter(torch.tensor(0.25))

    def render_rays(
        self, rays: Rays, jitter: torch.Generator | None = None, background: str = "white"
    ) -> list[Rendered]:
        one = torch.ones(len(rays))
        return [Rendered((self.colour + more).expand(len(rays), 3), 4 * one, one, one[:, None]) for more in (0.5, 0.0)]


class Interrupted(Callback):
    """Saves the state after some updates, and ends the run."""

    def __init__(self, after: int, path: Path) -> None:
        self.after, self.path = after, path

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        if module.updates == self.after:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def fitted(
    folder: Path,
    make: Any = STATIC,
    *callbacks: Callback,
    moving: bool = False,
    checkpoint: Path | None = None,
    **settings: Any,
) -> RadianceFitting:
    """What becomes of a field on three views of 8 x 10."""
    torch.manual_seed(0)
    fit = RadianceFitting(make, **({"total_updates": 8, "validate_every": 1000, "chunk": 37} | settings))
    data = SphereScene(3, [8, 10], moving, num_test_views=2, batch_size=32)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(
        max_epochs=-1, accelerator="cpu", logger=False, default_root_dir=folder, callbacks=list(callbacks), **quiet
    )
    trainer.fit(fit, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    return fit


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "validation.jsonl").read_text().splitlines()]


# Parts


def test_rays_of_pixels_of_many_views_are_those_of_each() -> None:
    views = take_views(3, (4, 6), moving=True)
    found = rays_of(views, torch.tensor([5, 24 + 7, 48 + 23]))
    for number, pixel in enumerate((5, 7, 23)):
        time = float(views.times[number])
        where = views.c2w[number], views.size, views.focal, torch.tensor([pixel]), views.near, views.far, time
        one = pixel_rays(*where, unit=True)
        for name in ("origins", "directions", "viewdirs", "radii", "near", "far", "times"):
            assert_close(getattr(found, name)[number], getattr(one, name)[0])
    assert_close(found.directions.norm(dim=1), torch.ones(3))


def test_views_that_stand_still_have_rays_without_times() -> None:
    assert rays_of(take_views(1, (2, 2)), torch.tensor([0])).times is None


def test_random_numbers_hang_on_the_key() -> None:
    draw = [torch.rand(4, generator=generator_of(key, torch.device("cpu"))) for key in ((0, 1), (0, 1), (0, 2))]
    assert_close(draw[0], draw[1], atol=0, rtol=0)
    assert not torch.equal(draw[0], draw[2])


def test_rates_fall_along_a_cosine_or_as_those_of_mip_nerf() -> None:
    fit = RadianceFitting(Constant, lr=2e-3, end_lr=1e-6, total_updates=100)
    fit.updates = 50
    assert fit.rate(2e-3) == pytest.approx(1e-3, rel=1e-3)
    delayed = RadianceFitting(Constant, lr=5e-4, end_lr=5e-6, delay_updates=40, total_updates=100)
    for delayed.updates in (0, 10, 40, 99):
        assert delayed.rate(5e-4) == delayed_log_decay(delayed.updates, 5e-4, 5e-6, 100, 40, 0.01)
    delayed.updates = 0
    assert delayed.rate(5e-4) == pytest.approx(5e-6)


def test_coarse_levels_count_by_their_weight(tmp_path: Path) -> None:
    fit = fitted(tmp_path, Constant, total_updates=1, coarse_weight=0.1)
    target = torch.full((5, 3), 0.5)
    batch = {"pixels": torch.arange(5), "rgb": target, "update": 0}
    colour = float(fit.model.colour.detach())
    fine, coarse = (colour - 0.5) ** 2, (colour + 0.5 - 0.5) ** 2
    loss, error = fit.loss(batch)
    assert float(loss) == pytest.approx(fine + 0.1 * coarse, rel=1e-5)
    assert float(error) == pytest.approx(4 * fine, rel=1e-5)  # of values in [-1, 1]


@pytest.mark.parametrize(
    "settings", [{"lr": 0.0}, {"chunk": 0}, {"coarse_weight": -1.0}, {"end_lr": 0.0}, {"delay_updates": -1}]
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="above 0"):
        RadianceFitting(STATIC, **settings)


def test_other_data_and_models_are_refused() -> None:
    with pytest.raises(InputError, match="needs views"):
        RadianceFitting(STATIC).meet(SyntheticSignal())
    with pytest.raises(InputError, match="Linear is no radiance field"):
        RadianceFitting(lambda: nn.Linear(2, 2)).meet(SphereScene(1, [2, 2]))


def test_a_moving_field_of_a_scene_that_stands_still_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rays without times"):
        fitted(tmp_path, MOVING)


# Runs


def test_figures_of_a_field_of_one_colour(tmp_path: Path) -> None:
    fit = fitted(tmp_path, Constant, total_updates=1, lr=1e-9, end_lr=1e-9)
    views, colour = fit.data.test_views, float(fit.model.colour.detach())
    (line,) = lines(tmp_path)
    hit = views.depth >= 0
    squares = (views.rgb - colour).square().mean(dim=-1)
    whole = [-10 * float(one.mean().log10()) for one in squares]
    met = [-10 * float(one[where].mean().log10()) for one, where in zip(squares, hit, strict=True)]
    depth = [float((4 - one)[where].abs().mean()) for one, where in zip(views.depth, hit, strict=True)]
    assert line["psnr"]["mean"] == pytest.approx(sum(whole) / 2, abs=1e-4)
    assert line["psnr_hit"]["mean"] == pytest.approx(sum(met) / 2, abs=1e-4)
    assert line["depth_error"]["mean"] == pytest.approx(sum(depth) / 2, abs=1e-5)
    assert (line["updates"], line["views"], line["parameters"]) == (1, 2, 1)


@pytest.mark.parametrize(("make", "moving"), [(STATIC, False), (MOVING, True)])
def test_a_fit_in_two_parts_is_the_fit_in_one(tmp_path: Path, make: Any, moving: bool) -> None:
    whole = fitted(tmp_path / "whole", make, moving=moving)
    state = tmp_path / "state.ckpt"
    fitted(tmp_path / "parts", make, Interrupted(3, state), moving=moving)
    parts = fitted(tmp_path / "parts", make, moving=moving, checkpoint=state)
    assert parts.updates == whole.updates == 8
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name
    assert lines(tmp_path / "parts")[-1] == lines(tmp_path / "whole")[-1]


def test_a_run_leaves_pictures_and_facts_of_the_scene(tmp_path: Path) -> None:
    state = tmp_path / "state.ckpt"
    fitted(tmp_path, STATIC, Interrupted(8, state), validate_every=4, num_while_training=1)
    assert [(line["updates"], line["views"]) for line in lines(tmp_path)] == [(4, 1), (8, 2)]
    with Image.open(tmp_path / "samples" / "target_result_error_depth_0000008.png") as picture:
        # Four pictures of 8 x 10, each pixel 12 x 12, with gaps of 4; two views.
        assert picture.size == (4 * 120 + 3 * 4, 2 * 96 + 4)
    facts = torch.load(state, weights_only=True)["scene"]
    assert (facts["near"], facts["far"], facts["unit"], facts["moving"]) == (2.5, 5.5, True, False)
    assert (facts["height"], facts["width"]) == (8, 10)
    report = json.loads((tmp_path / "reconstruction.json").read_text())
    assert len(report["hit_pixels"]["depth_error"]) == 2


def test_how_views_are_cut_into_rays_changes_nothing(tmp_path: Path) -> None:
    found = [
        lines_of["psnr"]["mean"] for lines_of in (lines_after(tmp_path / str(chunk), chunk) for chunk in (7, 4096))
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def lines_after(folder: Path, chunk: int) -> dict[str, Any]:
    fitted(folder, STATIC, total_updates=2, chunk=chunk)
    return lines(folder)[-1]


def test_a_fit_learns(tmp_path: Path) -> None:
    for name, rate in (("still", 1e-9), ("learning", 5e-3)):
        fitted(tmp_path / name, STATIC, total_updates=40, lr=rate, end_lr=rate)
    still, learned = (lines(tmp_path / name)[-1]["psnr"]["mean"] for name in ("still", "learning"))
    assert learned > still + 0.5
