"""NVP: published sizes, its two times, and that meshes, windows and chunks do not change a picture."""

from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.coords import mesh, times
from fields.interface import VideoField, parameter_groups
from fields.nvp import NVP, tiles

SMALL = {"levels": 3, "base": 4, "sparse_shape": (4, 5, 6), "width": 8}


def small(**settings: object) -> NVP:
    """A field with features that can be told apart."""
    field = NVP((4, 6, 9), **{**SMALL, **settings})
    with torch.no_grad():
        for name, parameter in field.named_parameters():
            if name.startswith(("planes", "sparse")):
                parameter.normal_()
    return field.requires_grad_(False)


def count(field: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in field.parameters())


@pytest.mark.parametrize(
    ("channels", "latent", "plane", "volume", "network", "total"),
    [(2, 114, 9_232_224, 108_000_000, 110_595, 135_807_267), (4, 228, 18_464_448, 216_000_000, 154_371, 271_547_715)],
)
def test_sizes_of_the_published_fields(
    channels: int, latent: int, plane: int, volume: int, network: int, total: int
) -> None:
    with torch.device("meta"):
        field = NVP((600, 1080, 1920), features=channels, sparse_features=channels)
    assert field.feature_dim == latent
    assert [count(one) for one in field.planes.values()] == [plane] * 3
    assert count(field.sparse) == volume
    assert count(field.modulator) + count(field.synthesiser) == network
    assert count(field) == total
    # 8 bits per entry of a grid, 32 per parameter of the network, over the pixels of 600 frames.
    bits = 8 * (total - network) + 32 * network
    assert bits / (600 * 1080 * 1920) == pytest.approx({2: 0.8754, 4: 1.7490}[channels], abs=5e-5)


def test_size_of_the_field_of_the_small_benchmark() -> None:
    field = NVP((16, 32, 32), levels=6, base=4, sparse_shape=(16, 10, 10), width=64)
    assert count(field) == 35_011


def test_no_plane_is_finer_than_the_video_where_it_is_capped() -> None:
    field = NVP((10, 30, 50), levels=16, capped=True, sparse_shape=(2, 2, 2))
    finest = {name: plane.levels[-1].resolution for name, plane in field.planes.items()}
    assert finest == {"yx": (30, 50), "tx": (10, 50), "ty": (10, 30)}
    with torch.device("meta"):
        cut, whole = (NVP((600, 1080, 1920), capped=capped) for capped in (True, False))
    share = {name: cut.planes[name].levels[-1].size / whole.planes[name].levels[-1].size for name in ("tx", "ty")}
    assert share == {"tx": 600 * 1443 / 1443**2, "ty": 600 * 1080 / 1443**2}


def test_features_of_a_plane_do_not_change_along_the_axis_it_leaves_out() -> None:
    field, places = small(), torch.rand(7, 3)
    for axis, name in enumerate(("yx", "tx", "ty")):  # t is left out by yx, y by tx, x by ty
        moved = places.clone()
        moved[:, axis] = torch.rand(7)
        width = field.planes[name].out_dim
        part = slice(axis * width, (axis + 1) * width)
        assert torch.equal(field.encode(places)[:, part], field.encode(moved)[:, part])
        assert not torch.equal(field.encode(places), field.encode(moved))


def test_planes_may_differ() -> None:
    field = small(levels=(1, 2, 3), base=(4, 5, 6), growth=(1.0, 1.5, 2.0), features=(1, 2, 3))
    assert [len(plane.levels) for plane in field.planes.values()] == [1, 2, 3]
    assert [plane.table.shape[1] for plane in field.planes.values()] == [1, 2, 3]
    assert field(torch.rand(5, 3)).shape == (5, 3)


@pytest.mark.parametrize("blend", [False, True])
@pytest.mark.parametrize("settings", [{}, {"capped": True, "upsample": True}])
@pytest.mark.parametrize("size", [(6, 9), (11, 5)])
def test_frames_are_the_colours_at_their_points(size: tuple[int, int], settings: dict, blend: bool) -> None:
    field, moments = small(**settings), torch.tensor([-0.9, 0.1, 0.75])
    frames = field.render(moments, size, blend_time=blend)
    for t, frame in zip(moments, frames, strict=True):
        points = torch.cat((t.expand(*size, 1), mesh(size)), dim=-1).flatten(0, 1)
        expected = field(points, blend).T.reshape(3, *size)
        torch.testing.assert_close(frame, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 4, 13, 1000])
def test_windows_and_chunks_do_not_change_a_picture(chunk: int) -> None:
    field, moments = small(), times(4)
    whole = field.render(moments, (6, 9))
    assert isinstance(field, VideoField)
    torch.testing.assert_close(field.render(moments, (6, 9), chunk=chunk), whole)
    torch.testing.assert_close(field.render(moments, (6, 9), (1, 2, 5, 8), chunk), whole[..., 1:5, 2:8])


def test_points_are_independent_of_their_order() -> None:
    field, points, order = small(), torch.rand(20, 3) * 2 - 1, torch.randperm(20)
    torch.testing.assert_close(field(points[order]), field(points)[order])


def test_beyond_the_outermost_pixels_the_grids_stand_still() -> None:
    field = small()
    corner, beyond = torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([[0.0, -0.5, -0.1]])
    assert torch.equal(field.encode(corner), field.encode(beyond))


def test_grids_are_a_group_of_their_own() -> None:
    field = NVP((4, 6, 9), **SMALL)
    groups = {group["name"]: sum(one.numel() for one in group["params"]) for group in parameter_groups(field)}
    grids = count(field.planes) + count(field.sparse)
    assert groups == {"network": count(field) - grids, "grids": grids}


def test_derivatives_by_points_of_either_backend_agree() -> None:
    field, points = small(), torch.rand(9, 3) * 2 - 1
    found = []
    for backend in ("torch", "loop"):
        for plane in field.planes.values():
            plane.backend = backend
        x = points.clone().requires_grad_()
        found.append(torch.autograd.grad(field(x).sum(), x)[0])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_tiles_cover_a_window_once() -> None:
    for chunk in (1, 3, 5, 11, 100):
        seen = torch.zeros(4, 5)
        for row, column in tiles(4, 5, chunk):
            assert seen[row, column].numel() <= chunk
            seen[row, column] += 1
        assert torch.equal(seen, torch.ones(4, 5))


@pytest.mark.parametrize("settings", [{"levels": (1, 2)}, {"size": (4, 0, 3)}, {"size": (4, 3)}])
def test_settings_that_cannot_be_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        NVP(**{"size": (4, 6, 9), **SMALL, **settings})


def test_a_still_picture_is_a_video_of_one_frame() -> None:
    field = NVP((1, 6, 9), **{**SMALL, "sparse_shape": (1, 3, 3)}, capped=True)
    assert field.render(times(1), (6, 9), blend_time=True).isfinite().all()


def test_features_are_float32_under_autocast() -> None:
    field, places = small(), torch.rand(9, 3)
    expected = field.encode(places)
    field.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = field.encode(places)
        loss = field.decode(features, places[:, :1]).square().mean()
    assert torch.equal(features.detach(), expected)
    gradients = torch.autograd.grad(loss, list(field.parameters()))
    assert all(gradient.dtype == torch.float32 and gradient.isfinite().all() for gradient in gradients)
