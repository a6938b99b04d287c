from __future__ import annotations

import numpy as np
import pytest

from datasets.synthetic import Factors, SpriteVideo
from stylegan_v.metrics.detectors.factors import CLASSES, VALUES
from stylegan_v.metrics.factors.truth import CENTRES, ORDERS, SCALES, UNITS, truth_of

SIDE, FRAMES, OCTANTS = 32, 16, 8


def scene(step: tuple[float, float] = (0.0, 0.02), shapes: tuple[int, ...] = (2,), spin: float = 0.03) -> Factors:
    """Sprites that start in the middle and move by ``step`` sides per frame, the second one the opposite way."""
    t = np.arange(FRAMES, dtype=np.float64)
    ways = np.array([step, (-step[0], -step[1])])[: len(shapes)]
    return Factors(
        positions=(0.5 + t[:, None, None] * ways) % 1 * SIDE,
        angles=np.repeat(t[:, None] * spin, len(shapes), axis=1),
        radii=np.full(len(shapes), 0.2 * SIDE),
        colours=np.full((len(shapes), 2, 3), 0.4, dtype=np.float32),
        shapes=shapes,
        scroll=t[:, None] * np.array([0.0, -0.01 * SIDE]),
        background=np.full((2, 3), 0.2, dtype=np.float32),
        light=np.full(FRAMES, 1.5),
    )


def told(factors: Factors, order: str = "forwards", points: bool = True) -> dict[str, np.ndarray]:
    """The truth in natural units."""
    truth = truth_of(factors, SIDE, order, points)
    return {name: value * SCALES.get(name, 1) + CENTRES.get(name, 0) for name, value in truth.items()}


def test_motion_and_appearance_of_a_straight_way() -> None:
    truth = told(scene(step=(-0.01, 0.02)))
    expected = {
        "velocity": [-0.01, 0.02],
        "speed": [np.hypot(0.01, 0.02)],
        "pace": [0.0],
        "spin": [0.03],
        "size": [0.2],
        "colour": [0.6] * 3,
        "background": [0.3] * 3,
        "scroll": [0.0, -0.01],
    }
    for name, value in expected.items():
        np.testing.assert_allclose(truth[name], value, atol=1e-6, err_msg=name)
    t = np.arange(FRAMES)
    angles = 2 * np.pi * np.stack([0.5 - 0.01 * t, 0.5 + 0.02 * t])
    np.testing.assert_allclose(truth["position"], [*np.cos(angles).mean(1), *np.sin(angles).mean(1)], atol=1e-6)


def test_every_factor_is_told_in_the_width_that_the_network_has() -> None:
    for order in ORDERS:
        truth = truth_of(scene(), SIDE, order, True)
        assert {name: len(value) for name, value in truth.items()} == {**CLASSES, **VALUES}
        assert all(value.dtype == np.float32 for value in truth.values())
    assert set(SCALES) == set(UNITS) == set(VALUES)


@pytest.mark.parametrize("octant", range(OCTANTS))
def test_direction_is_the_octant_of_the_way(octant: int) -> None:
    angle = 2 * np.pi * octant / OCTANTS + 0.3
    truth = told(scene(step=(0.02 * np.sin(angle), 0.02 * np.cos(angle))))
    np.testing.assert_array_equal(truth["direction"], np.eye(OCTANTS)[octant])
    assert truth["shape"].tolist() == [0, 0, 1, 0]


def test_two_sprites_share_their_classes_and_mean_their_values() -> None:
    truth = told(scene(step=(0.0, 0.02), shapes=(0, 3)))
    assert truth["direction"].tolist() == [0.5, 0, 0, 0, 0.5, 0, 0, 0] and truth["shape"].tolist() == [0.5, 0, 0, 0.5]
    np.testing.assert_allclose(truth["velocity"], 0, atol=1e-7)
    np.testing.assert_allclose(truth["speed"], 0.02, atol=1e-7)
    assert truth["count"].tolist() == [0, 1]


def test_the_short_way_around_the_torus_is_the_way() -> None:
    truth = told(scene(step=(0.0, 0.05)))  # from 0.5 past the edge to 0.25
    np.testing.assert_allclose(truth["velocity"], [0, 0.05], atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_reversed_clips_move_and_gain_the_other_way(seed: int) -> None:
    video, t = SpriteVideo(seed, FRAMES, (SIDE, SIDE)), np.arange(FRAMES, dtype=np.float64)
    times = t + 0.5 * (t * t / 15 - t)
    forwards, back = (
        truth_of(video.factors(x), SIDE, order, True) for x, order in ((times, "forwards"), (times[::-1], "reversed"))
    )
    for name in ("velocity", "spin", "scroll", "pace"):
        np.testing.assert_allclose(back[name], -forwards[name], atol=1e-5, err_msg=name)
    for name in ("speed", "position", "size", "colour", "background", "shape"):
        np.testing.assert_allclose(back[name], forwards[name], atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(back["direction"], np.roll(forwards["direction"], OCTANTS // 2))


def test_shuffled_clips_tell_no_motion_and_frozen_ones_that_there_is_none() -> None:
    shuffled = told(scene(), "shuffled")
    moving = ("velocity", "speed", "pace", "spin", "scroll")
    assert all(np.isnan(shuffled[name]).all() for name in moving)
    assert not any(np.isnan(shuffled[name]).any() for name in ("position", "size", "colour", "background"))
    np.testing.assert_array_equal(shuffled["direction"], 1 / OCTANTS)

    still = scene(step=(0.0, 0.0), spin=0.0)
    still = Factors(**{**vars(still), "scroll": np.zeros((FRAMES, 2))})
    frozen = told(still, "frozen")
    for name in ("velocity", "speed", "spin", "scroll"):
        np.testing.assert_allclose(frozen[name], 0, atol=1e-8)
    assert np.isnan(frozen["pace"]).all()
    np.testing.assert_array_equal(frozen["direction"], 1 / OCTANTS)


def test_the_direction_of_time_is_asked_for_only_where_a_scene_begins() -> None:
    assert told(scene(), "reversed", points=True)["order"].tolist() == [0, 1, 0, 0]
    for order in ("forwards", "reversed"):
        assert told(scene(), order, points=False)["order"].tolist() == [0.5, 0.5, 0, 0]
    assert told(scene(), "frozen", points=False)["order"].tolist() == [0, 0, 0, 1]
