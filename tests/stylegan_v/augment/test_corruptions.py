"""Filter, noise and cutout against closed forms."""

from __future__ import annotations

import kornia.filters
import pytest
import torch

from stylegan_v.augment import AugmentPipe
from stylegan_v.augment.corruptions import band_filter, filter_bank
from stylegan_v.augment.draws import Draws
from stylegan_v.augment.settings import resolve
from tests.stylegan_v.augment.chosen import ChosenDraws, addressed


def test_bands_add_up_to_the_identity() -> None:
    impulse = torch.zeros(43, dtype=torch.float64)
    impulse[21] = 1
    torch.testing.assert_close(filter_bank().sum(0), impulse)


def test_band_filter_equals_a_plain_separable_filter() -> None:
    x, settings = torch.rand(4, 3, 24, 40, dtype=torch.float64), resolve("filter", {})
    draws = Draws(settings, 1.0, addressed([0, 1, 2, 3]))

    power = torch.tensor([10, 1, 1, 1], dtype=torch.float64) / 13
    gains = torch.ones(4, 4, dtype=torch.float64)
    for band in range(4):
        gain = torch.ones(4, 4, dtype=torch.float64)
        gain[:, band] = 2 ** draws.normal[f"imgfilter{band}"]
        gains *= gain / (power * gain**2).sum(1, keepdim=True).sqrt()
    taps = gains @ filter_bank()
    expected = [
        kornia.filters.filter2d_separable(image[None], taps[n : n + 1], taps[n : n + 1], "reflect")[0]
        for n, image in enumerate(x)
    ]
    torch.testing.assert_close(band_filter(x, settings, draws), torch.stack(expected))


def test_band_filter_works_on_frames_smaller_than_itself() -> None:
    """Power is 1 in expectation: one band up means all others down, a constant included."""
    clip = torch.ones(1, 1, 3, 16, 18)
    out = AugmentPipe("filter")(clip, 1.0, ChosenDraws(imgfilter3=1.0))
    torch.testing.assert_close(out, clip * 13 / 16)  # both axes: 1 / sqrt(1 + 3 / 13) squared


def test_noise_is_independent_in_every_frame_and_has_the_drawn_strength() -> None:
    clip = torch.zeros(2, 3, 3, 64, 64)
    out = AugmentPipe("noise")(clip, 1.0, ChosenDraws(2, noise=-1.5))
    assert out.std().item() == pytest.approx(0.15, rel=0.02)
    correlation = torch.corrcoef(out.flatten(2).flatten(0, 1))
    assert (correlation - torch.eye(6)).abs().max() < 0.05


def test_cutout_blanks_a_rectangle_of_half_the_sides() -> None:
    out = AugmentPipe("cutout")(torch.ones(1, 2, 3, 16, 32), 1.0, ChosenDraws())
    expected = torch.ones(16, 32)
    expected[4:12, 8:24] = 0
    assert torch.equal(out, expected.expand_as(out))
    at_the_corner = AugmentPipe("cutout")(torch.ones(1, 1, 3, 16, 32), 1.0, ChosenDraws(cutout_x=0.0, cutout_y=0.99))
    assert (at_the_corner[0, 0, 0] == 0).sum() == 4 * 8
