from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch import Tensor

from errors import InputError
from fields.reconstruction.flip import Flip, pixels_per_degree
from tests.fields.reconstruction.naive import flip_map


def flip_here(ppd: float | None = None) -> Flip:
    pytest.importorskip("flip_evaluator", reason="flip-evaluator has no wheel for this machine")
    return Flip(ppd)


def some_frames(count: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    noise = np.random.default_rng(2).random((count, 3, height, width))
    reference = torch.from_numpy(uniform_filter(noise, (0, 0, 7, 7))).float()
    reference = (reference - 0.5).mul(3).add(0.5).clamp(0, 1)
    return (reference + 0.1 * torch.randn(reference.shape)).clamp(0, 1), reference


def test_the_paper_s_screen_has_67_pixels_per_degree() -> None:
    assert pixels_per_degree() == pytest.approx(67.0206, abs=1e-4)
    assert pixels_per_degree(1.4, 0.7, 1920) == pytest.approx(pixels_per_degree())


@pytest.mark.parametrize("ppd", [None, 20.0])
def test_every_pixel_is_the_paper_s_formula(ppd: float | None) -> None:
    result, reference = some_frames(2, 30, 26)
    flip = flip_here(ppd)
    direct = [
        flip_map(*(frame.double().permute(1, 2, 0).numpy() for frame in pair), flip.ppd)
        for pair in zip(result, reference, strict=True)
    ]
    for i in range(2):
        np.testing.assert_allclose(flip.map(result[i], reference[i]), direct[i], atol=2e-4)
    means = torch.tensor([image.mean() for image in direct])
    torch.testing.assert_close(flip(result, reference), means, atol=2e-5, rtol=0)


def test_equal_frames_have_none_and_opposite_colours_the_largest() -> None:
    flip = flip_here()
    colors = torch.eye(3)[:, :, None, None].expand(3, 3, 16, 16)
    assert flip(colors, colors).tolist() == [0, 0, 0]
    green, blue = colors[1:2], colors[2:3]
    assert float(flip(green, blue)[0]) == pytest.approx(1, abs=1e-6)  # what the paper scales by


def test_a_frame_does_not_change_another_and_nearer_eyes_see_more() -> None:
    result, reference = some_frames(3, 24, 24)
    whole = flip_here()(result, reference)
    alone = [float(flip_here()(result[i : i + 1], reference[i : i + 1])[0]) for i in range(3)]
    assert whole.tolist() == alone
    assert (flip_here(10.0)(result, reference) > whole).all()


def test_layout_and_precision_of_the_tensor_do_not_matter() -> None:
    result, reference = some_frames(1, 20, 24)
    flip = flip_here()
    want = flip(result, reference)
    moved = result.to(memory_format=torch.channels_last).double().requires_grad_()
    assert torch.equal(flip(moved, reference.double()), want)


def test_the_viewing_is_stated() -> None:
    assert "67.02 pixels per degree (0.7 m from a screen 0.7 m wide with 3840 pixels)" in flip_here().convention
    assert flip_here(30.0).convention.endswith("30.00 pixels per degree")


@pytest.mark.parametrize("ppd", [0.0, -1.0, math.nan, math.inf])
def test_impossible_viewing_is_refused(ppd: float) -> None:
    with pytest.raises(InputError, match="ppd: "):
        Flip(ppd)


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    with pytest.raises(InputError, match=r"pip install flip-evaluator==1\.7"):
        Flip()
