"""Quantisers of videos, and the bits of their symbols."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from fields.codec.huffman import average_bits, entropy_bits
from fields.ffnerv.network import FFNeRVNetwork
from fields.modulation import CAM
from fields.quantisers import TanhFloor, floor_to_steps
from tests.conformance.recordings import Recording

EXACT = {"rtol": 1e-9, "atol": 1e-9}
BITS = (4, 6, 8)
# The two published sizes (for 1280 x 720 and 1920 x 1080).
PUBLISHED = {
    "representation": {},
    "compression": {
        "latent_times": (300, 600),
        "latent_dim": 48,
        "strides": (5, 3, 2, 2, 2),
        "expansion": 8,
        "lower_width": 24,
        "convolution": "compact",
        "cam_knots": 30,
        "bits": 6,
    },
}


def steps(data: Recording) -> None:
    for bits in BITS:
        torch.testing.assert_close(floor_to_steps(data["x"], bits), data[f"qfn_w{bits}"], **EXACT)


def tanh_and_steps(data: Recording) -> None:
    for bits in BITS:
        torch.testing.assert_close(TanhFloor(bits)(data["x"]), data[f"tanh_floor_w{bits}"], **EXACT)
    x = data["x"].requires_grad_()
    y = TanhFloor(6)(x)
    (gradient,) = torch.autograd.grad((y * data["tanh_floor_w6/g"]).sum(), x)
    torch.testing.assert_close(gradient, data["tanh_floor_w6/grad"], **EXACT)


def huffman(data: Recording) -> None:
    symbols, counts = TanhFloor(6)(data["huffman/weights"]).unique(return_counts=True)
    torch.testing.assert_close(symbols, data["huffman/symbols"], **EXACT)
    assert torch.equal(counts, data["huffman/counts"])
    average = average_bits(counts.tolist())
    assert average == pytest.approx(data["huffman/avg_bits"].item(), abs=0.01)
    assert average / 6 == pytest.approx(data["huffman/efficiency"].item(), abs=0.01 / 6)
    assert entropy_bits(counts.tolist()) == pytest.approx(data["huffman/entropy_bits"].item(), abs=1e-9)


def count(module: nn.Module, part: type[nn.Module] = nn.Module) -> int:
    """Parameters of all parts of a kind."""
    parts = [module] if part is nn.Module else [one for one in module.modules() if isinstance(one, part)]
    return sum(parameter.numel() for one in parts for parameter in one.parameters())


def parameters(data: Recording) -> None:
    for name, settings in PUBLISHED.items():
        with torch.device("meta"):
            network = FFNeRVNetwork(**settings)
        found = [count(network), count(network.latents), count(network, CAM)]
        assert found == data[f"param_count/{name}_total_latentgrid_modgrid"].tolist()


SECTIONS: dict[str, Callable[[Recording], None]] = {
    "steps": steps,
    "tanh_and_steps": tanh_and_steps,
    "huffman": huffman,
    "parameters": parameters,
}
