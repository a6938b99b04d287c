from __future__ import annotations

import pickle
import pickletools
from typing import Any

import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.official.machine import Record
from stylegan_v.official.opcodes import Span
from stylegan_v.official.storages import TensorReader, read_storage, stored_number
from tests.stylegan_v.official.pickles import storage_stream


def span(raw: bytes) -> Span:
    return Span(b"before" + raw + b"after", 6, 6 + len(raw))


def record(values: Tensor, offset: Any = 0, size: Any = None, stride: Any = None) -> Record:
    """A tensor's record; ``values`` is the whole storage."""
    storage = Record("_load_from_bytes", (span(storage_stream(values)),))
    size = (values.numel(),) if size is None else size
    return Record("_rebuild_tensor_v2", (storage, offset, size, (1,) if stride is None else stride, False, None))


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([0.0, -0.0, 1.5, float("inf"), float("nan"), 1e-45]),
        torch.tensor([1.5, -2.0], dtype=torch.float64),
        torch.tensor([1.5, 6e-8], dtype=torch.float16),
        torch.tensor([-(2**63), 2**63 - 1]),
        torch.tensor([-(2**31), 7], dtype=torch.int32),
        torch.tensor([0, 255], dtype=torch.uint8),
        torch.tensor([True, False, True]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_streams_that_torch_writes_are_read_bit_for_bit(values: Tensor) -> None:
    written = pickletools.genops(pickle.dumps(values, protocol=3))
    (raw,) = (argument for operation, argument, _ in written if operation.name in ("BINBYTES", "SHORT_BINBYTES"))
    storage = read_storage(span(raw))
    assert storage.dtype == values.dtype and storage.count == values.numel()
    stored = Record("_load_from_bytes", (span(raw),))
    read = TensorReader(1000).tensor(Record("_rebuild_tensor_v2", (stored, 0, (values.numel(),), (1,))), "t")
    assert read.dtype == values.dtype and read.numpy().tobytes() == values.numpy().tobytes()


@pytest.mark.parametrize("location", ["cpu", "cuda:0", "cuda:7", "mps", "nowhere"])
def test_the_device_does_not_matter(location: str) -> None:
    assert read_storage(span(storage_stream(torch.zeros(3), location=location))).count == 3


def test_bytes_other_than_0_and_1_are_true() -> None:
    raw = bytearray(storage_stream(torch.tensor([True, False, True])))
    raw[-1] = 200
    stored = Record("_load_from_bytes", (span(bytes(raw)),))
    read = TensorReader(10).tensor(Record("_rebuild_tensor_v2", (stored, 0, (3,), (1,))), "t")
    assert read.view(torch.uint8).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "offset, size, stride",
    [
        (0, (24,), (1,)),
        (5, (), ()),
        (3, (2, 3), (3, 1)),
        (0, (2, 3, 2, 2), (12, 1, 6, 3)),  # channels last
        (1, (3, 4), (1, 3)),  # transposed
        (23, (1, 1), (2**40, 7)),  # an axis of one element may say anything
        (0, (4, 2), (6, 5)),
        (24, (0,), (1,)),
        (0, (3, 0, 2), (1, 1, 1)),
    ],
)
def test_views_have_the_values_of_torch_and_are_contiguous(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    values = torch.arange(24.0)
    read = TensorReader(1000).tensor(record(values, offset, size, stride), "t")
    assert read.shape == size and torch.equal(read, torch.as_strided(values, size, stride, offset))
    assert read.is_contiguous() and read.stride() == torch.empty(size).stride()


def test_a_parameter_is_its_tensor_and_the_same_record_the_same_tensor() -> None:
    reader, stored = TensorReader(24), record(torch.arange(6.0))
    first = reader.tensor(Record("_rebuild_parameter", (stored, True, None)), "p")
    assert torch.equal(first, torch.arange(6.0)) and not first.requires_grad
    assert reader.tensor(stored, "again") is first  # and costs nothing: the budget is used up
    with pytest.raises(InputError, match="other: the tensors are together larger than the file"):
        reader.tensor(record(torch.zeros(1)), "other")


def test_few_elements_far_apart_cost_what_lies_between_them() -> None:
    reader = TensorReader(4 * 24)
    reader.tensor(record(torch.zeros(24), 0, (2,), (11,)), "first")
    with pytest.raises(InputError, match="larger than the file"):
        reader.tensor(record(torch.zeros(24), 0, (2,), (12,)), "second")


def test_what_is_handed_out_shares_nothing_with_the_file() -> None:
    source = bytearray(b"before" + storage_stream(torch.ones(3)))
    stored = Record("_load_from_bytes", (Span(bytes(source), 6, len(source)),))
    read = TensorReader(100).tensor(Record("_rebuild_tensor_v2", (stored, 0, (3,), (1,))), "t")
    read.fill_(5)
    assert torch.equal(
        TensorReader(100).tensor(Record("_rebuild_tensor_v2", (stored, 0, (3,), (1,))), "t"), torch.ones(3)
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        Record("_rebuild_parameter", ()),
        Record("_rebuild_parameter", (3,)),
        Record("OrderedDict", ()),
        Record("_rebuild_tensor_v2", ()),
        Record("_rebuild_tensor_v2", (1, 2, 3, 4)),
        Record("_rebuild_tensor_v2", (Record("OrderedDict", ()), 0, (1,), (1,))),
        Record("_rebuild_tensor_v2", (Record("_load_from_bytes", ()), 0, (1,), (1,))),
        Record("_rebuild_tensor_v2", (Record("_load_from_bytes", ("text",)), 0, (1,), (1,))),
    ],
)
def test_what_is_no_tensor_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        TensorReader(1000).tensor(value, "name")


def test_numbers_may_be_stored_as_tensors_of_one_element() -> None:
    reader = TensorReader(1000)
    assert stored_number(7, reader, "n") == 7 and stored_number(0.5, reader, "n") == 0.5
    assert stored_number(record(torch.tensor([2.5]), 0, (), ()), reader, "n") == 2.5
    for wrong in (record(torch.zeros(2)), float("nan"), "7", None, record(torch.tensor([float("inf")]))):
        with pytest.raises(InputError, match="n is not a finite number"):
            stored_number(wrong, reader, "n")
