from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import jsonargparse
import kornia.filters
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from errors import InputError
from stylegan_v.augment import PRESETS, AdaptiveProbability, AugmentPipe
from stylegan_v.augment import warp as warp_module
from stylegan_v.augment.axes import LOWPASS, reflect
from stylegan_v.augment.corruptions import band_filter, filter_bank
from stylegan_v.augment.draws import APPLIED, NORMAL, UNIFORM, Draws
from stylegan_v.augment.matrices import inverse_geometry
from stylegan_v.augment.settings import resolve
from stylegan_v.augment.warp import warp
from stylegan_v.noise import AddressedRandom, GlobalRandom
from stylegan_v.official.settings import derive_settings
from stylegan_v.ops.resample import upfirdn2d

EVERYTHING = "bgcfnc"
# The filter sym6 is not quite symmetric: of an image that is mirrored or turned between the two passes, edges move by a
# twentieth of a pixel. What is turned wrongly differs by 0.5 and more.
NEARLY_SYMMETRIC = 0.03


class ChosenDraws:
    """Neutral draws, but for those named: uniform ones 0.5 (bits 0.25), normal ones 0, and every transform acts."""

    def __init__(self, batch: int = 1, **chosen: float) -> None:
        self.batch, self.chosen = batch, chosen

    def uniform(self, name: str, *shape: int) -> Tensor:
        columns = {"augment/applied": APPLIED, "augment/uniform": UNIFORM}[name]
        neutral = {"xflip": 0.2, "rotate90": 0.2, "lumaflip": 0.2} if columns is UNIFORM else {}
        chosen = self.chosen if columns is UNIFORM else {}
        row = [chosen.get(column, neutral.get(column, 0.5)) for column in columns]
        return torch.tensor(row, dtype=torch.float64).expand(self.batch, *shape).clone()

    def normal(self, name: str, *shape: int) -> Tensor:
        if name == "augment/noise":
            return torch.randn(self.batch, *shape)
        return torch.tensor([self.chosen.get(column, 0.0) for column in NORMAL]).expand(self.batch, *shape).clone()


def addressed(clips: list[int], update: int = 3) -> AddressedRandom:
    return AddressedRandom(0, update, "test", torch.tensor(clips))


