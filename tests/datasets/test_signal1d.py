"""Functions of one variable: the sines, and samples in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasets.signal1d import read_samples, sum_of_sines
from errors import InputError


def test_ten_unit_sines_of_five_to_fifty_periods() -> None:
    x, y = sum_of_sines(3, 1000)
    assert (x[0], x[-1], len(x)) == (0.0, 1.0, 1000)
    angles = 2 * 3.14159 * np.arange(5, 55, 5) * x[:, None]
    waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    found = np.linalg.lstsq(waves, y, rcond=None)[0]
    assert np.allclose(np.hypot(found[:10], found[10:]), 1)
    assert np.allclose(waves @ found, y)


def test_the_seed_decides() -> None:
    assert np.array_equal(sum_of_sines(1)[1], sum_of_sines(1)[1])
    assert not np.allclose(sum_of_sines(1)[1], sum_of_sines(2)[1])


@pytest.mark.parametrize(("seed", "count"), [(0, 1), (-1, 10), (2**40, 10)])
def test_impossible_signals_are_refused(seed: int, count: int) -> None:
    with pytest.raises(InputError, match="give at least 2"):
        sum_of_sines(seed, count)


X, Y = np.array([0.0, 0.5, 2.0]), np.array([1.0, -1.0, 3.5])


@pytest.mark.parametrize(
    "text", ["0,1\n0.5,-1\n2,3.5\n", "x,y\n0,1\n\n0.5,-1\n2,3.5\n", "\ufeffy, other,x\n1,9,0\n-1,9,0.5\n3.5,9,2\n"]
)
def test_columns_of_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    x, y = read_samples(tmp_path / "a.csv")
    assert np.array_equal(x, X) and np.array_equal(y, Y)


def test_arrays_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"target/x": X[:, None], "target/y": Y.astype(np.float32)})
    x, y = read_samples(tmp_path / "a.npz", "target/x", "target/y")
    assert np.array_equal(x, X) and np.array_equal(y, Y)


def test_the_recorded_target() -> None:
    x, y = read_samples("tests/conformance/data/cam/signal1d.npz", "target/x", "target/y")
    assert len(x) == len(y) == 200 and x[-1] == 1 and y.var() == pytest.approx(4.978, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "0,1\n0.5\n", "row 2 "),
        ("a.csv", "0,1\n0.5,one\n", "row 2 "),
        ("a.csv", "time,value\n0,1\n", "has no columns x, y but time, value"),
        ("a.txt", "0,1\n", r"from \.npz or \.csv"),
        ("a.npz", "no zip", "no .npz of numbers"),
        ("b.csv", None, "cannot be read"),
    ],
)
def test_files_that_hold_no_samples_are_refused(name: str, content: str | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        read_samples(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X}, "holds no 'y' but x"),
        ({"x": X, "y": Y[:2]}, r"x is \(3,\), y is \(2,\)"),
        ({"x": np.ones((2, 2)), "y": np.ones((2, 2))}, "rows of equally many"),
        ({"x": X, "y": np.array(["a", "b", "c"])}, "of numbers"),
        ({"x": X, "y": np.array([{}, {}, {}])}, "of numbers"),
    ],
)
def test_arrays_that_are_no_samples_are_refused(arrays: dict, words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=words):
        read_samples(tmp_path / "a.npz")


def test_a_small_file_of_endless_numbers_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(2**24), y=np.zeros(2**24))
    with pytest.raises(InputError, match="give a smaller file"):
        read_samples(tmp_path / "a.npz")
