from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from datasets.shapes import REACH, SHAPES, disc, flower, square, triangle
from datasets.synthetic import SpriteVideo, waves_checker_disc
from errors import InputError

PLAIN = {"max_sprites": 1, "texture": 0.0, "scroll": 0.0, "light": 0.0}


def coverage(video: SpriteVideo, times: list[float]) -> np.ndarray:
    """How much of every pixel the sprite of a plain video covers, [F, H, W], from the pixels alone."""
    colour, background = video.factors([0.0]).colours[0, 0], video.background[0]
    difference = colour - background
    return (video.render(np.array(times)) - background) @ difference / (difference @ difference)


def circular_centre(weight: np.ndarray, axis: int) -> float:
    """Centre of mass along an axis that wraps around, in pixels."""
    n = weight.shape[axis]
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    mass = weight.sum(axis=1 - axis)
    return float(np.angle((mass * np.exp(1j * angle)).sum()) % (2 * np.pi) * n / (2 * np.pi))


def test_a_seed_is_a_video() -> None:
    first, again, other = (SpriteVideo(seed, 10, (24, 40)).read([0, 3, 7]) for seed in [5, 5, 6])
    assert first.dtype == torch.uint8 and first.shape == (3, 3, 24, 40)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_frame_does_not_depend_on_what_else_is_read() -> None:
    video = SpriteVideo(1, 100, (32, 32))
    together = video.read([2, 50.25, 99, 12345.5])
    for i, t in enumerate([2, 50.25, 99, 12345.5]):
        assert torch.equal(together[i], video.read([t])[0])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(32, 32), (24, 48)])
def test_the_sprite_is_where_the_factors_say(seed: int, size: tuple[int, int]) -> None:
    """Discs on plain ground; fractional times and every pass over the border included."""
    video = SpriteVideo(seed, 100, size, num_shapes=1, **PLAIN)
    times = [0, 0.3, 11.5, 40, 77.7, 1000.25]
    for weight, position in zip(coverage(video, times), video.factors(times).positions[:, 0], strict=True):
        for axis in range(2):
            off = circular_centre(weight, axis) - position[axis]
            assert abs((off + size[axis] / 2) % size[axis] - size[axis] / 2) < 0.05


def test_a_disc_covers_its_area_wherever_it_is() -> None:
    video = SpriteVideo(3, 100, (32, 32), num_shapes=1, **PLAIN)
    area = coverage(video, np.linspace(0, 60, 25).tolist()).sum(axis=(1, 2))
    np.testing.assert_allclose(area, np.pi * video.factors([0]).radii[0] ** 2, rtol=0.01)


def test_motion_below_a_pixel_is_seen() -> None:
    video = SpriteVideo(0, 100, (32, 32), **PLAIN)
    first, moved = video.render(np.array([10.0, 10.1]))
    assert 0 < np.abs(moved - first).max() < 0.15


@pytest.mark.parametrize("seed", range(8))
def test_sprites_move_at_constant_speed_and_turn_at_a_constant_rate(seed: int) -> None:
    times = np.linspace(0, 50, 501)
    for sprite in SpriteVideo(seed, 100, (32, 32)).sprites:
        velocity = np.diff(sprite.position(times), axis=0) / 0.1
        np.testing.assert_allclose(np.linalg.norm(velocity, axis=1), sprite.speed, rtol=1e-4)
        heading = np.unwrap(np.arctan2(velocity[:, 0], velocity[:, 1]))
        np.testing.assert_allclose(np.diff(heading) / 0.1, sprite.turn, atol=1e-6)


def test_both_kinds_of_motion_occur() -> None:
    turns = [sprite.turn for seed in range(30) for sprite in SpriteVideo(seed, 1, (16, 16)).sprites]
    assert min(turns) < 0 < max(turns) and 0 in turns
    assert all(sprite.turn for seed in range(9) for sprite in SpriteVideo(seed, 1, (16, 16), turning=1).sprites)


