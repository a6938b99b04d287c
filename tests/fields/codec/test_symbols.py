"""Parameters in steps: that nothing is lost, that tables and words are all that is spent, and what damage does."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
import torch
from torch import nn

from errors import InputError
from fields.codec.coding import Settings, decode, describe, encode
from fields.codec.container import Contents, Part, from_bytes, to_bytes
from fields.codec.huffman import entropy_bits
from fields.codec.symbols import (
    FORM,
    MAX_BITS,
    from_steps,
    quantisers,
    read_symbols,
    to_steps,
    write_symbols,
)
from fields.coords import times
from fields.quantisers import MinMax, TanhFloor
from fields.weights import StoredField, build_field
from tests.fields.ffnerv.small_fields import SIZE, node, small_field

PATH = Path("video.field")
KINDS = [TanhFloor(2), TanhFloor(6), TanhFloor(8), TanhFloor(MAX_BITS), MinMax(4), MinMax(8)]


def weights(count: int, spread: float = 0.3) -> torch.Tensor:
    values = torch.randn(count) * spread
    values[: count // 10] = 0.0
    return values


@pytest.mark.parametrize("quantiser", KINDS, ids=repr)
@pytest.mark.parametrize("values", [weights(2000), weights(50, 40.0), torch.zeros(7), torch.full((3,), -0.7)])
def test_a_tensor_returns_to_the_same_steps(values: torch.Tensor, quantiser: nn.Module) -> None:
    steps, scale = to_steps(values, quantiser)
    found, same = read_symbols(write_symbols(steps, scale), values.shape, quantiser)
    assert torch.equal(found, steps) and same == pytest.approx(scale, rel=1e-7)
    assert torch.equal(quantiser(from_steps(found, same, quantiser)), quantiser(values))


@pytest.mark.parametrize("quantiser", KINDS, ids=repr)
def test_what_was_decoded_is_coded_to_the_same_bytes(quantiser: nn.Module) -> None:
    data = write_symbols(*to_steps(weights(500), quantiser))
    again = from_steps(*read_symbols(data, (500,), quantiser), quantiser)
    assert write_symbols(*to_steps(again, quantiser)) == data


def test_steps_are_those_of_the_quantiser() -> None:
    values = torch.tensor([-20.0, -0.6, -0.01, 0.0, 0.5, 20.0])
    steps, scale = to_steps(values, TanhFloor(6))
    assert steps.tolist() == [-31, -16, 0, 0, 14, 31] and scale == 1.0  # tanh 0.6 = 0.537, tanh 0.5 = 0.462
    steps, scale = to_steps(values, MinMax(6))
    assert steps.tolist() == [-31, -1, 0, 0, 1, 31] and scale == 20.0


def test_many_symbols_cost_what_their_entropy_says() -> None:
    steps, scale = to_steps(weights(100_000), TanhFloor(6))
    least = entropy_bits(steps.unique(return_counts=True)[1].tolist())
    spent = 8 * len(write_symbols(steps, scale)) / steps.numel()
    assert least < spent < 1.005 * least + 8 * 80 / steps.numel()  # the table has at most 63 bytes


def test_few_symbols_are_spared_the_table() -> None:
    steps = torch.tensor([-30, 31, 4, 17])
    assert len(write_symbols(steps, 1.0)) <= 9 + 4
    assert len(write_symbols(torch.full((1000,), 5), 1.0)) == 9  # all the same


@pytest.mark.parametrize("damage", [lambda d: d[:5], lambda d: d[:-4], lambda d: d[:-1], lambda d: d + b"\0" * 8])
def test_damaged_symbols_are_refused(damage: object) -> None:
    steps, scale = to_steps(weights(3000), TanhFloor(6))
    data = damage(write_symbols(steps, scale))
    with pytest.raises(InputError, match=r"symbols"):
        read_symbols(data, (3000,), TanhFloor(6))


def test_symbols_beyond_the_steps_are_refused() -> None:
    data = write_symbols(torch.tensor([0, 40]), 1.0)
    with pytest.raises(InputError, match="another kind"):
        read_symbols(data, (2,), TanhFloor(6))
    assert read_symbols(data, (2,), TanhFloor(8))[0].tolist() == [0, 40]


def test_an_empty_table_and_scales_that_are_none_are_refused() -> None:
    data = bytearray(write_symbols(*to_steps(weights(3000), TanhFloor(6))))
    low, high = struct.unpack_from("<hh", data)
    table = slice(9, 9 + high - low + 1)
    empty = data.copy()
    empty[table] = bytes(high - low + 1)
    with pytest.raises(InputError, match="empty"):
        read_symbols(bytes(empty), (3000,), TanhFloor(6))
    data[5:9] = struct.pack("<f", float("nan"))
    with pytest.raises(InputError, match="another kind"):
        read_symbols(bytes(data), (3000,), TanhFloor(6))


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="finite"):
        to_steps(torch.tensor([1.0, torch.nan]), TanhFloor(6))


def test_modules_say_what_is_quantised() -> None:
    field = small_field(bits=6)
    found = quantisers(field)
    assert found.keys() == dict(field.named_parameters()).keys()
    heads = {name for name, quantiser in found.items() if quantiser.bits == 8}
    assert heads == {f"network.{head}.{kind}" for head in ("flow_head", "frame_head") for kind in ("weight", "bias")}
    assert {quantiser.bits for name, quantiser in found.items() if name not in heads} == {6}
    assert not quantisers(small_field())
    assert not quantisers(small_field(bits=MAX_BITS + 1, head_bits=MAX_BITS + 1))


def stored(**settings: object) -> tuple[StoredField, nn.Module]:
    field = small_field(**settings)
    for parameter in field.parameters():
        nn.init.normal_(parameter, std=0.4)
    kept = StoredField(PATH, node(**settings), dict(field.state_dict()), {})
    return kept, build_field(kept)


@pytest.mark.parametrize(
    "settings", [{"bits": 6}, {"bits": 6, "cam_knots": None}, {"bits": 4, "convolution": "compact"}]
)
def test_a_field_decodes_to_the_same_frames_bit_by_bit(settings: dict) -> None:
    kept, field = stored(**settings)
    data = encode(kept, Settings())
    moments = times(SIZE[0])
    assert torch.equal(decode(data, PATH).render(moments, SIZE[1:]), field.render(moments, SIZE[1:]))
    about = describe(data, PATH)
    assert set(about["bits_by_form"]) == {FORM} and about["bits"] == 8 * len(data)
    assert about["bits_per_pixel"] == 8 * len(data) / (SIZE[0] * SIZE[1] * SIZE[2])
    assert about["payload_bits"] < 0.25 * len(encode(kept, Settings(quantised=False))) * 8


def test_numbers_before_the_quantiser_are_kept_where_asked() -> None:
    kept, _ = stored(bits=6)
    found = decode(encode(kept, Settings(quantised=False)), PATH).state_dict()
    assert all(torch.equal(found[name], value) for name, value in kept.state.items())


def test_symbols_of_a_tensor_that_has_none_are_refused() -> None:
    kept, _ = stored()
    contents = from_bytes(encode(kept, Settings()), PATH)
    first, *rest = contents.parts
    forged = Part(first.name, 0, FORM, write_symbols(torch.zeros(3).int(), 1.0))
    data = to_bytes(Contents(contents.node, contents.facts, contents.group, (forged, *rest)))
    with pytest.raises(InputError, match="not those of the field"):
        decode(data, PATH)


def test_a_damaged_part_is_named() -> None:
    kept, _ = stored(bits=6)
    contents = from_bytes(encode(kept, Settings()), PATH)
    first, *rest = contents.parts
    cut = Part(first.name, 0, FORM, first.data[:4])
    data = to_bytes(Contents(contents.node, contents.facts, contents.group, (cut, *rest)))
    with pytest.raises(InputError, match=rf"video\.field: {first.name}: its symbols are cut off"):
        decode(data, PATH)


def test_whatever_bytes_say_symbols_are_steps_or_refused() -> None:
    good, count = write_symbols(*to_steps(weights(300), TanhFloor(6))), 0
    draw = random.Random(0)
    for _ in range(500):
        data = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            steps, _ = read_symbols(bytes(data), (300,), TanhFloor(6))
        except InputError:
            count += 1
        else:
            assert steps.shape == (300,) and steps.abs().max() <= 31
    assert count > 400
