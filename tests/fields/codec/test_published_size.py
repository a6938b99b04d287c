from __future__ import annotations

import pytest
import torch
from torch import nn

from errors import InputError
from fields.codec.huffman import average_bits
from fields.codec.published_size import published_bits
from fields.quantisers import TanhFloor
from tests.fields.ffnerv.small_fields import small_field


def test_symbols_of_the_network_share_a_code_and_heads_count_bytes() -> None:
    field = small_field(bits=6)
    for parameter in field.parameters():
        nn.init.normal_(parameter, std=0.3)
    named = dict(field.named_parameters())
    heads = [value for name, value in named.items() if "head" in name]
    rest = torch.cat([value.flatten() for name, value in named.items() if "head" not in name]).detach()
    counts = TanhFloor(6)(rest).unique(return_counts=True)[1].tolist()
    expected = len(rest) * average_bits(counts) + 8 * sum(value.numel() for value in heads)
    assert published_bits(field) == pytest.approx(expected)
    assert 2 < published_bits(field) / sum(value.numel() for value in named.values()) < 6


def test_a_network_without_steps_has_no_such_size() -> None:
    with pytest.raises(InputError, match="train it with bits"):
        published_bits(small_field())
