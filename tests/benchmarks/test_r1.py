"""The comparison of ways to the R1 gradient: its figures, and that it runs."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.r1 import Difference, difference, main, parts_of


def test_differences_of_gradients_are_told_as_angle_and_size() -> None:
    exact = {"a.weight": torch.tensor([3.0, 0.0]), "b.weight": torch.tensor([4.0]), "b.bias": torch.zeros(1)}
    found = exact | {"b.weight": torch.tensor([-4.0])}
    assert difference(found, exact) == Difference(pytest.approx(-7 / 25), pytest.approx(8 / 5))
    assert difference(found, exact, "a.") == Difference(1.0, 0.0)
    assert difference(found, exact, "b.") == Difference(pytest.approx(-1.0), pytest.approx(2.0))


def test_the_parts_of_a_discriminator_are_its_blocks() -> None:
    names = ["fromrgb.weight", "fromrgb.bias", "blocks.b8.conv0.weight", "blocks.b8.skip.weight", "head.out.bias"]
    assert parts_of(names) == ["fromrgb.", "blocks.b8.", "head."]


def test_command_prints_a_table_and_json(capsys: pytest.CaptureFixture) -> None:
    flags = ["--resolution=32", "--batch=4", "--channel_base=128", "--rounds=1", "--device=cpu"]
    main([*flags, "--precision=bf16-mixed"])
    printed = capsys.readouterr()
    rows = {row["name"]: row for row in json.loads(printed.out)["rows"]}
    assert list(rows) == ["exact, float32", "exact, bf16", "differences", "differences, free", "differences, bf16"]
    assert rows["exact, float32"]["whole"] == {"cosine": 1.0, "relative": 0.0}
    assert rows["differences"]["whole"]["relative"] < 1e-3 < rows["exact, bf16"]["whole"]["relative"]
    assert min(rows[f"differences, {name}"]["whole"]["relative"] for name in ("free", "bf16")) > 0.1
    assert all(row["multiply_adds"] > 0 and row["memory_gib"] > 0 and len(row["seconds"]) == 1 for row in rows.values())
    assert all(name in printed.err for name in rows)


def test_nothing_to_measure_is_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds=0"])
    assert "--rounds" in capsys.readouterr().err
