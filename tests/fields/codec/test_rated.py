from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from errors import InputError
from fields.codec.coding import Settings, decode, decode_stored, describe, encode
from fields.codec.container import Contents, Part, from_bytes, to_bytes
from fields.codec.frames import CodedVideo
from fields.codec.rated import FORM, SHARED, RatedReader
from fields.coords import centres
from fields.nodes import build
from fields.rate.grouping import groupings
from fields.rate.model import rounded
from fields.weights import StoredField, build_field
from tests.fields.codec.small_videos import NODES, NVP, SIZE, stored

HERE = Path("file")
POINTS = ["nvp", "siren", "ffn", "instant_ngp"]


def rated(name: str = "nvp", seed: int = 0) -> StoredField:
    """A small field, rounded in steps of its own."""
    made = stored(NODES[name], seed)
    groups = groupings(build(made.node, 1000))
    draw = torch.Generator().manual_seed(seed)
    steps = {one.name: torch.randint(-40, -8, (one.count,), generator=draw) for one in groups}
    state = made.state | {one.name: rounded(one, made.state[one.name], steps[one.name]) for one in groups}
    return replace(made, state=state, steps=steps)


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("group", [1, 2, 8])
def test_a_rounded_field_comes_back_to_the_last_bit_with_its_steps(name: str, group: int) -> None:
    made = rated(name)
    data = encode(made, Settings(group=group))
    again = decode_stored(data, HERE)
    assert all(torch.equal(again.state[key], tensor) for key, tensor in made.state.items())
    assert all(torch.equal(again.steps[key], step) for key, step in made.steps.items())
    assert encode(again, Settings(group=group)) == data
    assert type(decode(data, HERE)) is type(build_field(made))


def test_all_parameters_are_in_one_piece_and_slices_in_pieces_of_their_own() -> None:
    data = encode(rated(), Settings(group=2))
    parts = [(part.name, part.number, part.form) for part in from_bytes(data, HERE).parts]
    assert parts == [(SHARED, 0, FORM), *(("sparse.embeddings", number, FORM) for number in range(3))]
    assert describe(data, HERE)["bits_by_form"][FORM] == describe(data, HERE)["payload_bits"]


def test_buffers_are_kept_beside_what_was_trained() -> None:
    parts = from_bytes(encode(rated("ffn"), Settings()), HERE).parts
    assert {part.name for part in parts} == {SHARED, *dict(build(NODES["ffn"], 1000).named_buffers())}


def test_a_field_of_zeros_takes_no_words() -> None:
    made = rated()
    made = replace(made, state={name: torch.zeros_like(one) for name, one in made.state.items()})
    data = encode(made, Settings())
    assert all(not one.any() for one in decode_stored(data, HERE).state.values())
    assert sum(len(part.data) for part in from_bytes(data, HERE).parts if part.name != SHARED) == 0


def test_a_frame_decodes_the_group_of_its_slice_alone() -> None:
    made = rated()
    video = CodedVideo(encode(made, Settings(group=2)), HERE)
    moments = centres(SIZE[0], torch.device("cpu"))
    expected = build_field(made).render(moments, tuple(SIZE[1:]))
    assert torch.equal(video.render(moments[4:], tuple(SIZE[1:])), expected[4:])
    assert video.decoded == {2}
    assert torch.equal(video.render(moments, tuple(SIZE[1:])), expected)
    assert video.decoded == {0, 1, 2}


def test_other_forms_can_be_asked_for() -> None:
    parts = from_bytes(encode(rated(), Settings(quality=90)), HERE).parts
    assert "jpeg" in {part.form for part in parts}
    exact = decode_stored(encode(rated(), Settings(quantised=False)), HERE)
    assert all(torch.equal(exact.state[name], tensor) for name, tensor in rated().state.items())


def test_numbers_that_are_not_rounded_and_steps_of_another_field_are_refused() -> None:
    made = rated()
    shifted = made.state | {"sparse.embeddings": made.state["sparse.embeddings"] + 1e-4}
    with pytest.raises(InputError, match=r"sparse\.embeddings: its numbers are not rounded"):
        encode(replace(made, state=shifted), Settings())
    with pytest.raises(InputError, match="its steps are not those of its config"):
        encode(replace(made, steps=made.steps | {"sparse.embeddings": torch.zeros(1, dtype=torch.int64)}), Settings())


def test_damage_behind_right_sums_is_refused_in_one_line_or_gives_a_field_of_finite_numbers() -> None:
    contents = from_bytes(encode(rated(), Settings(group=2)), HERE)
    draw, refused = np.random.default_rng(0), []
    for _ in range(20):
        parts = list(contents.parts)
        which = int(draw.integers(len(parts)))
        data = bytearray(parts[which].data)
        if not data:
            continue
        data[int(draw.integers(len(data)))] ^= 1 << int(draw.integers(8))
        parts[which] = replace(parts[which], data=bytes(data[: int(draw.integers(len(data) // 2, len(data) + 1))]))
        file = to_bytes(Contents(contents.node, contents.facts, contents.group, tuple(parts)))
        try:
            state = decode_stored(file, HERE).state
        except InputError as error:
            refused.append(str(error))
        else:
            assert all(one.isfinite().all() for one in state.values())
    assert len(refused) > 10
    assert all(text.startswith("file: ") and "\n" not in text for text in refused)


def test_missing_and_needless_pieces_are_refused() -> None:
    contents = from_bytes(encode(rated(), Settings(group=2)), HERE)
    extra = Part("sparse.embeddings", 7, FORM, b"")
    for parts in (contents.parts[:-1], (*contents.parts, extra), contents.parts[1:]):
        with pytest.raises(InputError, match="file"):
            decode_stored(to_bytes(Contents(contents.node, contents.facts, contents.group, tuple(parts))), HERE)


def test_the_reader_knows_how_many_groups_there_are() -> None:
    contents = from_bytes(encode(rated(), Settings(group=2)), HERE)
    parts: dict[str, dict[int, Part]] = {}
    for part in contents.parts:
        parts.setdefault(part.name, {})[part.number] = part
    reader = RatedReader(build(NVP, 1000), parts, 2)
    assert reader.num_pieces("sparse.embeddings") == 3
    assert reader.slices("sparse.embeddings", 2).shape == (1, 3, 4, 2)
