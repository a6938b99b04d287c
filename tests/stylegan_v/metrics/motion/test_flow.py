from __future__ import annotations

import numpy as np
import pytest
import torch

from datasets.synthetic import SpriteVideo
from errors import InputError
from stylegan_v.metrics.motion.flow import flow
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting, noise, still


@pytest.mark.parametrize("velocity", [(0.2, 0.1), (0.5, -1.3), (-2.0, 0.7), (3.0, 4.0), (0.0, -6.0)])
@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_translation_is_found(velocity: tuple[float, float], size: tuple[int, int]) -> None:
    t = np.arange(5)
    clips = np.stack([as_bytes(drifting(velocity[0] * t, velocity[1] * t, size, seed)) for seed in range(4)])
    for found in flow(clips):
        error = np.linalg.norm(found.shift.mean(axis=0) * min(size) - velocity)
        assert error <= 0.1 * np.hypot(*velocity) and found.explained.min() > 0.5


def test_sprite_on_a_still_background_is_followed() -> None:
    # A disc that does not turn; the textured background has as strong edges, but rests.
    rows, columns = np.mgrid[:64, :64]
    background = 0.3 * np.sin(rows / 3) * np.cos(columns / 4)
    frames = []
    for t in range(12):
        inside = np.clip(10 - np.hypot(rows - 20 - 0.8 * t, columns - 24 - 1.5 * t), 0, 1)
        frames.append(background + inside * (0.9 - background))
    clip = np.broadcast_to(np.stack(frames)[:, None], (12, 3, 64, 64)).copy()
    (found,) = flow(clip[None])
    np.testing.assert_allclose(64 * found.shift.mean(axis=0), (0.8, 1.5), rtol=0.1)


def test_sprites_of_a_data_set_go_where_they_go() -> None:
    settings = {"max_sprites": 1, "turning": 0.0, "scroll": 0.0, "light": 0.0, "texture": 0.0, "num_shapes": 1}
    for seed in range(4):
        video = SpriteVideo(seed, 9, (64, 64), **settings)
        true = video.sprites[0].speed * np.array([np.sin(video.sprites[0].heading), np.cos(video.sprites[0].heading)])
        (found,) = flow(video.read(range(9))[None])
        assert np.linalg.norm(found.shift.mean(axis=0) - true) < 0.1 * np.linalg.norm(true)


def test_among_equal_displacements_of_stripes_the_smallest_is_taken() -> None:
    columns = np.arange(64) - 1.5 * np.arange(6)[:, None]
    stripes = np.broadcast_to(np.cos(2 * np.pi * columns / 16)[:, None, None], (6, 3, 64, 64)).copy()
    (found,) = flow(stripes[None])
    np.testing.assert_allclose(64 * found.shift, np.broadcast_to([0, 1.5], (5, 2)), atol=0.1)


def test_still_pictures_do_not_move() -> None:
    (found,) = flow(still(5)[None])
    assert not found.shift.any() and not found.explained.any()


@pytest.mark.parametrize("side", [32, 64])
def test_noise_explains_little(side: int) -> None:
    (found,) = flow(noise(40, (side, side))[None])
    assert np.median(found.explained) < 0.4


def test_cut_is_not_explained() -> None:
    t = np.arange(3)
    cut = np.concatenate([drifting(t, t, seed=0), drifting(t, t, seed=1)])
    (found,) = flow(as_bytes(cut)[None])
    assert found.explained.argmin() == 2 and found.explained[2] < 0.5 < np.delete(found.explained, 2).min()


def test_parts_do_not_matter() -> None:
    t = np.arange(20)
    clips = as_bytes(drifting(0.7 * t, -0.4 * t))[None]
    (first,), *others = (flow(clips, chunk=chunk) for chunk in (1, 7, 20))
    for (other,) in others:
        np.testing.assert_allclose(first.shift, other.shift, atol=1e-9)
        np.testing.assert_allclose(first.explained, other.explained, atol=1e-9)


def test_single_frame_and_tiny_frames() -> None:
    (found,) = flow(noise(1)[None])
    assert found.shift.shape == (0, 2)
    assert flow(torch.zeros(1, 2, 3, 8, 8))[0].shift.tolist() == [[0, 0]]
    with pytest.raises(InputError, match="8 pixels"):
        flow(noise(2, (7, 32))[None])
