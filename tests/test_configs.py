"""Every config of the video GAN parses, builds the networks it should, and trains."""

from __future__ import annotations

import copy
import gc
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from jsonargparse import ArgumentParser, Namespace
from pytorch_lightning import LightningDataModule, LightningModule, Trainer

import train
from datasets.datamodule import SyntheticVideos
from stylegan_v.gan import VideoGAN
from stylegan_v.official import derive_settings

CONFIGS = {path.stem: path for path in sorted(Path("configs/stylegan_v").glob("*.yaml"))}
CONFIGS |= {f"field_{path.stem}": path for path in sorted(Path("configs/stylegan_v_field").glob("*.yaml"))}
RECORDED = Path(os.environ.get("CONFORMANCE_DATA", "tests/conformance/data")) / "stylegan_v"

OFFICIAL_256 = (32_105_941, 25_333_568)
# Instead of a projection head: an affine layer per block, 513 x (64 + 128 + 256 + 512 + 768 + 512), and a plain logit.
OURS_256 = (32_105_941, 25_333_568 + 513 * 2240 - 513 * 512 + 513)
# Without motion: no convolutions over 11 codes, no predictors, no 512 channels more in the first layer. With one frame:
# no 512 channels more in the joining block, no embedding of times nor its mapping, but a constant in its place.
IMAGES_256 = (
    OURS_256[0] - 2 * (11 * 512 + 1) * 512 - 1024 * 512 - (9 * 512 + 513) * 512,
    OURS_256[1] - (9 * 512 + 512 + 513) * 512 - 1024 * 256 - (553 + 2 * 513) * 512 + 512,
)


def _conv_field(channels: int) -> int:
    """A 3x3 convolution to 64 channels, their offsets and cells along two axes, then 32 and 3 channels."""
    return 64 * (9 * channels + 1 + 2 + 2) + 32 * (9 * 64 + 1) + 3 * (9 * 32 + 1)


def _views(dim: int) -> int:
    """What adds views to a condition: two fully connected layers."""
    return 4 * dim + (dim + 1) * dim


TOTALS = {  # parameters of (generator, discriminator)
    **dict.fromkeys(
        ("ffs_official", "sky_timelapse_official", "ucf101_official", "rainbow_jelly_official"), OFFICIAL_256
    ),
    "mead_official": (38_444_283, 30_384_416),
    **dict.fromkeys(
        ("ffs", "sky_timelapse", "ucf101", "rainbow_jelly", "custom", "finetune_256", "smooth_256"), OURS_256
    ),
    "mead": (38_444_283, 32_115_713),
    "mocogan_sg2": (29_619_157, OFFICIAL_256[1]),
    **dict.fromkeys(("image_pretrain_256", "image_pretrain_frames_256"), IMAGES_256),
    "image_pretrain_tiny": (17_044, 16_929),
    **dict.fromkeys(("tiny", "smooth_tiny", "tiny_evaluated"), (21_700, 45_265)),
    # The head, and scales and shifts of rank 4 for the one convolution of 4 px and two of 8, 16 and 32.
    "tiny_cam": (21_700 + 33 * 32 + 2 * 4 * (16 + 2 * (16 + 16 + 8)), 45_265),
    "mocogan_sg2_tiny": (22_324, 44_704),
    "real_tiny": (846_655, 1_017_665),
    "demo": (442_108, 687_553),
    "field_tiny": (21_700 + _conv_field(16), 45_265 + _views(16)),
    "field_sprites_32": (442_108 + _conv_field(32), 687_553 + _views(64)),
    "field_finetune_256_1024": (OURS_256[0] + _conv_field(128), OURS_256[1] + _views(512)),
}
AT_256 = [name for name in CONFIGS if TOTALS[name][0] > 20e6 and not name.startswith("mead")]
AT_1024 = ["mead", "mead_official"]


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load(CONFIGS[name].read_text())