def test_the_world_wraps_around() -> None:
    """Everything carried along by one pixel per frame: frame t is frame 0, rolled by t."""
    video = SpriteVideo(2, 100, (16, 32), light=0.0)
    video.scroll = np.array([0, 1 / 16])
    video.sprites = [replace(sprite, heading=0.0, speed=1 / 16, turn=0.0, spin=0.0) for sprite in video.sprites]
    frames = video.render(np.array([0.0, 1.0, 20.0, 32.0]))
    for frame, t in zip(frames[1:], [1, 20, 32], strict=True):
        np.testing.assert_allclose(frame, np.roll(frames[0], t, axis=1), atol=1e-5)


def test_the_scene_is_the_same_at_every_resolution() -> None:
    fine = SpriteVideo(4, 100, (128, 256)).render(np.array([0.0, 30.5]))
    coarse = SpriteVideo(4, 100, (32, 64)).render(np.array([0.0, 30.5]))
    mean = fine.reshape(2, 32, 4, 64, 4, 3).mean(axis=(2, 4))
    assert np.abs(mean - coarse).mean() < 0.01


def test_light_multiplies_and_drifts_slowly() -> None:
    video, dark = SpriteVideo(7, 100, (32, 32)), SpriteVideo(7, 100, (32, 32), light=0.0)
    times = np.linspace(0, 400, 50)
    factors = video.factors(times)
    np.testing.assert_allclose(video.render(times), dark.render(times) * factors.light[:, None, None, None], rtol=1e-4)
    assert 0.85 < factors.light.min() < 0.95 and 1.05 < factors.light.max() < 1.15
    assert np.abs(np.diff(video.factors(np.arange(100)).light)).max() < 0.01


def test_colours_stand_out_from_the_background() -> None:
    for seed in range(20):
        factors = SpriteVideo(seed, 1, (32, 32)).factors([0])
        for colours in factors.colours:
            assert np.abs(colours[0] - factors.background[0]).max() > 0.3


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_distances_within_reach(shape: object) -> None:
    y, x = np.meshgrid(np.linspace(-2, 2, 801), np.linspace(-2, 2, 801), indexing="ij")
    distance = shape(y, x)
    assert np.hypot(y, x)[distance < 0].max() < REACH
    slope = np.hypot(*np.gradient(distance, 0.005))[np.abs(distance) < 0.02]
    assert abs(np.median(slope) - 1) < 0.02


def test_shapes_have_their_known_points() -> None:
    y, x = np.array([0.0, 0.0, 0.7, -1.4]), np.array([2.0, 1.25, 0.0, 0.0])
    assert disc(y, x)[:2].tolist() == [1, 0.25]
    assert square(y, x)[:2] == pytest.approx([1.1, 0.35])
    assert triangle(y, x)[2:] == pytest.approx([0, 0])
    assert flower(y, x)[1] == pytest.approx(0)


def test_the_label_is_the_shape_in_front() -> None:
    for seed in range(10):
        video = SpriteVideo(seed, 1, (16, 16))
        assert video.label == video.factors([0]).shapes[-1] < video.num_classes == len(SHAPES)


def test_impossible_scenes_are_refused() -> None:
    for bad in [{"radius": (0.2, 0.5)}, {"max_sprites": 0}, {"num_shapes": 9}]:
        with pytest.raises(InputError):
            SpriteVideo(0, 10, (16, 16), **bad)
    with pytest.raises(InputError, match="no video"):
        SpriteVideo(0, 0, (16, 16))


def test_the_picture_that_fields_are_compared_on_stays_as_it_is() -> None:
    picture = waves_checker_disc()
    assert picture.shape == (64, 64, 3)
    assert picture[28, 38].tolist() == [230, 204, 51]  # the disc
    assert set(np.unique(picture[:, :16, 2])) == {0, 255} and (picture[:8, :8, 2] == 0).all()  # squares of 8
    x, y = 0.5 / 64, 8.5 / 64
    red = 0.5 + 0.25 * np.sin(2 * np.pi * 5 * x) + 0.25 * np.sin(2 * np.pi * 3 * y)
    green = 0.5 + 0.5 * np.sin(2 * np.pi * (4 * x + 7 * y))
    assert picture[8, 0].tolist() == [int(255 * red + 0.5), int(255 * green + 0.5), 255]
    with pytest.raises(InputError, match="at least 2"):
        waves_checker_disc((1, 64))
