"""What the matrices do to pixels and to colours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylegan_v.augment import AugmentPipe
from tests.stylegan_v.augment.chosen import NEARLY_SYMMETRIC, ChosenDraws, smooth_clip

# Geometry


@pytest.mark.parametrize(
    "chosen, expected",
    [
        ({"xflip": 0.7}, lambda clip: clip.flip(-1)),
        ({"rotate90": 0.3}, lambda clip: clip.rot90(1, (-2, -1))),
        ({"rotate90": 0.6}, lambda clip: clip.rot90(2, (-2, -1))),
        ({"rotate90": 0.9}, lambda clip: clip.rot90(3, (-2, -1))),
        ({"rotate_before": 0.75}, lambda clip: clip.rot90(1, (-2, -1))),
        ({"rotate_after": 0.25}, lambda clip: clip.rot90(-1, (-2, -1))),
        ({"xint_x": 1.0}, lambda clip: clip.roll(4, -1)),
        ({"xint_y": 0.0}, lambda clip: clip.roll(-4, -2)),
        ({"xfrac_x": -0.5}, lambda clip: clip.roll(-2, -1)),
        ({"xfrac_y": 0.5}, lambda clip: clip.roll(2, -2)),
    ],
)
def test_geometry_moves_pixels_where_it_says(chosen: dict, expected: Callable[[Tensor], Tensor]) -> None:
    clip = smooth_clip()
    out = AugmentPipe("bg")(clip, 1.0, ChosenDraws(**chosen))
    inner = (..., slice(6, -6), slice(6, -6))
    assert (out - expected(clip))[inner].abs().max() < NEARLY_SYMMETRIC


def test_scale_enlarges_by_powers_of_two() -> None:
    """A centred bump of width s becomes one of width 2 s when n = 1 / scale_std, and only in x when anisotropic."""
    y, x = torch.meshgrid(torch.arange(48.0) - 23.5, torch.arange(48.0) - 23.5, indexing="ij")

    def bump(width: float, height: float) -> Tensor:
        return torch.exp(-((x / width) ** 2) - (y / height) ** 2).expand(1, 1, 3, -1, -1)

    out = AugmentPipe("geom")(bump(4, 4), 1.0, ChosenDraws(scale=5))
    assert (out - bump(8, 8)).abs().max() < 0.01
    out = AugmentPipe("geom")(bump(4, 4), 1.0, ChosenDraws(aniso=5))
    inner = (..., slice(8, -8), slice(None))  # half as high, the frame shows its reflections at the borders
    assert (out - bump(8, 2))[inner].abs().max() < 0.04


@pytest.mark.parametrize("quantile, turn", [(0.3, 0), (0.45, 0), (0.6, 2), (0.9, 2)])
def test_frames_that_are_not_square_turn_by_half_turns_only(quantile: float, turn: int) -> None:
    clip = smooth_clip(24, 40)
    out = AugmentPipe("blit")(clip, 1.0, ChosenDraws(rotate90=quantile))
    assert (out - clip.rot90(turn, (-2, -1))).abs().max() < NEARLY_SYMMETRIC


def test_lengths_are_in_pixels_of_each_axis() -> None:
    clip = smooth_clip(32, 64)
    out = AugmentPipe("blit")(clip, 1.0, ChosenDraws(xint_x=1.0, xint_y=1.0))
    assert (out - clip.roll((4, 8), (-2, -1)))[..., 8:-8, 12:-12].abs().max() < 3e-3
    turned = AugmentPipe("geom")(clip, 1.0, ChosenDraws(rotate_before=0.75))
    square = slice(16, 48)  # a rotation turns pixels, not relative coordinates
    expected = clip[..., square].rot90(1, (-2, -1))
    assert (turned[..., square] - expected)[..., 4:-4, 4:-4].abs().max() < NEARLY_SYMMETRIC


# Colour


def grey(value: float) -> Tensor:
    return torch.full((1, 1, 3, 2, 2), value)


def test_brightness_adds_and_contrast_multiplies() -> None:
    clip = torch.randn(1, 2, 3, 4, 4)
    pipe = AugmentPipe("color")
    torch.testing.assert_close(pipe(clip, 1.0, ChosenDraws(brightness=2.0)), clip + 0.4)
    torch.testing.assert_close(pipe(clip, 1.0, ChosenDraws(contrast=2.0)), clip * 2)
    both = pipe(clip, 1.0, ChosenDraws(brightness=2.0, contrast=2.0))
    torch.testing.assert_close(both, (clip + 0.4) * 2)  # brightness first


def test_luma_flip_negates_grey_and_keeps_chroma() -> None:
    pipe, flip = AugmentPipe("color"), ChosenDraws(lumaflip=0.7)
    torch.testing.assert_close(pipe(grey(0.3), 1.0, flip), grey(-0.3))
    clip = torch.randn(1, 1, 3, 4, 4)
    out = pipe(clip, 1.0, flip)
    chroma = clip - clip.mean(2, keepdim=True)
    torch.testing.assert_close(out, chroma - clip.mean(2, keepdim=True))


def test_hue_turns_red_to_green_to_blue_in_thirds() -> None:
    red, green, blue = torch.eye(3)[:, None, None, :, None, None].unbind(0)
    pipe = AugmentPipe("color")
    third = 0.5 + 1 / 6 * 2  # (2 q - 1) half turns = 2 / 3
    torch.testing.assert_close(pipe(red, 1.0, ChosenDraws(hue=third)), green, atol=1e-6, rtol=0)
    torch.testing.assert_close(pipe(green, 1.0, ChosenDraws(hue=third)), blue, atol=1e-6, rtol=0)
    torch.testing.assert_close(pipe(grey(0.4), 1.0, ChosenDraws(hue=0.9)), grey(0.4))


def test_saturation_scales_chroma() -> None:
    clip = torch.randn(1, 2, 3, 4, 4)
    mean = clip.mean(2, keepdim=True)
    out = AugmentPipe("color")(clip, 1.0, ChosenDraws(saturation=1.0))
    torch.testing.assert_close(out, mean + 2 * (clip - mean))
