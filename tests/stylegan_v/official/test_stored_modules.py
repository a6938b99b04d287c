from __future__ import annotations

from typing import Any

import pytest
import torch

from errors import InputError
from stylegan_v.official.machine import Record
from stylegan_v.official.opcodes import Span
from stylegan_v.official.storages import TensorReader
from stylegan_v.official.stored_modules import attributes, drop_program_texts, mapping, read_network
from tests.stylegan_v.official.pickles import storage_stream


def tensor(value: float) -> Record:
    raw = storage_stream(torch.tensor([value]))
    return Record("_rebuild_tensor_v2", (Record("_load_from_bytes", (Span(raw, 0, len(raw)),)), 0, (1,), (1,)))


def state(parameters: Any = (), buffers: Any = (), modules: Any = ()) -> dict[str, Any]:
    return {"_parameters": dict(parameters), "_buffers": dict(buffers), "_modules": dict(modules)}


def persistent(**described: Any) -> Record:
    return Record("_reconstruct_persistent_obj", ({"module_src": "text", **described},))


def test_the_order_is_that_of_a_state_dict() -> None:
    """Of each module its parameters, its buffers, then its children: as torch orders them."""
    inner = Record("Embedding", (), state({"weight": tensor(3)}, {"count": tensor(4)}))
    outer = persistent(state=state({"p": tensor(1)}, {"b": tensor(2)}, {"m": inner, "none": None, "n": inner}))
    network = read_network(outer, "G", TensorReader(100))

    module, child = torch.nn.Module(), torch.nn.Module()
    child.register_parameter("weight", torch.nn.Parameter(torch.tensor([3.0])))
    child.register_buffer("count", torch.tensor([4.0]))
    module.register_module("m", child)
    module.register_module("n", child)
    module.register_buffer("b", torch.tensor([2.0]))
    module.register_parameter("p", torch.nn.Parameter(torch.tensor([1.0])))
    expected = module.state_dict()
    assert {name: t.item() for name, t in network.tensors.items()} == {name: t.item() for name, t in expected.items()}
    assert list(network.tensors) == list(expected)
    assert network.parameters == ("p", "m.weight", "n.weight")
    assert network.tensors["m.weight"] is network.tensors["n.weight"]  # one record, one tensor


def test_parameters_without_a_value_are_none_at_all() -> None:
    network = read_network(persistent(state=state({"weight": tensor(1), "bias": None})), "G", TensorReader(100))
    assert list(network.tensors) == ["weight"] and network.parameters == ("weight",)


def test_program_texts_are_dropped_from_every_record() -> None:
    records = (persistent(state={}), Record("OrderedDict", ()), Record("_reconstruct_persistent_obj", ()))
    drop_program_texts(records)
    assert records[0].args == ({"state": {}},)


def test_kinds_of_dicts_are_mappings_and_nothing_else_is() -> None:
    for kind in ("OrderedDict", "EasyDict", "defaultdict"):
        assert mapping(Record(kind, (), None, {"a": 1}), "m") == {"a": 1}
    assert mapping({"a": 1}, "m") == {"a": 1}
    for wrong in (Record("Adam", ()), [1], None, "text"):
        with pytest.raises(InputError, match="m is not a dict"):
            mapping(wrong, "m")


def test_attributes_are_those_of_persistent_modules_and_of_the_three_others() -> None:
    assert attributes(persistent(state={"a": 1}), "G") == {"a": 1}
    for kind in ("TemporalDifferenceEncoder", "Sequential", "Embedding"):
        assert attributes(Record(kind, (), {"a": 1}), "G") == {"a": 1}
    for wrong in (Record("Adam", (), {"a": 1}), Record("Sequential", ()), persistent(), {"a": 1}, None):
        with pytest.raises(InputError, match="G is not a network module"):
            attributes(wrong, "G")


def test_a_network_may_not_be_deeper_than_any_of_the_original() -> None:
    def nested(depth: int) -> Record:
        module = persistent(state=state(buffers={"b": tensor(1)}))
        for _ in range(depth):
            module = persistent(state=state(modules={"m": module}))
        return module

    assert list(read_network(nested(16), "G", TensorReader(100)).tensors) == [16 * "m." + "b"]
    with pytest.raises(InputError, match="nested deeper than 16"):
        read_network(nested(17), "G", TensorReader(100))


@pytest.mark.parametrize("name", ["", "a.b", 101 * "n", 5, None])
def test_names_are_short_words_without_dots(name: Any) -> None:
    for part in ("parameters", "buffers", "modules"):
        with pytest.raises(InputError, match="is no name of a module or tensor"):
            read_network(persistent(state=state(**{part: {name: None}})), "G", TensorReader(100))
