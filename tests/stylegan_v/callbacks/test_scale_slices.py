from __future__ import annotations

import torch

from stylegan_v.callbacks.scale_slices import canvas_of, middle_row, over_scales, over_time, some_scales
from stylegan_v.networks.decoder import View
from stylegan_v.rendering import draw_latents, render, to_uint8
from tests.stylegan_v.test_multi_scale import generator


def test_the_native_row_is_that_of_the_frames() -> None:
    network = generator().eval()
    latents = draw_latents(network, 0, [3, 4])
    times = torch.arange(5, dtype=torch.float64)
    frames = torch.cat(list(render(network, latents, times)), dim=1)
    rows = over_time(network, latents, 5, 1.0, chunk=4)
    assert (rows.int() - frames[:, :, :, 8].int()).abs().max() <= 1


def test_rows_of_all_scales_are_as_wide_as_the_widest() -> None:
    network = generator().eval()
    canvas = canvas_of(network, draw_latents(network, 0, [0, 1, 2]), torch.zeros(1, dtype=torch.float64))
    found = over_scales(canvas, [0.5, 1.0, 2.5])
    assert found.shape == (3, 3, 3, 40)
    assert torch.equal(found[:, 2], middle_row(canvas, 2.5, exact=True))
    half = middle_row(canvas, 0.5, exact=True)
    assert half.shape == (3, 3, 8) and (found[:, 0, :, 2::5].int() - half.int()).abs().max() <= 1


def test_an_exact_row_lies_between_two_of_pixels_where_their_number_is_even() -> None:
    network = generator().eval()
    canvas = canvas_of(network, draw_latents(network, 0, [0]), torch.zeros(1, dtype=torch.float64))
    frame = canvas.look(View.of((16, 16)))
    between = (9 * (frame[:, :, 7] + frame[:, :, 8]) - frame[:, :, 6] - frame[:, :, 9]) / 16  # the cubic kernel at 1/2
    assert (middle_row(canvas, 1.0, exact=True).int() - to_uint8(between).int()).abs().max() <= 1


def test_scales_lie_evenly_in_their_logarithm() -> None:
    scales = torch.tensor(some_scales(4.0, 7))
    torch.testing.assert_close(scales.log2(), torch.arange(-1, 2.5, 0.5))