def smooth_clip(height: int = 32, width: int = 32, frames: int = 2) -> Tensor:
    """A clip with low frequencies only, no symmetry and no border effects worth mentioning, [1, T, 3, H, W]."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    blobs = [torch.exp(-((x - a) ** 2 + (y - b) ** 2) * 8) for a, b in ((0.3, -0.2), (-0.25, 0.1), (0.1, 0.4))]
    return torch.stack([torch.stack(blobs).roll(t, 0) for t in range(frames)])[None]


def affine_maps(count: int, size: int = 32) -> Tensor:
    settings = resolve("geom", {"scale_std": 0.4})
    return inverse_geometry(settings, Draws(settings, 1.0, addressed(list(range(count)))), size, size)


# The pipe


def test_probability_zero_is_the_identity() -> None:
    clip = torch.randn(2, 3, 3, 16, 16)
    assert AugmentPipe(EVERYTHING)(clip, 0.0) is clip
    assert AugmentPipe(EVERYTHING)(clip, torch.zeros(())) is clip


def test_a_clip_on_which_nothing_acts_is_only_resampled() -> None:
    """The path that probability 0 skips is the identity up to its filter."""
    clip = smooth_clip()
    out = AugmentPipe("bgc")(clip, 1e-9, addressed([0]))
    assert out is not clip
    assert (out - clip).abs().max() < 2e-3


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in ("noise", "easy", "bgcfn", "bgcfnc")])
def test_all_frames_of_a_clip_get_the_same_transform(preset: str) -> None:
    clip = torch.rand(3, 4, 3, 24, 24) * 2 - 1
    out = AugmentPipe(preset)(clip, 0.7, addressed([0, 1, 2]))
    for frame in range(4):
        alone = AugmentPipe(preset)(clip[:, frame : frame + 1], 0.7, addressed([0, 1, 2]))
        torch.testing.assert_close(out[:, frame : frame + 1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize("height", [32, 20])
def test_a_clip_alone_equals_the_same_clip_in_a_batch(height: int, p: float, per_frame: bool) -> None:
    clip = torch.rand(6, 2, 3, height, 32) * 2 - 1
    numbers = [7, 2, 9, 30, 4, 1]
    pipe = AugmentPipe(EVERYTHING, per_frame=per_frame)
    together = pipe(clip, p, addressed(numbers))
    for row, number in enumerate(numbers):
        alone = pipe(clip[row : row + 1], p, addressed([number]))
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-5)


def test_a_group_on_an_accelerator_equals_one_image_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x, maps = torch.rand(5, 3, 20, 20), affine_maps(5, 20)
    one_at_a_time = warp(x, maps)
    monkeypatch.setattr(warp_module, "_launches_cheaply", lambda x: False)
    torch.testing.assert_close(warp(x, maps), one_at_a_time, rtol=0, atol=1e-5)


def test_clips_get_different_transforms_and_updates_too() -> None:
    clip = torch.rand(1, 1, 3, 16, 16).expand(4, -1, -1, -1, -1)
    out = AugmentPipe("bgc")(clip, 1.0, addressed([0, 1, 2, 3]))
    again = AugmentPipe("bgc")(clip, 1.0, addressed([0, 1, 2, 3], update=4))
    images = [*out, *again]
    assert all((a - b).abs().max() > 0.01 for i, a in enumerate(images) for b in images[:i])


def test_per_frame_mode_turns_frames_independently() -> None:
    clip = torch.rand(1, 1, 3, 16, 16).expand(2, 3, -1, -1, -1)
    out = AugmentPipe("bgc", per_frame=True)(clip, 1.0, addressed([0, 1])).flatten(0, 1)
    assert out.shape == (6, 3, 16, 16)
    assert all((a - b).abs().max() > 0.01 for i, a in enumerate(out) for b in out[:i])


def test_noise_is_independent_in_every_frame_and_has_the_drawn_strength() -> None:
    clip = torch.zeros(2, 3, 3, 64, 64)
    out = AugmentPipe("noise")(clip, 1.0, ChosenDraws(2, noise=-1.5))
    assert out.std().item() == pytest.approx(0.15, rel=0.02)
    correlation = torch.corrcoef(out.flatten(2).flatten(0, 1))
    assert (correlation - torch.eye(6)).abs().max() < 0.05


def test_torch_s_seed_decides_where_no_source_is_given() -> None:
    clip, pipe = torch.rand(2, 2, 3, 16, 16), AugmentPipe(EVERYTHING)
    torch.manual_seed(5)
    first = pipe(clip, 0.8)
    torch.manual_seed(5)
    assert torch.equal(pipe(clip, torch.tensor(0.8)), first)
    assert not torch.equal(pipe(clip, 0.8), first)


def test_memory_layout_of_the_clip_does_not_matter() -> None:
    clip = torch.rand(2, 2, 3, 16, 20)
    twisted = clip.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (2, 2))
    for per_frame in (False, True):
        pipe = AugmentPipe(EVERYTHING, per_frame=per_frame)
        expected, out = pipe(clip, 1.0, addressed([0, 1])), pipe(twisted, 1.0, addressed([0, 1]))
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)


# How often


def test_transforms_act_with_their_multiplier_times_p() -> None:
    settings, count = resolve("bgcfnc", {"hue": 0.5, "imgfilter_bands": [1, 0.2, 0, 1]}), 40000
    draws = Draws(settings, 0.6, GlobalRandom(count))
    sigma = math.sqrt(0.25 / count)
    for name, expected in {"xflip": 0.6, "hue": 0.3, "imgfilter1": 0.12, "imgfilter2": 0.0, "cutout": 0.6}.items():
        assert draws.applied[name].mean().item() == pytest.approx(expected, abs=4 * sigma), name
    unturned = (1 - draws.applied["rotate_before"]) * (1 - draws.applied["rotate_after"])
    assert unturned.mean().item() == pytest.approx(1 - 0.6, abs=4 * sigma)


def test_transforms_that_are_off_never_act() -> None:
    settings = resolve("none", {"xint": 1})
    draws = Draws(settings, 1.0, GlobalRandom(1000))
    assert {name for name in APPLIED if draws.applied[name].any()} == {"xint"}


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


def naive_warp(image: Tensor, inverse: Tensor) -> Tensor:
    """The same, written out: reflect, upsample, look up, downsample. One image [C, H, W], map [3, 3]."""
    x, taps = image[None], torch.tensor(LOWPASS, dtype=torch.float64)
    height, width = image.shape[1:]
    x = F.pad(x, (width - 1, width - 1, height - 1, height - 1), mode="reflect")
    x = upfirdn2d(x, taps, up=2, gain=4, padding=(6, 5, 6, 5))

    # The dense output reaches 6 positions beyond the frame; position j of it is pixel (j - 6) / 2.
    rows = (torch.arange(2 * height + 12) - 6).double() / 2 - (height - 1) / 2
    columns = (torch.arange(2 * width + 12) - 6).double() / 2 - (width - 1) / 2
    y, x_ = torch.meshgrid(rows, columns, indexing="ij")
    source = torch.einsum("ij,jhw->ihw", inverse, torch.stack([x_, y, torch.ones_like(x_)]))
    position_x = 2 * (source[0] + (width - 1) / 2 + (width - 1))
    position_y = 2 * (source[1] + (height - 1) / 2 + (height - 1))
    size_y, size_x = x.shape[2:]
    grid = torch.stack([(2 * position_x + 1) / size_x - 1, (2 * position_y + 1) / size_y - 1], dim=-1)
    dense = F.grid_sample(x, grid[None], align_corners=False)
    return upfirdn2d(dense, taps, down=2, flip=True, padding=(-1, -1, -1, -1))[0]


@pytest.mark.parametrize(
    "preset, count, size", [("bg", 6, (32, 32)), ("blit", 6, (24, 24)), ("geom", 6, (20, 36)), ("bg", 2, (100, 98))]
)
def test_warp_equals_its_definition(preset: str, count: int, size: tuple[int, int]) -> None:
    x = torch.rand(count, 1, *size, dtype=torch.float64)
    settings = resolve(preset, {"scale_std": 0.6})
    maps = inverse_geometry(settings, Draws(settings, 0.8, addressed(list(range(count)))), *size)
    expected = torch.stack([naive_warp(image, inverse) for image, inverse in zip(x, maps, strict=True)])
    torch.testing.assert_close(warp(x, maps), expected, rtol=0, atol=1e-11)


def test_both_ways_to_warp_agree_on_axis_aligned_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(8, 3, 24, 24, dtype=torch.float64)
    settings = resolve("bg", {"rotate": 0})
    maps = inverse_geometry(settings, Draws(settings, 1.0, addressed(list(range(8)))), 24, 24)
    by_matrices = warp(x, maps)
    monkeypatch.setattr(warp_module, "_ROUNDING", -1.0)
    torch.testing.assert_close(warp(x, maps), by_matrices, rtol=0, atol=1e-11)


def test_far_outside_the_reflected_image_is_black() -> None:
    far = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    far[:, 0, 2] = torch.tensor([500.0, -500.0])
    far[:, 0, 1] = 0.1  # no axis-aligned map
    assert not warp(torch.ones(2, 1, 16, 16), far).any()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_reflection_repeats_no_edge(size: int) -> None:
    index = torch.arange(-9, 10)
    folded = reflect(index, size)
    assert torch.equal(reflect(torch.arange(size), size), torch.arange(size))
    assert torch.equal(folded, reflect(-index, size))
    assert all(abs(a - b) == min(1, size - 1) for a, b in pairwise(folded.tolist()))


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


# Filter and cutout


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


def test_cutout_blanks_a_rectangle_of_half_the_sides() -> None:
    out = AugmentPipe("cutout")(torch.ones(1, 2, 3, 16, 32), 1.0, ChosenDraws())
    expected = torch.ones(16, 32)
    expected[4:12, 8:24] = 0
    assert torch.equal(out, expected.expand_as(out))
    at_the_corner = AugmentPipe("cutout")(torch.ones(1, 1, 3, 16, 32), 1.0, ChosenDraws(cutout_x=0.0, cutout_y=0.99))
    assert (at_the_corner[0, 0, 0] == 0).sum() == 4 * 8


# Derivatives and precision


def test_pipe_is_twice_differentiable() -> None:
    clip = torch.rand(3, 1, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    random = addressed([0, 1, 3])  # chosen so that all ways to warp occur
    pipe = AugmentPipe(EVERYTHING)
    settings = pipe.settings
    maps = inverse_geometry(settings, Draws(settings, 0.35, random), 5, 5)
    ways = {(bool(m[0, 0].abs() < 1e-9), bool(m[0, 1].abs() < 1e-9)) for m in maps}
    assert ways == {(False, False), (True, False), (False, True)}

    def energy(clip: Tensor) -> Tensor:
        return pipe(clip, 0.35, random).pow(3).sum()

    assert torch.autograd.gradcheck(energy, clip, fast_mode=True)
    assert torch.autograd.gradgradcheck(energy, clip, fast_mode=True)


def test_backward_is_the_transpose_of_forward() -> None:
    """Also in float32 and blocks: the inner products of A x with y and of x with A' y are equal."""
    pipe = AugmentPipe("bgcf", {"brightness": 0})
    x, y = torch.randn(2, 4, 2, 3, 104, 112).unbind(0)
    x.requires_grad_()
    out = pipe(x, 0.6, addressed([0, 1, 2, 3]))
    (gradient,) = torch.autograd.grad(out, x, y)
    assert (out * y).sum().item() == pytest.approx((gradient * x).sum().item(), rel=1e-4)


