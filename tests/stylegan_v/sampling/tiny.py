"""Generators that draw in milliseconds."""

from __future__ import annotations

import torch

from stylegan_v.networks import Generator, Motion, MotionEncoder, TimeEncoding


def encoder(
    encoding: type[TimeEncoding] | None = None, *, c_dim: int = 0, distance: int = 4, max_period: int = 64
) -> MotionEncoder:
    torch.manual_seed(0)
    return MotionEncoder(
        z_dim=6,
        v_dim=8,
        c_dim=c_dim,
        num_frequencies=8,
        distance=distance,
        kernel_size=3,
        min_period=4,
        max_period=max_period,
        max_num_frames=64,
        encoding=encoding and encoding(8, 8, 4, max_period),
    )


def generator(motion: Motion | None = None, *, c_dim: int = 0, resolution: int | tuple[int, int] = 16) -> Generator:
    motion = encoder(c_dim=c_dim) if motion is None else motion
    torch.manual_seed(1)
    made = Generator(resolution, z_dim=8, w_dim=8, c_dim=c_dim, motion=motion, channel_base=128, channel_max=8)
    made.mapping.w_avg.normal_()
    return made.eval()