def _build(config: dict[str, Any], device: str = "cpu") -> Namespace:
    """Model and data of a config, built as the command line builds them."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    parser.add_subclass_arguments(LightningDataModule, "data")
    parsed = parser.parse_object({key: config[key] for key in ("model", "data")})
    with torch.device(device):
        return parser.instantiate(parsed)


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_config_parses_on_the_command_line(name: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        train.main(["fit", "--config", str(CONFIGS[name]), "--print_config"])
    assert not end.value.code
    resolved, written = yaml.safe_load(capsys.readouterr().out), _read(name)
    assert resolved["model"]["class_path"] == "stylegan_v.gan.VideoGAN"
    assert resolved["model"]["init_args"]["total_kimg"] == written["model"]["init_args"]["total_kimg"]
    assert written["seed_everything"] == 0  # a run can be repeated


@pytest.mark.parametrize("name", CONFIGS)
def test_config_builds_the_networks_it_should(name: str) -> None:
    built = _build(_read(name), device="meta")
    model, data = built.model, built.data
    assert (_count(model.generator), _count(model.discriminator)) == TOTALS[name]
    assert model.generator.resolution == model.discriminator.resolution == data.resolution
    assert model.discriminator.num_frames == data.frame_sampler.num_frames
    motion, time = model.generator.synthesis.motion, model.discriminator.conditioning.time_encoder
    if name.startswith("image_pretrain"):
        assert (motion.out_dim, time, data.frame_sampler.num_frames) == (0, None, 1)
    else:
        assert motion.max_num_frames == time.const_embed.num_embeddings == data.frame_sampler.max_num_frames
    assert data.batch_size % (model.num_micro_batches * model.discriminator.mbstd_group_size) == 0


@pytest.mark.parametrize(
    ("images", "videos"),
    [("image_pretrain_tiny", "tiny"), ("image_pretrain_256", "ffs"), ("image_pretrain_frames_256", "custom")],
)
def test_networks_for_images_are_those_for_videos_but_for_motion_and_the_number_of_frames(
    images: str, videos: str
) -> None:
    """So that the weights of the one are a start for the other."""
    still, moving = (_build(_read(name), device="meta").model for name in (images, videos))
    other = {}
    for net in ("generator", "discriminator"):
        one, two = (getattr(model, net).state_dict() for model in (still, moving))
        names = [
            name for name in {**one, **two} if name not in one or name not in two or one[name].shape != two[name].shape
        ]
        other[net] = {name for name in names if "motion." not in name and "conditioning." not in name}
    first, joining = "synthesis.blocks.b4.convs.0", "blocks.b16"
    assert other["generator"] == {f"{first}.{name}" for name in ("weight", "affine.weight", "affine.bias")}
    assert other["discriminator"] == {
        f"{joining}.{name}" for name in ("conv0.weight", "conv0.affine.weight", "conv0.affine.bias", "skip.weight")
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_header_says_what_it_is_and_how_to_run_it(name: str) -> None:
    text = CONFIGS[name].read_text()
    assert text.startswith("# ")
    assert f"python train.py fit --config {CONFIGS[name]}" in text
    if _read(name)["data"]["class_path"].endswith("VideoFolder"):
        assert "python -m datasets." in text


def test_official_totals_are_those_recorded() -> None:
    path = RECORDED / "official_256_parameters.json"
    if not path.exists():
        pytest.skip(f"this conformance set has no {path.name}")
    recorded = json.loads(path.read_text())
    assert tuple(recorded["totals"][net]["parameters"] for net in ("G", "D")) == OFFICIAL_256


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.endswith("_official")])
def test_official_configs_say_what_the_original_derives(name: str) -> None:
    config = _read(name)
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    settings = derive_settings([f"dataset.resolution={data['resolution']}", "num_gpus=4"])
    assert data["batch_size"] == settings["batch_size"]
    assert data["flip"] == settings["xflip"]
    assert model["total_kimg"] == settings["total_kimg"]
    assert model["ema_rampup"] == settings["ema_rampup"]
    assert model["ada"]["init_args"] == {"target": settings["ada_target"], "ada_kclips": settings["ada_kimg"]}
    assert model["augment"]["init_args"]["preset"] == "bgc"
    for net, short in (("generator", "G"), ("discriminator", "D")):
        assert model[net]["init_args"]["channel_base"] == settings[f"{short}_channel_base"]
        assert model[f"{short.lower()}_optimizer"]["init_args"]["lr"] == settings[f"{short}_lr"]
        assert model[f"{short.lower()}_optimizer"]["init_args"]["betas"] == settings["betas"]
    assert model["discriminator"]["init_args"]["mbstd_group_size"] == settings["mbstd_group"]


@pytest.mark.parametrize(
    "name", ["tiny", "smooth_tiny", "tiny_cam", "mocogan_sg2_tiny", "image_pretrain_tiny", "field_tiny"]
)
def test_tiny_config_trains(name: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    total_kimg = _read(name)["model"]["init_args"]["total_kimg"] / 2
    command = ["fit", "--config", str(CONFIGS[name]), "--runs_dir", str(tmp_path), f"--model.total_kimg={total_kimg}"]
    train.main([*command, "--data.num_workers=0"])
    checkpoint = torch.load(tmp_path / CONFIGS[name].stem / "last.ckpt", weights_only=True)
    assert checkpoint["counters"]["updates"] == 2
    assert all(value.isfinite().all() for value in checkpoint["state_dict"].values())


class LabelledSprites(SyntheticVideos):
    """Sprites with as many classes as a real data set has."""

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        self.videos.labels = np.eye(77, dtype=np.float32)[: self.num_videos]


def _train_one_update(name: str, batch_size: int, accelerator: str = "cpu", **changes: Any) -> tuple[VideoGAN, dict]:
    """One update of a config's networks on sprites; also returns the parameters from before."""
    config = _read(name)
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    model |= {"num_micro_batches": 1, "total_kimg": 0.001, "init_from": None, **changes}
    model["discriminator"]["init_args"]["mbstd_group_size"] = batch_size
    model["ada"]["init_args"]["p"] = 0.5  # a run begins with 0, which leaves the transforms out
    one_frame = {"class_path": "datasets.frame_sampling.RandomSpans", "init_args": {"num_frames": 1}}
    config["data"] = {
        "class_path": "datasets.datamodule.SyntheticVideos",
        "init_args": {"resolution": data["resolution"], "frame_sampler": data.get("frame_sampler", one_frame)}
        | {"num_videos": 4, "num_frames": 64, "batch_size": batch_size, "num_workers": 0}
        | ({"views": data["views"], "native_scales": [2.0, 4.0]} if "views" in data else {}),
    }
    built = _build(config)
    gan, clips = built.model, built.data
    if gan.generator.c_dim:
        clips = LabelledSprites(
            4, 64, clips.resolution, frame_sampler=clips.frame_sampler, batch_size=batch_size, num_workers=0
        )
    before = copy.deepcopy(
        {net: getattr(gan, net).state_dict() for net in ("generator", "generator_ema", "discriminator")}
    )
    trainer = Trainer(
        accelerator=accelerator,
        precision="bf16-mixed",
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(gan, datamodule=clips)
    return gan, before


def _check_update(gan: VideoGAN, before: dict, losses: set[str]) -> None:
    assert gan.updates == 1
    assert losses <= gan.latest.keys()
    assert all(gan.latest[name].isfinite() for name in losses)
    for net, state in before.items():
        after = getattr(gan, net).state_dict()
        assert all(value.isfinite().all() for value in after.values())
        assert any(not torch.equal(state[key], value.cpu()) for key, value in after.items()), net


@pytest.mark.slow
@pytest.mark.parametrize("name", AT_256)
def test_256_px_config_makes_a_full_update(name: str) -> None:
    gan, before = _train_one_update(name, batch_size=1)
    _check_update(gan, before, {"loss/g", "loss/d", "loss/r1"})


@pytest.mark.slow
def test_1024_px_configs_run_the_phases_of_generator_and_discriminator() -> None:
    # One after the other: each takes 8 GB, too much for parallel tests.
    for name in AT_1024:
        gan, before = _train_one_update(name, batch_size=1, r1_gamma=0.0)
        _check_update(gan, before, {"loss/g", "loss/d"})
        del gan, before
        gc.collect()


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize("name", AT_1024)
def test_1024_px_config_makes_a_full_update(name: str) -> None:
    gan, before = _train_one_update(name, batch_size=1, accelerator="gpu")
    _check_update(gan, before, {"loss/g", "loss/d", "loss/r1"})


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("field_")])
def test_heads_that_draw_at_any_size_are_trained_on_views(name: str) -> None:
    built = _build(_read(name), device="meta")
    model, data = built.model, built.data
    assert model.generator.decoder is not None and model.multi_scale is not None
    assert model.discriminator.conditioning.view_encoder is not None
    assert data.views.scales[1] >= 2
    if hasattr(data, "native_scales"):
        assert max(data.native_scales) > data.views.scales[1], "patches are reductions of larger frames"
