from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from errors import InputError
from fields.codec.coding import Settings, decode, describe, encode
from fields.codec.container import Contents, Part, from_bytes, to_bytes
from fields.codec.opening import open_coded
from fields.codec.tensors import to_numbers
from tests.fields.codec.small_videos import NVP, stored

HERE = Path("file")
LOSSLESS, LOSSY = Settings(), Settings(quality=90, crf=20.0, group=2)


def error_of(data: bytes) -> str:
    with pytest.raises(InputError) as error:
        decode(data, HERE)
    assert "\n" not in str(error.value) and "file" in str(error.value)
    return str(error.value)


def changed(data: bytes, **changes: Any) -> bytes:
    """The file with other contents and right sums."""
    contents = from_bytes(data, HERE)
    known = {name: getattr(contents, name) for name in ("node", "facts", "group", "parts")}
    return to_bytes(Contents(**{**known, **changes}))


def test_a_tensor_is_decoded_alone_and_a_volume_by_groups_of_slices() -> None:
    data = encode(stored(NVP), LOSSY)
    opened, whole = open_coded(data, HERE), decode(data, HERE).state_dict()
    assert all(torch.equal(opened.tensor(name), tensor) for name, tensor in whole.items())
    groups = [opened.slices("sparse.embeddings", number) for number in range(3)]
    assert [len(group) for group in groups] == [2, 2, 1]
    assert torch.equal(torch.cat(groups), whole["sparse.embeddings"])


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"class_path": "os.system", "init_args": {"command": "touch executed"}}, "only modules of fields"),
        ({"class_path": "fields.weights.load_field"}, "only modules of fields"),
        ({"class_path": 3}, "names no field"),
        ({"class_path": "fields.mlp.MLP", "init_args": {"in_dim": 2, "out_dim": 2, "hidden": [2]}}, "no field"),
        ({**NVP, "init_args": {**NVP["init_args"], "width": 10**7}}, "of memory"),
        ({**NVP, "init_args": {**NVP["init_args"], "width": 5}}, "do not hold"),
        ({**NVP, "init_args": {**NVP["init_args"], "levels": 3}}, "pieces are not those"),
        ({**NVP, "init_args": {**NVP["init_args"], "sparse_shape": [9**9, 9**9, 9]}}, "cells"),
    ],
)
def test_a_node_of_anything_else_is_refused(node: dict[str, Any], message: str) -> None:
    data = encode(stored(NVP), LOSSLESS)
    assert message in error_of(changed(data, node=node))


def test_pieces_that_are_not_those_of_the_field_are_refused() -> None:
    data = encode(stored(NVP), LOSSY)
    parts = from_bytes(data, HERE).parts
    grid = next(i for i, part in enumerate(parts) if part.form == "jpeg")
    name = parts[grid].name

    def put(place: int, **changes: Any) -> bytes:
        old = parts[place]
        known = {key: getattr(old, key) for key in ("name", "number", "form", "data")}
        return changed(data, parts=(*parts[:place], Part(**{**known, **changes}), *parts[place + 1 :]))

    assert "pieces are not those" in error_of(changed(data, parts=parts[:grid] + parts[grid + 1 :]))
    assert "piece twice" in error_of(changed(data, parts=(*parts, parts[grid])))
    assert "'more' is no tensor of its field" in error_of(
        changed(data, parts=(*parts, Part("more", 0, "float32", b"")))
    )
    assert "form 'exe'" in error_of(put(grid, form="exe"))
    with pytest.raises(InputError, match="form 'exe'"):
        describe(put(grid, form="exe"), HERE)
    assert name in error_of(put(grid, form="png")) and name in error_of(put(grid, data=b""))
    ends = next(i for i, part in enumerate(parts) if part.form == "ranges")
    infinite = to_numbers(torch.full((2, 4), math.inf), "float32", "x")
    assert "not finite" in error_of(put(ends, data=infinite))
