from __future__ import annotations

import json

import pytest
import torch

from benchmarks.idea_list import IDEAS, Idea, Sizes
from benchmarks.ideas import compare, difference, line, main


def sizes(dtype: torch.dtype = torch.float32) -> Sizes:
    return Sizes(16, videos=2, frames=3, dtype=dtype, device=torch.device("cpu"), channel_base=128)


@pytest.mark.parametrize("name", IDEAS)
def test_all_ways_of_an_idea_come_to_the_same_values_and_gradients(name: str) -> None:
    torch.manual_seed(0)
    found = IDEAS[name](sizes())
    assert next(iter(found.stages["step" if "step" in found.stages else "forward"])) == found.ours
    for calls in found.stages.values():
        wanted = [value.detach().clone() for value in calls[found.ours]()]
        for way, call in calls.items():
            assert way == found.ours or difference(call(), wanted) < 3e-6, way


def test_features_are_those_of_a_block_with_channels_last() -> None:
    found = Sizes(64, 2, 3, torch.bfloat16, torch.device("cpu"))
    assert found.channels == (512, 256)
    x = found.features(8, halved=True)
    assert x.shape == (6, 8, 32, 32) and x.dtype == torch.bfloat16
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_a_difference_is_relative_to_the_largest_value() -> None:
    wanted = [torch.tensor([1.0, -4.0]), torch.tensor([100.0])]
    assert difference([torch.tensor([1.5, -4.0]), torch.tensor([101.0])], wanted) == 0.125


def test_ratios_are_taken_round_by_round_and_wrong_values_show() -> None:
    calls = {"ours": lambda: [torch.ones(2)], "wrong": lambda: [torch.full((2,), 3.0)]}
    ours, wrong = compare(Idea("toy", "ours", {"forward": calls}), torch.device("cpu"), rounds=3)
    assert ours.ours and ours.ratios == {"forward": 1.0} and ours.difference == 0.0
    assert not wrong.ours and wrong.difference == 2.0
    assert line(wrong).startswith("| toy | wrong |") and line(wrong).endswith("| 2e+00 |") and "| ours |" in line(ours)


def test_the_command_measures_the_ideas_that_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--resolution", "16", "--channel_base", "128", "--rounds", "1", "--precision", "bf16-mixed"]
    main([*flags, "--device", "cpu", "--only", "[blur,adam]"])
    shown = capsys.readouterr()
    rows = json.loads(shown.out)["rows"]
    assert {row["idea"] for row in rows} == {"blur", "adam"}
    assert [row["way"] for row in rows if row["ours"]] == ["depthwise, each map the other's gradient", "fused"]
    assert set(rows[0]["milliseconds"]) == {"forward", "and backward", "twice backward"}
    assert max(row["difference"] for row in rows) < 0.02  # of bfloat16
    assert "| blur | shifted adds |" in shown.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--only", "[magic]"], "there are modulation"),
        (["--resolution", "48"], "power of two"),
        (["--precision", "16"], "32 or bf16-mixed"),
    ],
)
def test_wrong_flags_are_refused_in_one_line(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(flags)
    assert stopped.value.code == 2 and said in capsys.readouterr().err
