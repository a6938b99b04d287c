from __future__ import annotations

import math
from itertools import pairwise

import pytest

from errors import InputError
from fields.upscaling.views import Zoom
from generate_options import Options
from stylegan_v.networks.decoder import View
from stylegan_v.sampling.framing import Framing, Request, choose_framing, parse
from tests.stylegan_v.networks.decoded import generator

WIDE = (16, 24)


def request(**told: object) -> Request:
    return parse(Options(ckpt="run", **told))


def window(view: View) -> tuple[float, float, float, float]:
    """Edges of what is seen, as shares of the frame: left, top, right, bottom."""
    (height, width), (y, x), (rows, columns) = view.size, view.shift, view.shape
    return x / width, y / height, (x + columns) / width, (y + rows) / height


def test_flags_are_read_as_by_the_other_verbs() -> None:
    assert request() == Request()
    assert request(size="144x256", tile=64) == Request((256, 144), (), 64)
    assert request(zoom="0.5,0.25,4").path == (Zoom(0.5, 0.25, 4.0),)
    assert request(zoom="0,1,1:0.3,0.4,8:1,1,2").path == (Zoom(0, 1, 1), Zoom(0.3, 0.4, 8), Zoom(1, 1, 2))


@pytest.mark.parametrize(
    "told, says",
    [
        ({"size": "512"}, "size: 512: give width and height"),
        ({"size": "0x64"}, "size: 0x64: has no pixels"),
        ({"size": "-64x64"}, "size: -64x64: give width and height"),
        ({"size": "70000x64"}, "size: 70000x64: give at most 65536 pixels"),
        ({"zoom": "0.5,0.5"}, "zoom: 0.5,0.5: give centre and factor"),
        ({"zoom": "0.5,0.5,1:0.5,1.2,4"}, "zoom: 0.5,1.2,4: give the centre in"),
        ({"zoom": "0.5,0.5,0.9"}, "zoom: 0.5,0.5,0.9: give a factor from 1 on"),
        ({"zoom": "nan,0.5,2"}, "zoom: nan,0.5,2: give the centre in"),
        ({"zoom": "0.5,0.5,1e7"}, "zoom: 1e\\+07: give factors up to 1e\\+06"),
        ({"zoom": ":".join(["0.5,0.5,2"] * 1001)}, "zoom: 1001 way points: give at most 1000"),
    ],
)
def test_what_cannot_be(told: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        request(**told)


def test_a_whole_frame_of_native_size_is_drawn_as_before() -> None:
    for network in (generator("conv"), generator(None)):
        for told in ({}, {"size": "16x16"}, {"zoom": "0.5,0.5,1"}):
            assert choose_framing(network, request(**told)) is None
    assert choose_framing(generator("conv"), request(tile=8)) == Framing((16, 16), (16, 16))


@pytest.mark.parametrize(
    "told, key", [({"size": "32x32"}, "size"), ({"zoom": "0.5,0.5,2"}, "zoom"), ({"tile": 8}, "tile")]
)
def test_a_model_without_decoder_has_one_size(told: dict[str, object], key: str) -> None:
    network = generator(None, WIDE)
    with pytest.raises(InputError, match=f"^{key}: the model has no field decoder and draws 24x16 alone: .*upscale$"):
        choose_framing(network, request(**told))


def test_without_zoom_and_at_factor_one_the_view_is_the_whole() -> None:
    for path in ((), (Zoom(0.2, 0.9, 1.0),)):
        assert Framing(WIDE, (40, 30), path).view(3, 9) == View.of(WIDE, (40, 30))


def test_one_way_point_is_a_zoom_that_stands_still() -> None:
    framing = Framing(WIDE, (32, 48), (Zoom(0.3, 0.6, 4.0),))
    assert framing.view(0, 5) == framing.view(4, 5) == View.zoomed(WIDE, (32, 48), (0.3, 0.6), 4)
    assert window(framing.view(0, 5)) == pytest.approx((0.175, 0.475, 0.425, 0.725))


def test_a_path_meets_its_way_points_and_the_factor_grows_geometrically() -> None:
    points = (Zoom(0.5, 0.5, 1.0), Zoom(0.3, 0.4, 8.0), Zoom(0.7, 0.6, 8.0))
    framing = Framing(WIDE, WIDE, points)
    for frame, point in zip((0, 4, 8), points, strict=True):
        single = View.zoomed(WIDE, WIDE, (point.x, point.y), point.factor)
        assert window(framing.view(frame, 9)) == pytest.approx(window(single), abs=1e-12)
    assert framing.view(2, 9).size[0] / WIDE[0] == pytest.approx(math.sqrt(8))
    share = 0.25**2 * 2.5  # slower at both ends
    assert framing.view(1, 9).size[0] / WIDE[0] == pytest.approx(8**share)
    assert window(framing.view(6, 9)) == pytest.approx((0.4375, 0.4375, 0.5625, 0.5625))  # straight, half of the way


def test_a_point_rests_and_the_window_stays_inside_even_if_way_points_leave_the_picture() -> None:
    framing = Framing(WIDE, WIDE, (Zoom(0.5, 0.5, 1.0), Zoom(0.0, 0.9, 10.0)))
    edges = [window(framing.view(frame, 101)) for frame in range(101)]
    assert all(abs(left) < 1e-12 for left, *_ in edges)  # at its left edge, which the last window touches
    assert all(top >= -1e-12 and bottom <= 1 + 1e-12 for _, top, _, bottom in edges)
    # The point that rests divides all windows in the same shares.
    rest = edges[-1][1] / (edges[-1][1] + 1 - edges[-1][3])
    assert all((rest - top) / (bottom - top) == pytest.approx(rest) for _, top, _, bottom in edges)
    assert all(after[2] < before[2] for before, after in pairwise(edges))


def test_a_loop_ends_where_it_begins() -> None:
    network, there_and_back = generator("conv"), "0.5,0.5,2:0.3,0.4,8:0.5,0.5,2"
    framing = choose_framing(network, request(zoom=there_and_back), closed=True)
    single = View.zoomed((16, 16), (16, 16), (0.3, 0.4), 8)
    assert framing.view(0, 8) == View.zoomed((16, 16), (16, 16), (0.5, 0.5), 2)
    assert window(framing.view(4, 8)) == pytest.approx(window(single))
    assert window(framing.view(7, 8)) == pytest.approx(window(framing.view(1, 8)))  # the next one is the first
    with pytest.raises(InputError, match=r"^zoom: a loop ends where it begins: .* a:b:a for a:b$"):
        choose_framing(network, request(zoom="0.5,0.5,1:0.3,0.4,8"), closed=True)


def test_settings_say_size_and_way_points() -> None:
    assert Framing(WIDE, (40, 30)).settings() == {"size": [40, 30]}
    framing = Framing(WIDE, WIDE, (Zoom(0.5, 0.5, 1.0), Zoom(0.0, 0.9, 10.0)))
    assert framing.settings() == {"size": [16, 24], "zoom": [[0.5, 0.5, 1.0], [0.0, 0.9, 10.0]]}
