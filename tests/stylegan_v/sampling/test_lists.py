from __future__ import annotations

from pathlib import Path

import pytest

from errors import InputError
from stylegan_v.sampling.lists import moments, numbers, size


@pytest.mark.parametrize(
    "text, expected",
    [("5", [5]), (3, [3]), ("0,5,7-9", [0, 5, 7, 8, 9]), (" 2 , 1-1 ", [2, 1]), ("4,4", [4, 4]), ("0-0", [0])],
)
def test_numbers_and_ranges(text: str | int, expected: list[int]) -> None:
    assert numbers(text, "videos") == expected


@pytest.mark.parametrize("text", ["", ",", "-1", "3-", "9-7", "1.5", "a", "1,,2", "0x10", "1_000", "9" * 19, -4])
def test_what_is_no_list_of_numbers(text: str | int) -> None:
    with pytest.raises(InputError, match=r"^videos: .*such as 0,5,7-9"):
        numbers(text, "videos")


def test_numbers_have_an_end() -> None:
    assert len(numbers("0-999999", "seeds")) == 1_000_000
    with pytest.raises(InputError, match=r"seeds: .* more than 1000000"):
        numbers("0-999999,3", "seeds")
    with pytest.raises(InputError, match=r"seeds: .* more than 1000000"):
        numbers("0-999999999999999999", "seeds")
    with pytest.raises(InputError, match="layers: 6 is too large: give layers from 0 to 5"):
        numbers("0-6", "layers", below=6)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0", [0]),
        ("0,0.25, 1e6+0.5", [0, 0.25, 1000000.5]),
        ("1e+6+.5 3.-1", [1000000.5, 2]),
        ("-2+5e-1", [-1.5]),
        ("0.1+0.2-0.3", [0.1 + 0.2 - 0.3 - (0.1 + 0.2 - 0.3) + 2.7755575615628914e-17]),  # summed exactly
    ],
)
def test_moments_and_sums_of_them(text: str, expected: list[float]) -> None:
    assert moments(text, "times") == expected


@pytest.mark.parametrize(
    "text", ["", " , ", "nan", "inf", "1e", "1*2", "__import__('os')", "1e999", "0x1", "1__0", "1 + 2"]
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(InputError, match=r"^times: "):
        moments(text, "times")


def test_moments_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "times.txt"
    path.write_text("0\n0.25, 3\n\n1e6+0.5\n")
    assert moments(str(path), "times") == [0, 0.25, 3, 1000000.5]
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"times: .*times.txt: is no text file"):
        moments(str(path), "times")


def test_moments_have_an_end(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 1000001 moments"):
        moments("0 " * 1_000_001, "times")
    path = tmp_path / "times.txt"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(InputError, match="larger than 100000000 bytes"):
        moments(str(path), "times")


def test_sizes() -> None:
    assert size("5x3", "grid") == (5, 3) and size(" 10x1 ", "grid") == (10, 1)
    for wrong in ("5", "0x3", "3x00", "3x", "ax3", "3x3x3", "-1x3", "3 x 3", "12345x1"):
        with pytest.raises(InputError, match=r"grid: .* give rows and columns, such as 5x5"):
            size(wrong, "grid")
