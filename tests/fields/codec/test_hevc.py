from __future__ import annotations

import av
import numpy as np
import pytest

from errors import InputError
from fields.codec.hevc import read_hevc, write_hevc

Y, X = np.mgrid[:70, :90]
WAVES = np.stack([(127 + 100 * np.sin((X + 3 * t) / 9) * np.cos(Y / 7)) for t in range(5)]).astype(np.uint8)


@pytest.mark.parametrize("shape", [(5, 70, 90), (1, 64, 64), (3, 20, 20), (2, 1, 1), (4, 3, 90)])
def test_pictures_of_every_size_come_back_near(shape: tuple[int, int, int]) -> None:
    stack = WAVES[: shape[0], : shape[1], : shape[2]]
    found = read_hevc(write_hevc(stack, 4), shape)
    assert found.shape == shape and np.abs(found.astype(int) - stack).max() <= 8


def test_all_of_the_range_of_bytes_is_kept() -> None:
    stack = np.repeat(np.array([0, 255], np.uint8), [32, 32])[None, None].repeat(64, axis=1)
    found = read_hevc(write_hevc(stack, 1), stack.shape)
    assert found.min() <= 1 and found.max() >= 254


def test_less_quality_is_smaller_and_motion_is_predicted() -> None:
    fine, coarse = (write_hevc(WAVES, crf) for crf in (10, 35))
    assert len(coarse) < len(fine) < WAVES.size
    still = np.repeat(WAVES[:1], 5, axis=0)
    assert len(write_hevc(still, 10)) < 1.5 * len(write_hevc(still[:1], 10))


def test_the_same_pictures_give_the_same_bytes() -> None:
    assert write_hevc(WAVES, 21) == write_hevc(WAVES, 21)


@pytest.mark.parametrize("shape", [(4, 70, 90), (6, 70, 90), (5, 64, 64), (5, 200, 200)])
def test_a_stream_of_another_shape_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="HEVC"):
        read_hevc(write_hevc(WAVES, 30), shape)


@pytest.mark.parametrize("data", [b"", b"abc", bytes(1000), b"\0\0\0\1" * 50])
def test_what_is_no_stream_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="HEVC"):
        read_hevc(data, (1, 64, 64))


def test_without_the_encoder_the_flag_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", set())
    with pytest.raises(InputError, match=r"crf: .*libx265"):
        write_hevc(WAVES, 21)
