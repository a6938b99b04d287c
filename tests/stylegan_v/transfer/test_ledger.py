from __future__ import annotations

import pytest
import torch
from torch import nn

from stylegan_v.transfer.ledger import Ledger
from stylegan_v.transfer.table import Row


def network(width: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, width), nn.Sequential(nn.Linear(width, 2)))


def entries(ledger: Ledger) -> list[tuple[str, str]]:
    return [(row.name, row.outcome) for row in ledger.rows()]


def test_modules_may_stand_under_other_names() -> None:
    old, new = nn.Sequential(network(), nn.Linear(2, 2)), network()
    ledger = Ledger("net", old, new)
    assert ledger.take(new[1], old[0][1])
    assert torch.equal(new[1][0].weight, old[0][1][0].weight)
    assert ledger.rows()[2] == Row("net", "1.0.weight", "taken", (2, 3), (2, 3))
    assert entries(ledger)[:4] == [
        ("0.weight", "new"),
        ("0.bias", "new"),
        ("1.0.weight", "taken"),
        ("1.0.bias", "taken"),
    ]
    assert entries(ledger)[4:] == [(f"{name}", "unused") for name in ("0.0.weight", "0.0.bias", "1.weight", "1.bias")]


def test_a_module_is_taken_whole_or_not_at_all() -> None:
    old, new = network(3), network(4)
    before = new[1][0].bias.clone()
    ledger = Ledger("net", old, new)
    assert not ledger.take(new[1], old[1])
    assert torch.equal(new[1][0].bias, before)
    rows = {row.name: row for row in ledger.rows()}
    assert rows["1.0.weight"] == Row("net", "1.0.weight", "new", (2, 3), (2, 4), "another shape")
    assert rows["1.0.bias"].how == "its layer changed"


def test_adapted_tensors_name_their_source() -> None:
    old, new = network(3), network(4)
    ledger = Ledger("net", old, new)
    ledger.adapt(new[0], "bias", torch.ones(4), "ones", old[1][0], "weight")
    assert torch.equal(new[0].bias, torch.ones(4))
    row = ledger.rows()[1]
    assert row == Row("net", "0.bias", "adapted", (2, 3), (4,), "ones")
    assert ("1.0.weight", "unused") not in entries(ledger)


def test_what_has_no_source_says_how_it_starts() -> None:
    old, new = network(), network()
    ledger = Ledger("net", old, new)
    ledger.start(new[0], "weight", 0.5, "half")
    ledger.anew(new, "changed")
    ledger.use(old)
    assert new[0].weight.eq(0.5).all()
    assert [(row.name, row.outcome, row.how) for row in ledger.rows()] == [
        ("0.weight", "new", "half"),
        ("0.bias", "new", "changed"),
        ("1.0.weight", "new", "changed"),
        ("1.0.bias", "new", "changed"),
    ]


def test_a_rule_that_makes_another_shape_is_an_error() -> None:
    old, new = network(), network()
    with pytest.raises(ValueError, match=r"bias: a rule made \(4,\), wanted is \(3,\)"):
        Ledger("net", old, new).adapt(new[0], "bias", torch.ones(4), "", old[0])


def test_frozen_parameters_are_filled_too() -> None:
    old, new = network(), network()
    weight = new[0].weight.detach()
    del new[0].weight
    new[0].register_buffer("weight", weight)
    Ledger("net", old, new).take(new[0], old[0])
    assert torch.equal(new[0].weight, old[0].weight)
