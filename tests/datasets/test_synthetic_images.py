from __future__ import annotations

import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from datasets.synthetic_images import FAMILIES, FINEST_SCALE, HELD_OUT, grating_frequency, synthetic_image
from errors import InputError

CHECKSUMS = (
    "import zlib; from datasets.synthetic_images import *; "
    "print([zlib.crc32(synthetic_image(family, 5, (40, 56)).tobytes()) for family in FAMILIES])"
)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_is_an_image(family: str) -> None:
    first, again, other = (synthetic_image(family, seed, (40, 56)) for seed in (5, 5, 6))
    assert first.shape == (40, 56, 3) and first.dtype == np.uint8
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_another_process_makes_the_same_bytes() -> None:
    ours = [zlib.crc32(synthetic_image(family, 5, (40, 56)).tobytes()) for family in FAMILIES]
    assert subprocess.check_output([sys.executable, "-c", CHECKSUMS], text=True).strip() == str(ours)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(1, 1), (3, 300), (96, 96)])
def test_any_size(family: str, size: tuple[int, int]) -> None:
    assert synthetic_image(family, 0, size).shape == (*size, 3)


def test_the_held_out_seeds_are_twenty_and_beyond_those_of_training() -> None:
    assert len(HELD_OUT) == len(set(HELD_OUT)) == 20
    assert min(HELD_OUT) == 1_000_000


def test_no_wave_is_faster_than_an_image_reduced_four_times_can_hold() -> None:
    rng = np.random.default_rng(0)
    rates = np.array([np.abs(grating_frequency(rng)) for _ in range(2000)])
    assert rates.max() < 0.9 / (2 * FINEST_SCALE) + 1e-12
    assert np.hypot(*rates.T).min() >= 0.3 / (2 * FINEST_SCALE) - 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_the_spectrum_of_gratings_ends_below_that_rate(seed: int) -> None:
    image = synthetic_image("gratings", seed, (128, 128)).astype(float)
    image -= image.mean(axis=(0, 1))
    window = np.hanning(128)
    power = (np.abs(np.fft.fft2(image * np.outer(window, window)[..., None], axes=(0, 1))) ** 2).sum(axis=2)
    rate = np.abs(np.fft.fftfreq(128))
    outside = (rate[:, None] > 0.5 / FINEST_SCALE) | (rate > 0.5 / FINEST_SCALE)
    assert power[outside].sum() < 1e-3 * power.sum()  # 8 bits, and the window


@pytest.mark.parametrize("family", ["text", "shapes"])
def test_edges_are_smooth_and_colours_many(family: str) -> None:
    """Drawn larger and averaged: more colours than things were drawn with, and no image is plain."""
    for seed in HELD_OUT[:4]:
        image = synthetic_image(family, seed, (96, 96))
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100
        assert image.std(axis=(0, 1)).max() > 10


def test_a_family_is_not_another() -> None:
    images = [synthetic_image(family, 0, (32, 32)).tobytes() for family in FAMILIES]
    assert len(set(images)) == len(images) == 3


def test_bicubic_loses_something_of_every_family_at_four() -> None:
    for family in FAMILIES:
        image = synthetic_image(family, HELD_OUT[0], (64, 64))
        small = Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC)
        back = np.asarray(small.resize((64, 64), Image.Resampling.BICUBIC)).astype(float)
        assert ((back - image)[4:-4, 4:-4] ** 2).mean() > 1


@pytest.mark.parametrize(("family", "size"), [("faces", (8, 8)), ("text", (0, 8)), ("shapes", (8, 4096))])
def test_what_cannot_be_made_is_refused(family: str, size: tuple[int, int]) -> None:
    with pytest.raises(InputError):
        synthetic_image(family, 0, size)
