"""Updates of a small video GAN that are really made: what they did, and what they took.

python -m tests.stylegan_v.cost.updating    prints the bytes estimated and those by which the process grew, as JSON
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from typing import Any

import torch

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from stylegan_v.augment import AdaptiveProbability, AugmentPipe
from stylegan_v.callbacks.cost import cost_of
from stylegan_v.cost import Cost, Counter, LiveTensors
from stylegan_v.gan import VideoGAN
from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning, MotionEncoder
from tests.stylegan_v.tiny_gan import HORIZON, StopAfter, data, trainer


class StillEncoder(MotionEncoder):
    """Embeddings that no products are needed for."""

    def forward(self, t: torch.Tensor, *args: Any, **settings: Any) -> torch.Tensor:
        return torch.randn(*t.shape, self.out_dim)


class CountedGAN(VideoGAN):
    """Notes multiply-adds and bytes of its phases."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.found: dict[str, tuple[int, int]] = {}

    def counted(self, name: str, call: Callable[[], None]) -> None:
        with LiveTensors() as live, Counter() as counter:
            call()
        self.found[name] = counter.work.multiply_adds, live.peak

    def update_generator(self, reals: list) -> None:
        self.counted("generator", lambda: super(CountedGAN, self).update_generator(reals))

    def update_discriminator(self, reals: list) -> None:
        self.counted("discriminator", lambda: super(CountedGAN, self).update_discriminator(reals))

    def update_r1(self, reals: list) -> None:
        self.counted("R1", lambda: super(CountedGAN, self).update_r1(reals))


def networks(resolution: int, channel_base: int, motion: type[MotionEncoder] = MotionEncoder) -> dict[str, Any]:
    """A generator and a discriminator whose activations outweigh their parameters."""
    sizes = {"resolution": resolution, "channel_base": channel_base, "channel_max": 64}
    encoder = motion(z_dim=16, v_dim=16, num_frequencies=8, distance=8, kernel_size=3, max_num_frames=HORIZON)
    conditioning = HypernetworkConditioning(num_frames=3, dim=16, max_num_frames=HORIZON)
    return {
        "generator": Generator(z_dim=16, w_dim=16, motion=encoder, **sizes),
        "discriminator": Discriminator(conditioning=conditioning, mbstd_group_size=2, **sizes),
    }


def updated(
    made: type[VideoGAN], resolution: int, channel_base: int, updates: int, *, batch_size: int = 4, **settings: Any
) -> tuple[VideoGAN, Cost]:
    """A model after some updates, each with R1, and what they should have cost."""
    motion = StillEncoder if made is CountedGAN else MotionEncoder
    model = made(**networks(resolution, channel_base, motion), **{"r1_every": 1, **settings})
    with tempfile.TemporaryDirectory() as folder:
        run = trainer(folder, StopAfter(updates))
        run.fit(model, data(batch_size, resolution=resolution))
        return model, cost_of(run, model)


def main() -> None:
    from benchmarks.memory import MIB, resident_peak

    augmented = {"augment": AugmentPipe("bgc"), "ada": AdaptiveProbability(p=0.5)}
    updated(VideoGAN, 32, 256, 1, **augmented)  # what libraries take once
    costs: list[Cost] = []
    grown = resident_peak(lambda: costs.append(updated(VideoGAN, 128, 4096, 2, **augmented)[1]))
    print(json.dumps({"estimated": costs[0].peak / MIB, "grown": grown}))


if __name__ == "__main__":
    main()
