"""Functions of one variable: sums of sines from a seed, and samples in files.

Shape legend
    N       samples
"""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from datasets.sources import read_bounded
from errors import InputError

FREQUENCIES = tuple(range(5, 55, 5))
PI = 3.14159  # of the published experiment
_MAX_BYTES = 2**26
_LARGEST_SEED = 2**32

Samples = tuple[Float64[np.ndarray, " N"], Float64[np.ndarray, " N"]]


def sum_of_sines(seed: int, num_points: int = 200) -> Samples:
    """Ten unit sines of 5, 10, .., 50 periods and random phases, on [0, 1] (the 1D experiment of CAM).

    Args:
        seed: Decides the phases.
        num_points: Evenly spread, ends included.

    Raises:
        InputError: There would be fewer than two points.
    """
    if num_points < 2 or not 0 <= seed < _LARGEST_SEED:
        raise InputError(f"num_points {num_points}, seed {seed}: give at least 2 points, and a seed of 32 bits")
    phases = np.random.default_rng(seed).uniform(size=len(FREQUENCIES))
    x = np.linspace(0, 1, num_points)
    waves = [np.sin(2 * PI * (rate * x + phase)) for rate, phase in zip(FREQUENCIES, phases, strict=True)]
    return x, np.sum(waves, axis=0)


def read_samples(path: str | Path, x: str = "x", y: str = "y") -> Samples:
    """Samples of a file: .npz with two arrays, or .csv with two columns, named in its first line or not.

    Args:
        path: The file.
        x: Name of the array of places.
        y: Name of the array of values.

    Raises:
        InputError: It cannot be read, or holds no such numbers.
    """
    path = Path(path).expanduser()
    kinds = {".npz": _of_npz, ".csv": _of_csv}
    if path.suffix.lower() not in kinds:
        raise InputError(f"{path}: samples are read from .npz or .csv: give such a file")
    try:
        data = read_bounded(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}): give another file") from error
    return kinds[path.suffix.lower()](data, path, x, y)


def _of_npz(data: bytes, path: Path, x: str, y: str) -> Samples:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as members:  # a small file may claim arrays of any size
            if sum(info.file_size for info in members.infolist()) > _MAX_BYTES:
                raise InputError(f"{path}: holds more than {_MAX_BYTES} bytes: give a smaller file")
        arrays = np.load(io.BytesIO(data), allow_pickle=False)
        missing = [name for name in (x, y) if name not in arrays.files]
        if missing:
            raise InputError(
                f"{path}: holds no {missing[0]!r} but {', '.join(arrays.files)[:200]}: give data.x and data.y"
            )
        found = [arrays[name].astype(np.float64, casting="same_kind").squeeze() for name in (x, y)]
    except InputError:
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path}: no .npz of numbers, or a damaged one: write it again") from error
    shapes = [np.atleast_1d(array).shape for array in found]
    if shapes[0] != shapes[1] or len(shapes[0]) != 1:
        raise InputError(f"{path}: {x} is {shapes[0]}, {y} is {shapes[1]}: give two rows of equally many numbers")
    return np.atleast_1d(found[0]), np.atleast_1d(found[1])


def _of_csv(data: bytes, path: Path, x: str, y: str) -> Samples:
    rows = [row for row in csv.reader(io.StringIO(data.decode("utf-8-sig", errors="replace"))) if row]
    columns = (0, 1)
    if rows and not _is_number(rows[0][0]):
        head = [name.strip() for name in rows.pop(0)]
        if x not in head or y not in head:
            raise InputError(f"{path}: has no columns {x}, {y} but {', '.join(head)[:200]}: give data.x and data.y")
        columns = (head.index(x), head.index(y))
    numbers = []
    for number, row in enumerate(rows, 1):
        if len(row) <= max(columns) or not all(_is_number(row[column]) for column in columns):
            raise InputError(f"{path}: row {number} ({','.join(row)[:60]!r}) is no x,y: mend it")
        numbers.append([float(row[column]) for column in columns])
    table = np.array(numbers, dtype=np.float64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
