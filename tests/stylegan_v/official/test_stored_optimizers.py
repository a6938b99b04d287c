from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.official.embedded import PlainReader
from stylegan_v.official.machine import Record
from stylegan_v.official.opcodes import Span
from stylegan_v.official.storages import TensorReader
from stylegan_v.official.stored_modules import StoredNetwork
from stylegan_v.official.stored_optimizers import OptimizerState, read_optimizer
from tests.stylegan_v.official.pickles import storage_stream

NETWORK = StoredNetwork(
    {"a": torch.zeros(2), "filter": torch.zeros(4), "b": torch.zeros(3), "c": torch.zeros(1)}, ("a", "b", "c")
)


def stored(values: Tensor) -> Record:
    raw = storage_stream(values)
    storage = Record("_load_from_bytes", (Span(raw, 0, len(raw)),))
    return Record("_rebuild_tensor_v2", (storage, 0, tuple(values.shape), tuple(values.stride())))


def adam(copies: list[Any], state: dict[Any, Any], **settings: Any) -> Record:
    kept = Record("defaultdict", (), None, state)
    return Record("Adam", (), {"state": kept, "param_groups": [{**settings, "params": copies}]})


def entry(value: float, size: int, step: Any = 3) -> dict[str, Any]:
    return {
        "step": step,
        "exp_avg": stored(torch.full((size,), value)),
        "exp_avg_sq": stored(torch.full((size,), -value)),
    }


def read(optimizer: Any) -> tuple[OptimizerState | None, list[str]]:
    plain = PlainReader()
    return read_optimizer(optimizer, "G_opt", NETWORK, TensorReader(1000), plain), plain.skipped


def test_moments_belong_to_parameters_by_identity_whatever_their_order_in_the_state() -> None:
    a, b, c = (Record("_rebuild_parameter", ()) for _ in range(3))
    step = stored(torch.tensor(5.0))
    optimizer, skipped = read(adam([a, b, c], {c: entry(3, 1), a: entry(1, 2, step)}, lr=0.1, betas=(0.0, 0.9)))
    assert optimizer is not None and skipped == []
    assert optimizer.settings == {"lr": 0.1, "betas": [0.0, 0.9]}
    assert list(optimizer.moments) == ["a", "c"]
    assert optimizer.moments["a"]["step"] == 5 and optimizer.moments["c"]["step"] == 3
    assert optimizer.moments["a"]["exp_avg"].tolist() == [1, 1]
    assert optimizer.moments["c"]["exp_avg_sq"].tolist() == [-3]


def test_an_optimizer_that_never_stepped_has_no_moments() -> None:
    optimizer, _ = read(adam([Record("_rebuild_parameter", ()) for _ in range(3)], {}, lr=0.1))
    assert optimizer == OptimizerState({"lr": 0.1}, {})


@pytest.mark.parametrize(
    "optimizer",
    [
        None,
        "Adam",
        Record("OrderedDict", ()),
        Record("Adam", (), {"state": {}, "param_groups": []}),
        Record("Adam", (), {"state": {}, "param_groups": [{"params": []}, {"params": []}]}),
        Record("Adam", (), {"state": {}, "param_groups": [{"params": [1, 2]}]}),
        Record("Adam", (), {"state": {}}),
    ],
)
def test_another_kind_of_optimizer_is_left_out_and_said(optimizer: Any) -> None:
    assert read(optimizer) == (None, ["G_opt: no Adam with one group of the 3 parameters of its network"])


def test_one_copy_cannot_stand_for_two_parameters() -> None:
    copy, other = Record("_rebuild_parameter", ()), Record("_rebuild_parameter", ())
    network = StoredNetwork({"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.zeros(2)}, ("a", "b", "c"))
    with pytest.raises(InputError, match="not in its group"):
        read_optimizer(
            adam([copy, copy, other], {copy: entry(1, 2)}), "G_opt", network, TensorReader(1000), PlainReader()
        )


def test_moments_of_the_wrong_shape_are_refused() -> None:
    copies = [Record("_rebuild_parameter", ()) for _ in range(3)]
    with pytest.raises(InputError, match=r"G_opt.b.exp_avg does not have the shape \(3,\)"):
        read(adam(copies, {copies[1]: entry(1, 2)}))