def test_r1_of_a_linear_critic_passes_through_the_pipe() -> None:
    """D(A x) = <a, A x> has the gradient A' a; its squared norm depends on a through both passes."""
    pipe, random = AugmentPipe("bgc"), addressed([3, 4])
    clip = torch.randn(2, 2, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((pipe(clip, 1.0, random) * weight).sum(), clip, create_graph=True)
    (of_weight,) = torch.autograd.grad(gradient.square().sum(), weight)
    # d |A' a|^2 / d a = 2 A A' a, and A is the pipe without its offset.
    offset = pipe(torch.zeros_like(clip), 1.0, random)
    torch.testing.assert_close(of_weight, 2 * (pipe(gradient, 1.0, random) - offset))


def test_autocast_changes_neither_values_nor_gradients() -> None:
    clip = torch.randn(3, 2, 3, 16, 16, requires_grad=True)
    pipe, weight = AugmentPipe(EVERYTHING), torch.randn(3, 2, 3, 16, 16)

    def gradients() -> tuple[Tensor, Tensor, Tensor]:
        out = pipe(clip, 0.7, addressed([0, 1, 2]))
        (first,) = torch.autograd.grad((out**2 * weight).sum(), clip, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), clip)
        return out, first, second

    plain = gradients()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for ours, expected in zip(gradients(), plain, strict=True):
            assert ours.dtype == torch.float32
            torch.testing.assert_close(ours, expected)


