"""Small generators of every kind that can be exported."""

from __future__ import annotations

from typing import Any

import torch

from stylegan_v.networks import AcyclicEncoding, Generator, Motion, MotionEncoder, Motionless, SmoothEncoding

_SIZES = {"v_dim": 8, "num_frequencies": 8, "min_period": 16, "max_period": 1024}
DISTANCE, REACH = 8, 4


def motion(encoding: type[AcyclicEncoding | SmoothEncoding] = AcyclicEncoding, c_dim: int = 0) -> MotionEncoder:
    return MotionEncoder(
        z_dim=6,
        c_dim=c_dim,
        distance=DISTANCE,
        kernel_size=1 + REACH // 2,
        max_num_frames=32,
        encoding=encoding(**_SIZES),
        **_SIZES,
    )


def generator(
    resolution: int | tuple[int, int] = 8, *, c_dim: int = 0, moving: Motion | None = None, **settings: Any
) -> Generator:
    """A generator none of whose tensors is as it was made, ready to sample."""
    torch.manual_seed(0)
    moving = motion(c_dim=c_dim) if moving is None else moving
    sizes = {"z_dim": 8, "w_dim": 16, "channel_base": 128, "channel_max": 8}
    made = Generator(resolution, c_dim=c_dim, motion=moving, **sizes, **settings)
    for name, tensor in made.state_dict().items():
        if "freqs" not in name and "phase_scales" not in name:
            tensor += 0.1 * torch.randn_like(tensor)
    return made.eval().requires_grad_(False)


KINDS = {
    "acyclic with labels": lambda: generator(c_dim=3),
    "smooth with labels": lambda: generator(c_dim=2, moving=motion(SmoothEncoding, c_dim=2)),
    "cropped with noise and clamp": lambda: generator((18, 25), noise_inputs=True, conv_clamp=0.5),
    "images with labels": lambda: generator(c_dim=2, moving=Motionless()),
    "time joined to the styles": lambda: generator(time_conditioning="concat_w", motion_input=True),
    "time added to the styles": lambda: generator(time_conditioning="sum_w"),
}
