from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from errors import InputError
from fields.upscaling.frames import enlarge
from fields.upscaling.models import Model, open_model
from fields.upscaling.tiling import Cut
from fields.upscaling.views import Target
from tests.fields import small_liif


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return open_model(small_liif.stored(tmp_path), "cpu")


def ramp(kind: type, channels: int) -> np.ndarray:
    largest = np.iinfo(kind).max
    return np.linspace(0, largest, 10 * 12 * channels).reshape(10, 12, channels).astype(kind)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_and_depth_stay_and_all_pixels_are_counted(model: Model, kind: type, channels: int) -> None:
    done: list[int] = []
    view = Target(size=(31, 25)).view((10, 12))
    made = enlarge(model, ramp(kind, channels), view, Cut(4, 6), done.append)
    assert made.shape == (31, 25, channels) and made.dtype == kind and sum(done) == 31 * 25
    assert len(done) == 9


def test_both_depths_agree(model: Model) -> None:
    view = Target(scale=3.3).view((10, 12))
    coarse = enlarge(model, ramp(np.uint8, 3), view, Cut(None, 6), int)
    fine = enlarge(model, ramp(np.uint8, 3).astype(np.uint16) * 257, view, Cut(None, 6), int)
    assert np.abs(fine / 257 - coarse).max() < 0.51


def test_values_beyond_white_and_black_are_clipped(model: Model) -> None:
    last = model.field.imnet.layers[-1]
    view = Target(scale=2).view((10, 12))
    for shift, level in ((100.0, 255), (-100.0, 0)):
        last.bias.fill_(shift)
        assert (enlarge(model, ramp(np.uint8, 3), view, Cut(None, 6), int) == level).all()


def test_only_what_is_magnified_is_asked_of_the_model(model: Model) -> None:
    model.field.imnet.layers[-1].bias.fill_(float("nan"))
    pixels = np.full((10, 12, 3), 77, np.uint8)
    made = enlarge(model, pixels, Target(scale=0.4).view((10, 12)), Cut(None, 6), int)
    assert made.shape == (4, 5, 3) and (made == 77).all()
    with pytest.raises(InputError, match="no numbers"):
        enlarge(model, pixels, Target(scale=1).view((10, 12)), Cut(None, 6), int)
