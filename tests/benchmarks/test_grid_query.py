"""The benchmark of the grids: both ways read the same, and the command prints what it measured."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import grid_query as bench


def test_both_ways_give_the_same_features_and_gradients() -> None:
    fast, plain = bench.make_pair("16x32x32")
    places = torch.rand(200, 3)
    features = [fast.encode(places), bench.read_plainly(plain, places)]
    torch.testing.assert_close(*features)
    gradient = torch.randn_like(features[0])
    grids = [bench.grids_of(fast), bench.grids_of(plain)]
    found = [torch.autograd.grad(out, of, gradient) for out, of in zip(features, grids, strict=True)]
    assert len(found[0]) == 4
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("least", "code"), [("0", 0), ("1e9", 1)])
def test_command_prints_a_table_and_json_and_fails_below_the_least(
    least: str, code: int, capsys: pytest.CaptureFixture
) -> None:
    args = ["--fields=16x32x32", "--points=50", "--repeats=1", f"--least={least}"]
    if code:
        with pytest.raises(SystemExit) as stopped:
            bench.main(args)
        assert stopped.value.code == 1
    else:
        bench.main(args)
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    figures = report["fields"]["16x32x32"]
    assert report["failures"] == ["16x32x32"] * code
    assert figures["grids, ratio"] == pytest.approx(figures["grids, plain, ms"] / figures["grids, fast, ms"])
    assert figures["step, ratio"] == pytest.approx(figures["step, plain, ms"] / figures["step, fast, ms"])
    assert all(key in printed.err for key in figures)


def test_an_unknown_setting_is_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main(["--fields=9x9x9"])
    assert stopped.value.code == 2
    assert "9x9x9" in capsys.readouterr().err
