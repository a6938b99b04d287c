from __future__ import annotations

from fractions import Fraction

import pytest

from errors import InputError
from fields.codec.huffman import average_bits, code_lengths, entropy_bits


def test_halves_quarters_and_eighths_have_codes_of_as_many_bits() -> None:
    counts = [8, 4, 2, 1, 1]
    assert code_lengths(counts) == [1, 2, 3, 4, 4]
    assert average_bits(counts, end_symbol=False) == entropy_bits(counts) == 1.875


def test_lengths_belong_to_a_code_and_are_within_a_bit_of_the_least() -> None:
    counts = [1, 1, 2, 3, 5, 8, 13, 21, 34, 90]
    assert sum(Fraction(1, 2**length) for length in code_lengths(counts)) == 1
    assert entropy_bits(counts) <= average_bits(counts, end_symbol=False) < entropy_bits(counts) + 1


def test_the_end_takes_room_in_the_code_and_is_not_counted() -> None:
    assert average_bits([3, 3]) == 1.5  # lengths 1 and 2 beside the end's 2
    assert average_bits([5]) == 1


def test_one_symbol_takes_a_bit_and_none_is_refused() -> None:
    assert code_lengths([7]) == [1]
    for counts in ([], [3, 0]):
        with pytest.raises(InputError, match="Huffman code"):
            code_lengths(counts)
