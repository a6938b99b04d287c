from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import welch

from errors import InputError
from stylegan_v.metrics.motion.spectrum import frequencies, motion_spectrum, spectrum_distance
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting, noise, still


def flicker(frequency: float, amplitude: float = 0.4, num_frames: int = 129) -> np.ndarray:
    """Brightness that swings as a sine around grey, floats [F, 3, 16, 16]."""
    level = amplitude * np.sin(2 * np.pi * frequency * np.arange(num_frames))
    return np.broadcast_to(level[:, None, None, None], (num_frames, 3, 16, 16)).copy()


@pytest.mark.parametrize("cycles", [4, 10, 25])
def test_flicker_peaks_at_its_frequency(cycles: int) -> None:
    (density,) = motion_spectrum(as_bytes(flicker(cycles / 64))[None])
    v, amplitude = frequencies(), 0.4 / 2  # 0.4 of floats whose range is 2
    assert v[density.argmax()] == cycles / 64
    # A sine of amplitude a in f has one of 2 a sin(pi v) in g; half its square is the whole energy.
    energy = (amplitude * 2 * np.sin(np.pi * cycles / 64)) ** 2 / 2
    assert density.sum() / 64 == pytest.approx(energy, rel=0.02)


def test_density_is_that_of_welch() -> None:
    clip = noise(200, (16, 16))
    differences = np.diff(clip.astype(np.float64) / 255, axis=0).reshape(199, -1)
    v, expected = welch(differences, nperseg=64, noverlap=32, window="hann", detrend="constant", axis=0)
    (density,) = motion_spectrum(clip[None])
    np.testing.assert_allclose(density, expected[1:].mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(frequencies(), v[1:])


def test_odd_segments_are_those_of_welch_too() -> None:
    clip = noise(16, (16, 16))
    differences = np.diff(clip.astype(np.float64) / 255, axis=0).reshape(15, -1)
    v, expected = welch(differences, nperseg=15, window="hann", detrend="constant", axis=0)
    (density,) = motion_spectrum(clip[None])  # all of it is one segment
    np.testing.assert_allclose(density, expected[1:].mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(frequencies(15), v[1:])


def test_distance_in_decibels() -> None:
    (strong,), (weak,) = (motion_spectrum(flicker(0.2, a)[None]) for a in (0.8, 0.4))
    assert spectrum_distance(strong, strong) == 0
    assert spectrum_distance(100 * np.ones(8), np.ones(8)) == pytest.approx(20, abs=1e-5)
    assert 4 < spectrum_distance(strong, weak) <= 10 * np.log10(4) + 1e-6  # 6 dB where there is anything
    assert spectrum_distance(strong, weak) == spectrum_distance(weak, strong)


def test_other_speeds_and_still_pictures_are_far() -> None:
    t = np.arange(129)
    slow, again, fast = (
        motion_spectrum(np.stack([as_bytes(drifting(v * t, v * t, seed=seed)) for seed in seeds])).mean(axis=0)
        for v, seeds in ((0.47, range(4)), (0.47, range(4, 8)), (1.13, range(4)))
    )
    (frozen,) = motion_spectrum(still(129)[None])
    assert frozen.max() == 0
    distances = [spectrum_distance(slow, other) for other in (again, fast, frozen)]
    assert distances[0] < 4 < distances[1] and distances[2] > 15


def test_parts_do_not_matter() -> None:
    clips = noise(150)[None]
    assert all(np.array_equal(motion_spectrum(clips, chunk=chunk), motion_spectrum(clips)) for chunk in (1, 50, 150))


def test_too_short_clips_are_refused() -> None:
    assert motion_spectrum(noise(5)[None]).shape == (1, 2)
    with pytest.raises(InputError, match="4 differences"):
        motion_spectrum(noise(4)[None])
