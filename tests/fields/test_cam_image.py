"""Pictures by Fourier features and modulation: counts, rendering, what grids and norm do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from errors import InputError
from fields.cam_image import CAMImage, ImageNetwork
from fields.coords import mesh
from fields.interface import VideoField, parameter_groups

SMALL = {"num_frequencies": 6, "sigma": 2.0, "hidden": (8, 8)}


@pytest.mark.parametrize(("knots", "count"), [(None, 263_683), ((32, 32), 269_827)])
def test_counts_of_the_published_networks(knots: tuple[int, int] | None, count: int) -> None:
    with torch.device("meta"):
        assert sum(one.numel() for one in CAMImage((512, 512), knots=knots).parameters()) == count


def test_colours_are_asked_at_pixel_centres() -> None:
    field = CAMImage((4, 6), **SMALL)
    rows, columns = torch.meshgrid((torch.arange(4) + 0.5) / 4, (torch.arange(6) + 0.5) / 6, indexing="ij")
    points = torch.stack((rows, columns), dim=-1).flatten(0, 1)
    torch.testing.assert_close(field(mesh((4, 6)).flatten(0, 1)), 2 * field.network(points) - 1)


def test_a_picture_stands_still_and_windows_are_parts_of_it() -> None:
    field = CAMImage((4, 6), **SMALL)
    assert isinstance(field, VideoField)
    whole = field.render(torch.zeros(2), (5, 7), chunk=3)
    assert whole.shape == (2, 3, 5, 7) and torch.equal(whole[0], whole[1])
    # Layer norm and matrix products may round otherwise in other chunks.
    torch.testing.assert_close(field.render(torch.zeros(1), (5, 7), (1, 2, 4, 7))[0], whole[0, :, 1:4, 2:7])


def test_grids_are_a_group_of_their_own_rows_first() -> None:
    network = ImageNetwork(**SMALL, knots=(3, 5))
    groups = {group["name"]: group["params"] for group in parameter_groups(network)}
    assert [tuple(one.shape) for one in groups["grids"]] == [(1, 3, 5)] * 4


def test_without_grids_there_is_no_norm() -> None:
    plain, bare = ImageNetwork(**SMALL, knots=None), ImageNetwork(**SMALL, knots=(2, 2), norm="none")
    bare.load_state_dict(plain.state_dict(), strict=False)
    points = torch.rand(9, 2)
    torch.testing.assert_close(plain(points), bare(points))
    normed = ImageNetwork(**SMALL, knots=(2, 2))
    normed.load_state_dict(bare.state_dict())
    assert (normed(points) - plain(points)).abs().max() > 1e-3


def test_a_grid_shifts_its_own_corner() -> None:
    network = ImageNetwork(**SMALL, knots=(3, 3))
    nn.init.uniform_(network.mlp.last.weight, 0.5, 1.0)
    with torch.no_grad():
        before = network(mesh((6, 6)).flatten(0, 1) / 2 + 0.5).mean(dim=1).reshape(6, 6)
        network.mlp.modulations[1].beta.values[0, 0, 2] = 2.0  # above, right
        after = network(mesh((6, 6)).flatten(0, 1) / 2 + 0.5).mean(dim=1).reshape(6, 6)
    changed = (after - before).abs() > 1e-6
    assert changed[:3, 3:].all() and changed.sum() == 9


@pytest.mark.parametrize("knots", [(3,), (3, 3, 3), (0, 3), (1, 1), (4, 1)])
def test_impossible_grids_are_refused(knots: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="at least 2 of each"):
        CAMImage((4, 6), **SMALL, knots=knots)


@pytest.mark.parametrize("settings", [{"num_frequencies": 0}, {"sigma": 0.0}, {"sigma": float("nan")}])
def test_impossible_features_are_refused(settings: dict) -> None:
    with pytest.raises(InputError, match="num_frequencies"):
        CAMImage((4, 6), **(SMALL | settings))
