"""Rays and disturbed grids for tests of radiance fields."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize

from fields.modulation import CAM
from fields.radiance.rays import Rays


def rays(count: int = 7, times: torch.Tensor | None = None, seed: int = 1) -> Rays:
    """Rays from around a scene through it, in every direction."""
    generator = torch.Generator().manual_seed(seed)
    viewdirs = normalize(torch.randn(count, 3, generator=generator), dim=1)
    lengths = 1 + torch.rand(count, 1, generator=generator)
    origins = -4 * viewdirs + 0.3 * torch.randn(count, 3, generator=generator)
    ends = [torch.full((count, 1), end) for end in (2.0, 4.0)]
    return Rays(origins, viewdirs * lengths, viewdirs, torch.full((count, 1), 0.02), *ends, times)


def disturb(model: nn.Module, amount: float = 0.5) -> nn.Module:
    """Grids that are not the identity any more."""
    generator = torch.Generator().manual_seed(2)
    for part in model.modules():
        if isinstance(part, CAM):
            for grid in (part.gamma, part.beta):
                with torch.no_grad():
                    grid.values.add_(amount * torch.randn(grid.values.shape, generator=generator))
    return model


def copy_network(source: nn.Module, target: nn.Module) -> nn.Module:
    """The layers of one field in another, whose grids stay as they are."""
    missing, unexpected = target.load_state_dict(
        {name: value for name, value in source.state_dict().items() if ".modulations." not in name}, strict=False
    )
    assert not unexpected and all(".modulations." in name for name in missing)
    return target
