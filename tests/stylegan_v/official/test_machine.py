from __future__ import annotations

import pickle
import types
from collections import OrderedDict
from typing import Any

import pytest

from errors import InputError
from stylegan_v.official.machine import Name, Rebuilt, Record, Vocabulary, rebuild
from stylegan_v.official.opcodes import PLAIN, Limits, Span
from tests.stylegan_v.official.pickles import Reduced, StandIns, call, name, number, op, pickled, stack_name, text

LIMITS = Limits(PLAIN | {"BINPERSID"}, operations=10_000, memo=1000, stack=1000, marks=100, text=100, integer=8)
VOCABULARY = Vocabulary(
    {"collections": frozenset({"OrderedDict"}), "training.layers": frozenset({"TemporalDifferenceEncoder", "only"})},
    made=frozenset({"OrderedDict", "TemporalDifferenceEncoder"}),
    mappings=frozenset({"OrderedDict"}),
)


def value_of(raw: bytes) -> Rebuilt:
    return rebuild(raw, 0, len(raw), LIMITS, VOCABULARY)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_come_back_equal(protocol: int) -> None:
    value: Any = {
        "a": [1, 2.5, None, True, False, -(2**31), 2**40, "é"],
        "b": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    }
    value |= {3: {"nested": {"deeper": [[], {}]}}}
    assert value_of(pickle.dumps(value, protocol=protocol)).value == value
    assert value_of(pickle.dumps({"a", "b"}, protocol=4)).value == {"a", "b"}


def test_what_is_shared_stays_shared_and_circles_stay_circles() -> None:
    shared: list[Any] = [1]
    circle: list[Any] = [shared, shared]
    circle.append(circle)
    read = value_of(pickle.dumps(circle)).value
    assert read[0] is read[1] and read[2] is read


def test_a_call_is_a_record_of_it_and_the_items_keep_their_order() -> None:
    built = value_of(pickle.dumps(OrderedDict(b=1, a=2)))
    record = built.value
    assert isinstance(record, Record) and built.records == (record,)
    assert (record.kind, record.args, record.state, list(record.items.items())) == (
        "OrderedDict",
        (),
        None,
        [("b", 1), ("a", 2)],
    )


def test_a_new_object_and_its_state_are_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins = StandIns(monkeypatch)
    thing = stand_ins.made(stand_ins.time_encoder, size=3)
    record = value_of(pickle.dumps(thing)).value
    assert (record.kind, record.args, record.state) == ("TemporalDifferenceEncoder", (), {"size": 3})


def test_records_are_keys_by_their_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins = StandIns(monkeypatch)
    first, second = Reduced(OrderedDict), Reduced(OrderedDict)
    first.call = second.call = (stand_ins.time_encoder, ())
    read = value_of(pickle.dumps({"order": [second, first], "values": {first: 1, second: 2}})).value
    assert [read["values"][record] for record in read["order"]] == [2, 1]


def test_names_are_two_words_in_both_spellings() -> None:
    for spelling in (name, stack_name):
        read = value_of(pickled(spelling("training.layers", "only"))).value
        assert isinstance(read, Name) and (read.module, read.name) == ("training.layers", "only")


def test_a_name_that_is_only_mentioned_is_never_made() -> None:
    with pytest.raises(InputError, match=r"REDUCE of training\.layers\.only"):
        value_of(pickled(call(name("training.layers", "only"))))


def test_a_name_is_refused_before_anything_is_built() -> None:
    """What follows the name is not even well-formed for the machine: it never gets there."""
    raw = pickled(text("key"), number(1), op("SETITEM"), name("os", "system"))
    with pytest.raises(InputError):
        value_of(raw)
    with pytest.raises(InputError, match=r"os\.system at byte 4"):
        value_of(pickled(op("EMPTY_LIST"), op("EMPTY_LIST"), name("os", "system"), op("SETITEM")))


def test_persistent_ids_are_records_where_they_are_allowed() -> None:
    record = value_of(pickled(text("id"), op("BINPERSID"))).value
    assert (record.kind, record.args) == ("persistent id", ("id",))


def test_nothing_in_a_result_can_be_called() -> None:
    built = value_of(pickle.dumps([OrderedDict(a=1), (b"bytes", 2**40), {"x": 1.5}]))
    pending, seen = [built.value], []
    while pending:
        value = pending.pop()
        seen.append(value)
        if isinstance(value, Record):
            pending += [value.args, value.items, value.state]
        elif isinstance(value, dict):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            pending += value
    assert len(seen) > 10 and not any(callable(value) for value in seen)
    assert not any(isinstance(value, types.FunctionType | type) for value in seen)
    assert [value.read() for value in seen if isinstance(value, Span)] == [b"bytes"]
