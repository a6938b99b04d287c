from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from datasets.frame_sampling import FrameSampler, HeavyTailed, RandomSpans, UniformSpacing
from errors import InputError


def samplers(num_frames: int) -> list[FrameSampler]:
    return [
        RandomSpans(num_frames),
        RandomSpans(num_frames, spans=None),
        RandomSpans(num_frames, spans=None, max_distance=5),
        RandomSpans(num_frames, spans=(7,), max_distance=6),
        RandomSpans(num_frames, spans=(64, 5), max_distance=1000),
        UniformSpacing(num_frames),
        UniformSpacing(num_frames, spacings=None),
        UniformSpacing(num_frames, spacings=(3,), max_distance=1),
        HeavyTailed(num_frames),
    ]


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 5, 8, 16])
@pytest.mark.parametrize("more", [0, 1, 2, 3, 7, 16, 31, 32, 33, 300, 1000])
def test_times_are_distinct_sorted_and_inside_the_video(num_frames: int, more: int) -> None:
    length = num_frames + more
    rng = np.random.default_rng([num_frames, more])
    for sampler in samplers(num_frames):
        for fractional in [False, True] * 10:
            t = sampler.sample(length, rng, fractional=fractional)
            assert t.shape == (num_frames,)
            assert t.dtype == (np.float64 if fractional else np.int64)
            assert t[0] >= 0 and t[-1] <= length - 1
            assert (np.diff(t) >= 1 - 1e-9).all()
            np.testing.assert_allclose(t - t[0], np.round(t - t[0]), atol=1e-9)


def shares(sampler: FrameSampler, length: int, draws: int = 4000) -> dict[int, float]:
    rng = np.random.default_rng(0)
    spans = Counter(int(np.ptp(sampler.sample(length, rng))) for _ in range(draws))
    return {span: count / draws for span, count in sorted(spans.items())}


def test_a_short_video_without_fitting_span_gets_every_possible_one() -> None:
    """Of 4 frames, 3 are to be taken; 2 is the only listed span, and removing it leaves 2 and 3."""
    assert shares(RandomSpans(3, spans=(8, 16)), length=4) == pytest.approx({2: 0.5, 3: 0.5}, abs=0.05)


def test_a_span_shorter_than_the_clip_is_never_used() -> None:
    assert shares(RandomSpans(8, spans=(1, 2, 4), max_distance=4), length=100) == {7: 1.0}


def test_the_interior_frames_are_uniform() -> None:
    rng = np.random.default_rng(0)
    sampler = RandomSpans(3, spans=(5,))
    middles = Counter(int(t[1] - t[0]) for t in (sampler.sample(50, rng) for _ in range(4000)))
    assert {middle: count / 4000 for middle, count in middles.items()} == pytest.approx(
        {1: 0.25, 2: 0.25, 3: 0.25, 4: 0.25}, abs=0.04
    )


def test_whole_starts_cover_the_video_evenly_and_fractional_ones_likewise() -> None:
    sampler, rng = RandomSpans(2, spans=(4,)), np.random.default_rng(0)
    starts = Counter(int(sampler.sample(8, rng)[0]) for _ in range(4000))
    assert {start: count / 4000 for start, count in starts.items()} == pytest.approx(
        {0: 0.25, 1: 0.25, 2: 0.25, 3: 0.25}, abs=0.04
    )
    fractional = [sampler.sample(8, rng, fractional=True)[0] for _ in range(4000)]
    assert np.mean(fractional) == pytest.approx(1.5, abs=0.06)
    assert np.var(fractional) == pytest.approx(3**2 / 12, abs=0.06)


@pytest.mark.parametrize("sampler", [RandomSpans(1), HeavyTailed(1), UniformSpacing(1)])
def test_a_single_frame_is_any_of_the_video_with_equal_chances(sampler: FrameSampler) -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(int(sampler.sample(8, rng)[0]) for _ in range(8000))
    assert {frame: count / 8000 for frame, count in sorted(drawn.items())} == pytest.approx(
        dict.fromkeys(range(8), 1 / 8), abs=0.02
    )


def test_a_pattern_as_long_as_the_video_starts_at_zero() -> None:
    rng = np.random.default_rng(0)
    for fractional in [False, True]:
        assert RandomSpans(2, spans=(9,)).sample(10, rng, fractional=fractional).tolist() == [0, 9]


def test_heavy_tailed_spans_are_log_uniform_up_to_the_whole_video() -> None:
    measured = shares(HeavyTailed(2), length=400, draws=8000)
    for low, high in [(1, 4), (4, 20), (20, 100), (100, 399)]:
        expected = np.log((high + 1) / low) / np.log(400) if high == 399 else np.log(high / low) / np.log(400)
        total = sum(share for span, share in measured.items() if low <= span < high or span == high == 399)
        assert total == pytest.approx(expected, abs=0.03)
    assert max(measured) > 380
    assert max(shares(HeavyTailed(2, max_num_frames=50), length=400)) == 49


def test_uniform_spacing_is_constant() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        assert len(set(np.diff(UniformSpacing(5).sample(200, rng)).tolist())) == 1


def test_the_same_generator_state_gives_the_same_times() -> None:
    for sampler in samplers(4):
        first, second = (sampler.sample(77, np.random.default_rng([3, 1, 4])) for _ in range(2))
        assert first.tolist() == second.tolist()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match="num_frames"):
        RandomSpans(0)
    with pytest.raises(InputError, match="max_num_frames"):
        HeavyTailed(8, max_num_frames=4)
    with pytest.raises(ValueError, match="no clip"):
        RandomSpans(4).sample(3, np.random.default_rng(0))
