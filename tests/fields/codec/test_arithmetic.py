from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from errors import InputError
from fields.codec.arithmetic import (
    NUM_FRACTIONS,
    SymbolReader,
    SymbolWriter,
    best_distributions,
    fraction,
    probabilities,
    tables_of,
)


def drawn(seed: int = 0, count: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Symbols of three contexts: all zero, narrow, wide."""
    draw = np.random.default_rng(seed)
    context = draw.integers(0, 3, count)
    symbols = np.round(draw.laplace(0, 1, count) * np.array([0.0, 0.6, 5.0])[context]).astype(np.int64)
    return symbols, context


def written(symbols: np.ndarray, context: np.ndarray, parameters: np.ndarray, limit: int) -> bytes:
    writer = SymbolWriter()
    writer.write(symbols, context, tables_of(parameters, limit), limit)
    return writer.data()


def test_fractions_rise_and_lie_evenly_about_a_half() -> None:
    found = [fraction(number) for number in range(NUM_FRACTIONS)]
    assert all(before < after for before, after in pairwise(found))
    assert 0 < found[0] < 20 and found[NUM_FRACTIONS // 2 - 1] == 2**15 and 2**16 - 20 < found[-1] < 2**16


@pytest.mark.parametrize(("zero", "tail", "limit"), [(40, 30, 0), (40, 30, 1), (70, 60, 7), (0, 95, 8191)])
def test_probabilities_are_symmetric_and_fall_by_the_ratio(zero: int, tail: int, limit: int) -> None:
    found = probabilities(zero, tail, limit)
    assert len(found) == 2 * limit + 1 and np.array_equal(found, found[::-1]) and (found >= 0).all()
    assert found[limit] == fraction(zero) * 2**8
    if limit:
        assert found.sum() == pytest.approx(2**24, rel=2e-3)
    if limit == 7:
        ratios = found[limit + 2 :] / found[limit + 1 : -1]
        assert ratios == pytest.approx(fraction(tail) / 2**16, rel=1e-3)


def test_symbols_come_back_and_take_the_bits_that_their_distribution_says() -> None:
    symbols, context = drawn()
    limit = int(np.abs(symbols).max())
    parameters = best_distributions(symbols, context, 3)
    data = written(symbols, context, parameters, limit)
    reader = SymbolReader(data)
    assert np.array_equal(reader.read(context, tables_of(parameters, limit), limit), symbols)
    reader.close()
    entropy = 0.0
    for one in range(3):
        counts = np.unique(symbols[context == one], return_counts=True)[1]
        entropy -= (counts * np.log2(counts / counts.sum())).sum()
    assert entropy - 1 < 8 * len(data) < 1.02 * entropy + 64


def test_the_best_distributions_are_those_of_an_exhaustive_search() -> None:
    symbols, context = drawn(1, 400)
    limit = int(np.abs(symbols).max())
    found = best_distributions(symbols, context, 3)

    def bits(of: np.ndarray, zero: int, tail: int) -> float:
        share = np.maximum(probabilities(zero, tail, limit), 1) / 2**24
        return float(-np.log2(share[of + limit]).sum())

    mine = symbols[context == 1]
    best = min(bits(mine, zero, tail) for zero in range(NUM_FRACTIONS) for tail in range(NUM_FRACTIONS))
    assert bits(mine, *found[1].tolist()) <= best + 1.0


def test_the_bytes_of_symbols_stay_the_same() -> None:
    """The format: a file of today is read tomorrow, and elsewhere."""
    symbols = np.array([0, 0, 1, -1, 3, 0, -2, 0, 0, 1, 0, 7, 0, -1, 0, 0])
    data = written(symbols, np.arange(16) % 2, np.array([[45, 40], [50, 55]], np.uint8), 7)
    assert data.hex() == "8a41bba88466d9fc"


@pytest.mark.parametrize("seed", range(20))
def test_damaged_words_are_refused_or_other_symbols_within_bounds(seed: int) -> None:
    symbols, context = drawn(seed, 500)
    limit = int(np.abs(symbols).max())
    parameters = best_distributions(symbols, context, 3)
    data = bytearray(written(symbols, context, parameters, limit))
    draw = np.random.default_rng(seed)
    data[int(draw.integers(len(data)))] ^= 1 << int(draw.integers(8))
    cut = bytes(data) if seed % 2 else bytes(data[: len(data) // 8 * 4])
    reader = SymbolReader(cut)
    try:
        found = reader.read(context, tables_of(parameters, limit), limit)
        reader.close()
    except InputError:
        return
    assert np.abs(found).max() <= limit


def test_words_and_distributions_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="cut off"):
        SymbolReader(b"abc")
    with pytest.raises(InputError, match="distributions"):
        tables_of(np.array([[NUM_FRACTIONS, 0]], np.uint8), 3)
    reader = SymbolReader(written(*drawn(), best_distributions(*drawn(), 3), 100))
    with pytest.raises(InputError, match="belong there"):
        reader.close()
