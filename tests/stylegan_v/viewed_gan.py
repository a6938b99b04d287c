"""A tiny video GAN whose generator has a decoder and whose clips have views, and a program that trains it twice.

python -m tests.stylegan_v.viewed_gan FOLDER    writes down the gradients of each of two processes
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from datasets.datamodule import SyntheticVideos
from datasets.view_sampling import ViewLaw
from stylegan_v.gan import VideoGAN
from stylegan_v.multi_scale import MultiScale
from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning, MotionEncoder
from stylegan_v.networks.decoders import ConvField
from tests.stylegan_v import tiny_gan
from tests.stylegan_v.tiny_gan import HORIZON, RecordingGAN, StopAfter


def generator(seed: int = 0, **decoder: Any) -> Generator:
    torch.manual_seed(seed)
    motion = MotionEncoder(z_dim=6, v_dim=8, num_frequencies=8, distance=8, kernel_size=3, max_num_frames=HORIZON)
    sizes = {"z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8, "conv_clamp": None}
    return Generator(16, motion=motion, decoder=partial(ConvField, **decoder), **sizes)


def stirred(**decoder: Any) -> Generator:
    """A generator whose head has an effect."""
    made = generator(**decoder)
    with torch.no_grad():
        for parameter in made.decoder.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return made


def discriminator() -> Discriminator:
    torch.manual_seed(1)
    conditioning = HypernetworkConditioning(num_frames=3, dim=8, max_num_frames=HORIZON, views=True)
    return Discriminator(**tiny_gan.discriminator_settings() | {"conditioning": conditioning})


def data(batch_size: int = 4, **settings: Any) -> SyntheticVideos:
    views = ViewLaw((0.6, 2.0), native_share=0.25)
    return tiny_gan.data(batch_size, **{"native_scales": [1, 2, 3], "views": views, **settings})


def gan(made: type[VideoGAN] = VideoGAN, **settings: Any) -> VideoGAN:
    networks = {"generator": stirred(), "discriminator": discriminator()}
    return made(**{**networks, "r1_every": 2, "multi_scale": MultiScale(), **settings})


def recorded(folder: Path | str, devices: int = 1) -> dict[str, Any]:
    """Gradients and record of two updates on clips of many scales."""
    model = gan(RecordingGAN, r1_every=1)
    tiny_gan.trainer(folder, StopAfter(2), devices=devices, strategy="auto").fit(model, data(8))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    latest = {name: value for name, value in model.latest.items() if name != "w"}
    return {"rank": model.global_rank, "gradients": model.gradients, "latest": latest, "state": state}


if __name__ == "__main__":
    result = recorded(sys.argv[1], devices=2)
    torch.save(result, Path(sys.argv[1]) / f"rank{result['rank']}.pt")
