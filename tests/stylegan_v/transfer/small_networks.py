"""Networks with nothing at zero, small enough to fill by the dozen, and the rules at work on a pair of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning, MotionEncoder
from stylegan_v.networks.conditioning import Conditioning
from stylegan_v.transfer.ledger import Ledger
from stylegan_v.transfer.networks import fill

HORIZON = 32


def motion(c_dim: int = 0, **settings: Any) -> MotionEncoder:
    sizes = {"z_dim": 6, "v_dim": 8, "num_frequencies": 8, "distance": 8, "kernel_size": 3}
    return MotionEncoder(**{"c_dim": c_dim, **sizes, "max_num_frames": HORIZON, **settings})


def generator(resolution: int | tuple[int, int] = 16, c_dim: int = 0, seed: int = 0, **settings: Any) -> Generator:
    torch.manual_seed(seed)
    sizes = {"z_dim": 8, "w_dim": 8, "channel_base": 512, "channel_max": 8, "conv_clamp": None}
    made = Generator(resolution, c_dim=c_dim, **{"motion": motion(c_dim), **sizes, **settings})
    made.mapping.w_avg.normal_()
    return stirred(made).eval()


def discriminator(
    kind: type[Conditioning] = HypernetworkConditioning,
    num_frames: int = 3,
    c_dim: int = 0,
    resolution: int | tuple[int, int] = 16,
    *,
    seed: int = 0,
    concat_res: int = 8,
    channel_base: int = 256,
    **condition: Any,
) -> Discriminator:
    torch.manual_seed(seed)
    conditioning = kind(**{"num_frames": num_frames, "c_dim": c_dim, "dim": 8, "max_num_frames": HORIZON, **condition})
    sizes = {"channel_base": channel_base, "channel_max": 8, "concat_res": concat_res, "conv_clamp": None}
    return stirred(Discriminator(resolution, conditioning=conditioning, mbstd_group_size=2, **sizes))


def stirred(network: nn.Module) -> Any:
    """Biases start at zero or one, which would hide much."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                slow = "layers" in name or "motion.conv" in name  # these multiply their biases by 0.01
                parameter += torch.randn_like(parameter) * (30.0 if slow else 0.3)
    return network


def filled(new: nn.Module, old: nn.Module) -> Ledger:
    """The new network, filled from the old one by the rules."""
    ledger = Ledger("network", old, new)
    with torch.no_grad():
        fill(ledger)
    return ledger


def outcomes(ledger: Ledger) -> dict[str, str]:
    """What became of the new network's tensors."""
    return {row.name: row.outcome for row in ledger.rows() if row.outcome != "unused"}


def one_hot(num_classes: int, *numbers: int) -> Tensor | None:
    """Labels; None without classes."""
    return torch.eye(num_classes)[list(numbers)] if num_classes else None


def without_gradient(network: nn.Module, output: Tensor) -> set[str]:
    """The parameters that a loss on this output would not move."""
    network.zero_grad()
    output.square().sum().backward()
    return {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}
