from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fields.continuous_image import ContinuousImage
from fields.upscaling.tiling import Cut, render_view, spans
from fields.upscaling.views import Axis, Target, View, Zoom
from tests.fields import small_liif

WHOLE = Cut(None, None)


def rendered(model: ContinuousImage, image: Tensor, view: View, cut: Cut, chunk: int = 1000) -> Tensor:
    """A view put together of its parts; what no part wrote is not a number."""
    result = torch.full((3, *view.size), torch.nan)
    for rows, columns, values in render_view(model, lambda y, x: image[:, y, x], view, cut, chunk):
        assert result[:, rows, columns].isnan().all()  # nothing is written twice
        result[:, rows, columns] = values
    return result


def some_image(height: int, width: int) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("target", [Target(scale=2.7), Target(scale=1), Target(zoom=Zoom(0.3, 0.9, 7.3))])
@pytest.mark.parametrize(("tile", "margin"), [(1, 0), (5, 2), (8, 40), (100, 3)])
def test_tiles_write_everything_once_and_read_their_margin(target: Target, tile: int, margin: int) -> None:
    axis = target.view((29, 29)).rows
    found = spans(axis, axis.positions(), Cut(tile, margin))
    assert [i for one in found for i in range(one.write.start, one.write.stop)] == list(range(axis.count))
    for one in found:
        places = np.floor(axis.positions()[one.write])
        assert places.max() - places.min() < tile
        assert one.read.start == max(0, places.min() - margin) and one.read.stop == min(29, places.max() + 1 + margin)
        back = one.read.start + (one.coords.astype(float) + 1) / 2 * (one.read.stop - one.read.start)
        np.testing.assert_allclose(back, axis.positions()[one.write], atol=1e-5)
        assert one.cell * (one.read.stop - one.read.start) == pytest.approx(2 * axis.step)


def test_the_whole_is_what_the_model_renders() -> None:
    model, image = small_liif.module(), some_image(13, 17)
    whole = rendered(model, image, Target(size=(31, 44)).view((13, 17)), WHOLE)
    torch.testing.assert_close(whole, model.render(image[None], (31, 44))[0], rtol=0, atol=1e-5)


def test_of_a_window_no_more_is_encoded_than_matters() -> None:
    model, image, read = small_liif.module(), some_image(40, 50), []

    def noted(rows: slice, columns: slice) -> Tensor:
        read.append((rows, columns))
        return image[:, rows, columns]

    view = Target(zoom=Zoom(0.5, 0, 8)).view((40, 50))
    ((_, _, values),) = render_view(model, noted, view, Cut(None, model.receptive_field))
    torch.testing.assert_close(values, rendered(model, image, view, WHOLE), rtol=0, atol=1e-5)
    margin = model.receptive_field
    assert read == [(slice(0, 5 + margin), slice(21 - margin, 29 + margin))]


@pytest.mark.parametrize("scale", [3, 5, 7])
def test_points_on_the_last_centre_are_no_mean_of_their_neighbours(scale: int) -> None:
    # There the published weights are zero by zero: the mean of two features, or their blend, as the last bit decides.
    model, image = small_liif.module(), some_image(8, 9)
    view = Target(scale=scale).view((8, 9))
    whole = rendered(model, image, view, WHOLE)
    row = view.rows.count - 1 - scale // 2
    assert view.rows.positions()[row] == pytest.approx(7.5)
    ends = view.rows.positions()[row] - 1e-2, view.rows.positions()[row] + 1e-2
    one = [View(Axis(8, end - view.rows.step / 2, view.rows.step, 1), view.columns) for end in ends]
    around = [rendered(model, image, beside, WHOLE)[:, 0] for beside in one]
    torch.testing.assert_close(whole[:, row], (around[0] + around[1]) / 2, rtol=0, atol=1e-3)


