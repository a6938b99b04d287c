from __future__ import annotations

import pytest
import torch
from torch import Tensor

from errors import InputError
from fields.radiance.marching import MarchingField
from fields.radiance.rays import Rays
from tests.fields.radiance.small_scenes import rays


class Shell(MarchingField):
    """A white shell between two distances, in true lengths, that remembers where it was asked."""

    def __init__(self, num_samples: tuple[int, ...]) -> None:
        super().__init__(num_samples)
        self.asked: list[Tensor] = []
        self.amount = torch.nn.Parameter(torch.tensor(50.0))

    def intervals(self, rays: Rays, edges: Tensor) -> tuple[Tensor, Tensor]:
        self.asked.append(edges)
        middles = (edges[:, 1:] + edges[:, :-1]) / 2
        inside = (middles > 2.5) & (middles < 2.75)
        return torch.ones(*middles.shape, 3), self.amount * inside


def test_finer_levels_look_where_the_coarser_found_something() -> None:
    shell = Shell((16, 16, 32))
    levels = shell.render_rays(rays(), background="black")
    assert [level.weights.shape[1] for level in levels] == [16, 16, 32]
    near = [((edges > 2.2) & (edges < 3)).float().mean() for edges in shell.asked]
    assert near[1] > 0.8 > 0.5 > near[0] and near[2] > 0.8
    for level in levels:
        torch.testing.assert_close(level.rgb, level.opacity[:, None].expand(-1, 3))
    assert ((levels[2].depth > 2.5) & (levels[2].depth < 2.75)).all()


def test_places_are_drawn_for_training_only() -> None:
    shell = Shell((8, 8))
    for seed in (None, None, 5, 5, 6):
        shell.render_rays(rays(), None if seed is None else torch.Generator().manual_seed(seed))
    coarse = shell.asked[::2]
    assert torch.equal(coarse[0], coarse[1]) and torch.equal(coarse[2], coarse[3])
    assert not torch.equal(coarse[0], coarse[2]) and not torch.equal(coarse[2], coarse[4])


def test_no_gradient_passes_through_places() -> None:
    shell = Shell((8, 8))
    coarse, fine = shell.render_rays(rays())
    assert not any(edges.requires_grad for edges in shell.asked)
    assert fine.depth.requires_grad and coarse.rgb.requires_grad


@pytest.mark.parametrize("num_samples", [(), (8, 0)])
def test_levels_have_intervals(num_samples: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="num_samples"):
        Shell(num_samples)
