"""Small generators with decoders whose every parameter has an effect, and their inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from stylegan_v.networks import Generator, MotionEncoder
from stylegan_v.networks.decoder import Decoder
from stylegan_v.networks.decoders import ConvField, NVPField, PointField

KINDS: dict[str, Callable[..., Decoder]] = {
    "conv": partial(ConvField, width=8, hidden=6),
    "point": partial(PointField, width=8),
    "nvp": partial(NVPField, plane_channels=4, plane_size=8, num_bases=3, width=16),
}


def motion() -> MotionEncoder:
    sizes = {"z_dim": 6, "v_dim": 8, "num_frequencies": 8, "distance": 8, "kernel_size": 3}
    return MotionEncoder(**sizes, max_period=64, max_num_frames=32)


def generator(
    kind: str | None = "conv",
    resolution: int | tuple[int, int] = 16,
    mode: str = "residual",
    stirred: bool = True,
    **settings: Any,
) -> Generator:
    torch.manual_seed(0)
    decoder = None if kind is None else partial(KINDS[kind], mode=mode)
    sizes = {"z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8}
    made = Generator(resolution, **{"motion": motion(), "decoder": decoder, **sizes, **settings}).eval()
    if kind is not None and stirred:
        stir(made.decoder)
    return made


def stir(decoder: nn.Module, by: float = 0.5) -> None:
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter += by * torch.randn(parameter.shape, generator=random, dtype=parameter.dtype)


def draw(network: Generator, times: tuple[float, ...] = (0.0, 3.25, 9.0), **options: Any) -> Tensor:
    random = torch.Generator().manual_seed(3)
    z, motion_z = (torch.randn(*shape, generator=random) for shape in ((2, 8), (2, 20, 6)))
    t = torch.tensor([times] * 2, dtype=torch.float64)
    dtype = network.synthesis.const.dtype
    return network(z.to(dtype), t, None, motion_z.to(dtype), **options)