def test_a_window_is_the_crop_of_the_whole() -> None:
    model, image = small_liif.module(), some_image(12, 16)
    whole = model.render(image[None], (48, 64))[0]
    window = rendered(model, image, Target(zoom=Zoom(0.5, 0.25, 4)).view((12, 16)), WHOLE)
    torch.testing.assert_close(window, whole[:, 6:18, 24:40], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "node",
    [
        *[
            small_liif.node(encoder, unfold=unfold, ensemble=ensemble, cell=cell, form=form)
            for encoder in (small_liif.EDSR, small_liif.RDN)
            for unfold, ensemble, cell, form in [
                (True, True, True, "fast"),
                (True, True, True, "published"),
                (False, True, True, "fast"),
                (True, False, True, "fast"),
                (True, True, False, "fast"),
                (False, False, False, "published"),
            ]
        ],
        small_liif.node(name="MetaSR", hidden=8),
    ],
    ids=str,
)
@pytest.mark.parametrize("target", [Target(scale=3), Target(size=(111, 41)), Target(zoom=Zoom(0.8, 0.6, 5.5))], ids=str)
def test_tiles_equal_the_whole(node: dict[str, Any], target: Target) -> None:
    model, image = small_liif.module(node), some_image(30, 24)
    view = target.view((30, 24))
    whole = rendered(model, image, view, WHOLE)
    tiled = rendered(model, image, view, Cut(9, model.receptive_field), chunk=777)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)
    assert whole.std() > 0.01


def test_a_fixed_magnification_is_tiled_as_well() -> None:
    encoder = {"class_path": "fields.encoders.EDSR", "init_args": {**small_liif.EDSR["init_args"], "upscale": 2}}
    node = {"class_path": "fields.readout.NearestReadout", "init_args": {"encoder": encoder}}
    model, image = small_liif.module(node), some_image(20, 22)
    view = Target(scale=3).view((20, 22))  # points on the borders of its pixels
    whole = rendered(model, image, view, WHOLE)
    tiled = rendered(model, image, view, Cut(7, model.receptive_field))
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


def test_less_than_the_receptive_field_is_not_enough_and_no_more_is_needed() -> None:
    # One pixel changes; what changes in the result must lie within the receptive field of it.
    model, image = small_liif.module(), some_image(24, 24)
    changed = image.clone()
    changed[:, 12, 12] += 1
    view = Target(scale=2).view((24, 24))
    difference = (rendered(model, changed, view, WHOLE) - rendered(model, image, view, WHOLE)).abs().sum(0) > 0
    rows = difference.any(1).nonzero().flatten() // 2
    reach = max(12 - rows.min().item(), rows.max().item() - 12)
    # The corner ensemble of a half pixel reads one pixel on one side of it.
    assert reach == model.receptive_field
    poor = rendered(model, image, view, Cut(6, model.receptive_field - 2))
    assert (poor - rendered(model, image, view, WHOLE)).abs().max() > 1e-5


def test_an_encoder_that_sees_all_cannot_be_tiled() -> None:
    model, image = small_liif.module(small_liif.node(small_liif.RCAN)), some_image(40, 40)
    assert model.receptive_field is None
    view = Target(scale=2).view((40, 40))
    tiled = rendered(model, image, view, Cut(8, 12))  # more than its convolutions read
    assert (tiled - rendered(model, image, view, WHOLE)).abs().max() > 1e-6
    same = small_liif.module(small_liif.node(small_liif.EDSR))
    tiled = rendered(same, image, view, Cut(8, 12))
    assert (tiled - rendered(same, image, view, WHOLE)).abs().max() < 1e-6


def test_results_do_not_depend_on_chunks_and_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = small_liif.module(), some_image(9, 9)
    view = Target(scale=4.4).view((9, 9))
    whole = rendered(model, image, view, WHOLE)
    monkeypatch.setattr("fields.upscaling.tiling._BAND", 50)
    for chunk in (7, 37, 10**6):
        parts = list(render_view(model, lambda y, x: image[:, y, x], view, WHOLE, chunk))
        assert len(parts) == 40
        torch.testing.assert_close(torch.cat([values for _, _, values in parts], 1), whole, rtol=0, atol=1e-6)


def test_parts_are_small_however_large_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = small_liif.module(), some_image(6, 6)
    view = Target(scale=2000).view((6, 6))
    parts = render_view(model, lambda y, x: image[:, y, x], view, WHOLE)
    (rows, columns, values) = next(parts)
    assert values.shape[1] * values.shape[2] <= 2**18 and (rows.start, columns) == (0, slice(0, 12000))
    following = next(itertools.islice(parts, 0, None))
    assert following[0].start == rows.stop
