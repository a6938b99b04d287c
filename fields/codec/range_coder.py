"""Whole numbers as bytes by a range coder (Martin 1979): the one place that uses the library constriction.

Shape legend
    N       numbers
    S       numbers that there are: from 0 to S - 1
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
from jaxtyping import Float, Int, Int32

from errors import InputError


def distribution(weights: Float[np.ndarray, " S"]) -> Any:
    """How likely each number is, for the coder, which only adds and multiplies: the same on every machine.

    Args:
        weights: Of the numbers; their sum is above 0. Each is given at least the least probability.
    """
    return constriction.stream.model.Categorical(weights, perfect=False)


class RangeWriter:
    """Numbers as bytes, one after the other."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def write(self, numbers: Int[np.ndarray, " N"], likely: Any) -> None:
        """Adds numbers.

        Args:
            numbers: From 0 on.
            likely: Their distribution, as `distribution` gives it.
        """
        self._coder.encode(numbers.astype(np.int32), likely)

    def data(self) -> bytes:
        """What was written, in words of four bytes."""
        return self._coder.get_compressed().astype("<u4").tobytes()


class RangeReader:
    """Numbers that a `RangeWriter` wrote.

    Args:
        data: What it wrote.

    Raises:
        InputError: It is no row of words.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise InputError("its symbols are cut off")
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))

    def read(self, likely: Any, count: int) -> Int32[np.ndarray, " N"]:
        """The next numbers.

        Args:
            likely: Their distribution.
            count: How many.

        Raises:
            InputError: They are damaged.
        """
        try:
            return self._coder.decode(likely, count)
        except (AssertionError, ValueError) as error:
            raise InputError(f"its symbols are damaged ({error})") from error

    def close(self) -> None:
        """To be called after the last number.

        Raises:
            InputError: There are more, or fewer were written.
        """
        if not self._coder.maybe_exhausted():
            raise InputError("it does not hold the symbols that belong there")
