"""Whole numbers of both signs as bits by a range coder, drawn from distributions of two parameters.

A distribution has two parameters, how likely zero is, and how much less likely each size is than the one before; both
signs are equally likely. Each is the number of a fraction in one fixed table. Probabilities are made from these numbers
by arithmetic of whole numbers alone, and the library only adds and multiplies them: whoever decodes has the same to the
last bit, on every machine. Exponentials, which machines round differently, occur where parameters are chosen, not where
they are used.

Shape legend
    N       symbols
    D       distributions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from errors import InputError
from fields.codec.range_coder import RangeReader, RangeWriter, distribution

_BITS = 24  # of a probability
_FRACTION_BITS = 16
_ROOTS = (65536, 55109, 46341, 38968)  # 2^(16 - k/4)
_OCTAVES = 12
_HALF = 4 * _OCTAVES
NUM_FRACTIONS = 2 * _HALF


def fraction(number: int) -> int:
    """A fraction of 2^16: quarters of an octave away from nought up to a half, and likewise away from one."""
    steps = number - _HALF + 1 if number >= _HALF else _HALF - 1 - number
    part = _ROOTS[steps % 4] >> 1 + steps // 4
    return 2**_FRACTION_BITS - part if number >= _HALF else part


def probabilities(zero: int, tail: int, limit: int) -> np.ndarray:
    """Those of -limit to limit, as whole numbers; the library gives each at least the least one.

    Args:
        zero: Number of the fraction of zeros.
        tail: Number of the ratio of one size to the one before.
        limit: Largest absolute value.
    """
    middle = fraction(zero) << _BITS - _FRACTION_BITS
    sizes, weight, ratio = [], 2**40, fraction(tail)
    for _ in range(limit):
        sizes.append(weight)
        weight = weight * ratio >> _FRACTION_BITS
    rest, total = (2**_BITS - middle) // 2, max(sum(sizes), 1)
    side = [rest * size // total for size in sizes]
    return np.array([*side[::-1], middle, *side], np.float64)


def best_distributions(
    symbols: Int64[np.ndarray, " N"], context: Int64[np.ndarray, " N"], count: int
) -> UInt8[np.ndarray, "D 2"]:
    """Parameters of every context's distribution that take the fewest bits, but for about one.

    Half a symbol of each kind is taken to occur besides: parameters of few symbols then are not extreme, and resemble
    each other, so that they can be told in few bits.

    Args:
        symbols: To be coded.
        context: Of each, from 0 to ``count - 1``.
        count: Of the contexts.
    """
    sizes = np.abs(symbols)
    none, others = (np.bincount(context, kind, count) + 0.5 for kind in (sizes == 0, sizes > 0))
    beyond = np.bincount(context, sizes, count) - others + 1
    share = np.array([fraction(k) for k in range(NUM_FRACTIONS)]) / 2**_FRACTION_BITS
    yes, no = np.log2(share), np.log2(1 - share)
    zero = np.outer(none, yes) + np.outer(others, no)
    tail = np.outer(beyond, yes) + np.outer(others, no)
    return np.stack([zero.argmax(axis=1), tail.argmax(axis=1)], axis=1).astype(np.uint8)


def tables_of(parameters: UInt8[np.ndarray, "D 2"], limit: int) -> list[Any]:
    """Distributions for the coder.

    Args:
        parameters: As `best_distributions` gives them.
        limit: Largest absolute value.

    Raises:
        InputError: There are none of such numbers.
    """
    if parameters.size and parameters.max() >= NUM_FRACTIONS:
        raise InputError("its distributions are damaged")
    tables = [probabilities(int(zero), int(tail), limit) for zero, tail in parameters] if limit else []
    return [distribution(table) for table in tables]


class SymbolWriter:
    """Symbols as words, one after the other."""

    def __init__(self) -> None:
        self._coder = RangeWriter()

    def write(
        self,
        symbols: Int64[np.ndarray, " N"],
        context: Int64[np.ndarray, " N"],
        tables: Sequence[Any],
        limit: int,
    ) -> None:
        """Adds symbols, those of the first context first.

        Args:
            symbols: Of absolute value up to ``limit``.
            context: Of each, the number of its distribution.
            tables: Distributions, as `tables_of` gives them.
            limit: Largest absolute value.
        """
        for number in np.unique(context) if limit else ():
            self._coder.write(symbols[context == number] + limit, tables[number])

    def data(self) -> bytes:
        """What was written."""
        return self._coder.data()


class SymbolReader:
    """Symbols that a `SymbolWriter` wrote.

    Args:
        data: What it wrote.

    Raises:
        InputError: It is no row of words.
    """

    def __init__(self, data: bytes) -> None:
        self._coder = RangeReader(data)

    def read(self, context: Int64[np.ndarray, " N"], tables: Sequence[Any], limit: int) -> Int64[np.ndarray, " N"]:
        """The next symbols; arguments as for `SymbolWriter.write`.

        Raises:
            InputError: They are damaged.
        """
        symbols = np.zeros(len(context), np.int64)
        for number in np.unique(context) if limit else ():
            places = np.flatnonzero(context == number)
            symbols[places] = self._coder.read(tables[number], len(places)).astype(np.int64) - limit
        return symbols

    def close(self) -> None:
        """To be called after the last symbol.

        Raises:
            InputError: There are more, or fewer were written.
        """
        self._coder.close()
