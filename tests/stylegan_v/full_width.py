"""One update of the full-width fine-tuning from 256 to 1024 px, on a clip above native, and what it takes.

python -m tests.stylegan_v.full_width FOLDER    writes FOLDER/result.json
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from jsonargparse import ArgumentParser
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import Callback

from benchmarks.memory import memory
from stylegan_v.checkpoints import build, write_checkpoint
from stylegan_v.gan import VideoGAN
from stylegan_v.networks import Generator

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "stylegan_v_field" / "finetune_256_1024.yaml"


@torch.no_grad()
def native_frame(network: Generator) -> torch.Tensor:
    """Of a fixed latent, at a fixed time."""
    random = torch.Generator().manual_seed(3)
    z, motion_z = (torch.randn(1, *shape, generator=random) for shape in ((512,), (64, 512)))
    return network.eval()(z, torch.tensor([[7.25]], dtype=torch.float64), None, motion_z)


def source(config: dict[str, Any], folder: Path) -> torch.Tensor:
    """Leaves a checkpoint of a generator of this width without a decoder, untrained; returns what it draws."""
    generator = copy.deepcopy(config["model"]["init_args"]["generator"])
    del generator["init_args"]["decoder"]
    torch.manual_seed(5)
    network = build(generator)
    state = {f"generator_ema.{name}": value for name, value in network.state_dict().items()}
    plain = {"model": {"init_args": {"generator": generator}}, "data": {"class_path": "unused", "init_args": {}}}
    write_checkpoint({"state_dict": state, "config": yaml.safe_dump(plain)}, folder / "source.ckpt")
    return native_frame(network)


class Watch(Callback):
    """Notes the native frame before the first update."""

    def on_train_start(self, trainer: Trainer, pl_module: VideoGAN) -> None:
        self.frames = [native_frame(network).clone() for network in (pl_module.generator_ema, pl_module.generator)]
        pl_module.generator.train()


def built(config: dict[str, Any]) -> tuple[VideoGAN, LightningDataModule]:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    parser.add_subclass_arguments(LightningDataModule, "data")
    made = parser.instantiate(parser.parse_object({key: config[key] for key in ("model", "data")}))
    return made.model, made.data


def main(folder: Path) -> dict[str, Any]:
    config = yaml.safe_load(CONFIG.read_text())
    expected = source(config, folder)
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    model |= {"init_from": str(folder / "source.ckpt"), "total_kimg": 0.001}
    model["discriminator"]["init_args"]["mbstd_group_size"] = 1
    data["views"]["init_args"] |= {"native_share": 0.0, "scales": [2.5, 4.0]}
    kept = {name: data[name] for name in ("resolution", "views", "frame_sampler")}
    sprites = {"num_videos": 2, "num_frames": 1024, "native_scales": [4.0], "batch_size": 1, "num_workers": 0}
    config["data"] = {"class_path": "datasets.datamodule.SyntheticVideos", "init_args": kept | sprites}
    gan, clips = built(config)
    watch = Watch()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    Trainer(accelerator="cpu", max_epochs=-1, callbacks=[watch], enable_model_summary=False, **quiet).fit(
        gan, datamodule=clips
    )
    state = gan.state_dict().values()
    return {
        "updates": gan.updates,
        "started": [float((frame - expected).abs().max()) for frame in watch.frames],
        "contrast": float(expected.std(dim=(3, 4)).mean()),
        "latest": {name: float(value) for name, value in gan.latest.items() if value.numel() == 1},
        "bad": dict(gan.guard.bad_in_a_row),
        "finite": all(bool(value.isfinite().all()) for value in state),
        "head_moved": bool(gan.generator.decoder.last_weight.any()),
        "peak_gb": memory("VmHWM") * 2**20 / 1e9,
    }


if __name__ == "__main__":
    (Path(sys.argv[1]) / "result.json").write_text(json.dumps(main(Path(sys.argv[1])), indent=1))
