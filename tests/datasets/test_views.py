from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from datasets.cameras import around, focal_of
from datasets.views import Views, unit_range


def _views(count: int = 3, height: int = 2, width: int = 5) -> Views:
    rgb = torch.arange(count * height * width * 3).reshape(count, height, width, 3).to(torch.uint8)
    c2w = around(torch.arange(count, dtype=torch.float32), torch.zeros(count), 4.0)
    return Views("views", rgb, c2w, focal_of(0.7, width), 2.0, 6.0)


def test_pixels_count_view_by_view_and_row_by_row() -> None:
    views = _views()
    number = (1 * 2 + 1) * 5 + 3
    assert_close(views.colours(torch.tensor([number])), views.rgb[1, 1, 3][None].float() / 255)
    assert views.num_pixels == 30 and len(views) == 3 and views.num_bytes == 90


def test_draws_hang_on_the_key_alone_and_parts_make_the_whole() -> None:
    views = _views()
    whole = views.pixel_numbers((0, 7), range(64))
    assert_close(torch.cat([views.pixel_numbers((0, 7), range(a, a + 16)) for a in range(0, 64, 16)]), whole)
    assert not torch.equal(whole, views.pixel_numbers((0, 8), range(64)))
    assert not torch.equal(whole, views.pixel_numbers((1, 7), range(64)))
    assert whole.min() >= 0 and whole.max() < 30


def test_every_pixel_is_drawn_about_equally_often() -> None:
    counts = torch.bincount(_views().pixel_numbers((3, 0), range(30_000)), minlength=30)
    assert ((counts - 1000).abs() < 150).all()  # five standard deviations


def test_one_view_draws_from_one_view_which_changes() -> None:
    views = _views()
    seen = set()
    for update in range(20):
        chosen = views.pixel_numbers((0, update), range(32), one_view=True) // 10
        assert len(chosen.unique()) == 1
        seen.add(int(chosen[0]))
    assert seen == {0, 1, 2}


def test_facts_tell_how_the_scene_is_looked_at() -> None:
    facts = _views().facts
    assert math.isclose(facts["fov_x"], 0.7) and math.isclose(facts["radius"], 4.0, rel_tol=1e-6)
    assert (facts["near"], facts["far"], facts["height"], facts["width"]) == (2.0, 6.0, 2, 5)
    assert (facts["moving"], facts["unit"], facts["background"]) == (False, False, "white")


def test_bytes_become_fractions_and_fractions_stay() -> None:
    assert_close(unit_range(torch.tensor([0, 51, 255], dtype=torch.uint8)), torch.tensor([0, 0.2, 1.0]))
    assert_close(unit_range(torch.tensor([0.3])), torch.tensor([0.3]))