def test_half_precision_clips_are_computed_in_float32() -> None:
    clip = torch.rand(1, 2, 3, 16, 16).bfloat16()
    out = AugmentPipe("bgc")(clip, 1.0, addressed([0]))
    assert torch.equal(out, AugmentPipe("bgc")(clip.float(), 1.0, addressed([0])))


def test_matrices_made_in_inference_mode_serve_training() -> None:
    size = 19  # a size of no other test: nothing is cached yet
    with torch.inference_mode():
        AugmentPipe("bgcf")(torch.rand(2, 1, 3, size, size), 1.0, addressed([0, 1]))
    clip = torch.rand(2, 1, 3, size, size, requires_grad=True)
    AugmentPipe("bgcf")(clip, 1.0, addressed([0, 1])).sum().backward()
    assert clip.grad is not None


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_values_and_second_derivatives() -> None:
    pipe = AugmentPipe(EVERYTHING)

    def results(device: str) -> list[Tensor]:
        torch.manual_seed(0)
        clip, weight = torch.rand(2, 6, 2, 3, 32, 32).to(device).unbind(0)
        random = AddressedRandom(0, 0, "test", torch.arange(6, device=device))
        weight.requires_grad_()
        out = pipe(clip.requires_grad_(), 0.6, random)
        (first,) = torch.autograd.grad((out * weight).sum(), clip, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), weight)
        return [out.cpu(), first.cpu(), second.cpu()]

    for ours, expected in zip(results("cuda"), results("cpu"), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


# Settings


@pytest.mark.parametrize("pipe", sorted(set(PRESETS) - {"none", "directed", "faces"}))
def test_presets_are_the_original_s_pipes(pipe: str) -> None:
    original = derive_settings([f"training.augpipe={pipe}"])["augment"]
    assert AugmentPipe("none", original).settings == AugmentPipe(pipe).settings


def test_our_presets_leave_out_what_would_leak() -> None:
    directed, faces = AugmentPipe("directed").settings, AugmentPipe("faces").settings
    assert directed == resolve("bgc", {"xflip": 0, "rotate90": 0})
    assert faces.xflip and not faces.rotate90 and not faces.lumaflip


@pytest.mark.parametrize(
    "preset, overrides, named",
    [
        ("bcg", {}, "'bcg'"),
        ("bgc", {"rotate_90": 0}, "'rotate_90'"),
        ("bgc", {"imgfilter_bands": [1, 1]}, "'imgfilter_bands'"),
        ("bgc", {"imgfilter_bands": 1}, "'imgfilter_bands'"),
        ("bgc", {"hue": [1, 1]}, "'hue'"),
        ("bgc", {"hue": -1}, "'hue'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(preset: str, overrides: dict, named: str) -> None:
    with pytest.raises(InputError, match=named):
        AugmentPipe(preset, overrides)


def test_a_yaml_file_names_the_preset_and_single_members(tmp_path: Path) -> None:
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(AugmentPipe, "augment")
    config = tmp_path / "config.yaml"
    config.write_text(
        "augment:\n  class_path: stylegan_v.augment.AugmentPipe\n"
        "  init_args: {preset: directed, overrides: {hue: 0, scale_std: 0.1, imgfilter_bands: [1, 1, 0, 0]}}\n"
    )
    for arguments, hue in ([], 0), (["--augment.init_args.overrides.hue=0.5"], 0.5):
        pipe = parser.instantiate(parser.parse_args([f"--config={config}", *arguments])).augment
        expected = {"xflip": 0, "rotate90": 0, "hue": hue, "scale_std": 0.1, "imgfilter_bands": [1, 1, 0, 0]}
        assert pipe.settings == resolve("bgc", expected)


def test_repr_names_what_is_on() -> None:
    assert "hue=1" in repr(AugmentPipe("color"))
    assert "xflip" not in repr(AugmentPipe("color"))


# Adaptive probability


def watch(ada: AdaptiveProbability, logits: list[float], num_clips: int, updates: int) -> None:
    for _ in range(updates):
        ada.observe(torch.tensor(logits))
        ada.update(num_clips)


def test_probability_rises_by_the_clips_seen_while_reals_look_real() -> None:
    ada = AdaptiveProbability(ada_kclips=100)
    watch(ada, [2.0, 0.1], num_clips=64, updates=3)
    assert ada.p == 0
    watch(ada, [2.0, 0.1], num_clips=64, updates=1)
    assert ada.p.item() == pytest.approx(64 * 4 / 100_000)
    watch(ada, [2.0, 0.1], num_clips=64, updates=36)
    assert ada.p.item() == pytest.approx(10 * 64 * 4 / 100_000)


def test_default_pace_is_500_thousand_clips() -> None:
    ada = AdaptiveProbability()
    watch(ada, [1.0], num_clips=64, updates=4)
    assert ada.p.item() == pytest.approx(0.000512)


def test_probability_stays_between_zero_and_one() -> None:
    ada = AdaptiveProbability(ada_kclips=1, every=1, p=0.9)
    watch(ada, [1.0], num_clips=70, updates=5)
    assert ada.p == 1
    watch(ada, [-1.0], num_clips=700, updates=5)
    assert ada.p == 0


@pytest.mark.parametrize("positive, direction", [(7, -1), (8, 0), (9, 1)])
def test_target_is_the_mean_sign_over_the_interval(positive: int, direction: int) -> None:
    """Of ten logits eight positive have the mean sign 0.6: nothing moves. A single update does not decide."""
    ada = AdaptiveProbability(ada_kclips=1, every=2, p=0.5)
    logits = [3.0] * positive + [-0.5] * (10 - positive)
    for half in (logits[:5], logits[5:]):
        watch(ada, half, num_clips=5, updates=1)
    assert ada.p.item() == pytest.approx(0.5 + direction * 0.01)


def test_statistics_start_anew_after_each_change() -> None:
    ada = AdaptiveProbability(ada_kclips=1, every=1, p=0.5)
    watch(ada, [1.0] * 100, num_clips=10, updates=1)
    watch(ada, [-1.0], num_clips=10, updates=1)
    assert ada.p.item() == pytest.approx(0.5)


def test_ranks_that_add_up_their_sums_act_as_one() -> None:
    logits = [torch.randn(8) + 1.5 for _ in range(8)]
    whole = AdaptiveProbability(ada_kclips=1, p=0.5)
    ranks = [AdaptiveProbability(ada_kclips=1, p=0.5) for _ in range(2)]
    for values in logits:
        whole.observe(values)
        whole.update(8)
        for number, rank in enumerate(ranks):
            rank.observe(values[number::2])
        total = ranks[0].pending + ranks[1].pending
        for rank in ranks:
            rank.update(8, lambda pending, total=total: total)
        assert ranks[0].p == ranks[1].p == whole.p
        torch.testing.assert_close(ranks[0].sums, whole.sums)
    assert whole.p > 0.5


def test_state_dict_continues_in_the_middle_of_an_interval() -> None:
    ada = AdaptiveProbability(ada_kclips=1, p=0.2)
    watch(ada, [1.0, 1.0], num_clips=3, updates=6)
    ada.observe(torch.ones(2))
    resumed = AdaptiveProbability(ada_kclips=1)
    resumed.load_state_dict(ada.state_dict())
    for one in (ada, resumed):
        one.update(3)
        watch(one, [-1.0], num_clips=3, updates=1)
    assert resumed.state_dict().keys() == {"p", "pending", "sums", "clips", "updates"}
    assert torch.equal(resumed.p, ada.p)
    assert ada.p.item() == pytest.approx(0.2 + 0.012 + 0.012 * (1 if (2 * 3 - 1) / 7 > 0.6 else -1))


def test_fixed_probability_does_not_move() -> None:
    ada = AdaptiveProbability(target=None, p=0.3, ada_kclips=1)
    watch(ada, [1.0], num_clips=64, updates=8)
    assert ada.p.item() == pytest.approx(0.3)


def test_values_that_are_not_finite_do_not_count() -> None:
    ada = AdaptiveProbability(ada_kclips=1, every=1)
    watch(ada, [math.nan, math.inf, -math.inf, 1.0], num_clips=10, updates=1)
    assert ada.p.item() == pytest.approx(0.01)
    watch(ada, [math.nan], num_clips=10, updates=1)
    assert ada.p.item() == pytest.approx(0.01)


@pytest.mark.parametrize("wrong", [{"p": 1.5}, {"p": -0.1}, {"every": 0}, {"ada_kclips": 0.0}])
def test_adaptation_refuses_numbers_out_of_range(wrong: dict) -> None:
    with pytest.raises(InputError, match=f"ada.{next(iter(wrong))}"):
        AdaptiveProbability(**wrong)
