from __future__ import annotations

import json

import pytest
import torch

from benchmarks.count import Work, blocks, count, main, rows
from benchmarks.measuring import MultiplyAdds
from benchmarks.train_step import build


def test_counting_without_memory_equals_counting_what_runs() -> None:
    """Up to the motion encoder, which is left out of the count."""
    found = count(32, batch=2, channel_base=256)
    step = build(32, 2, 3, device=torch.device("cpu"), channel_base=256)
    with torch.no_grad(), MultiplyAdds() as motion:
        step.generator.synthesis.motion(step.t.double())
    for name, passes in (("forward", 1), ("D", 1), ("R1", 0)):
        with MultiplyAdds() as counter:
            step.phases()[name]()
        assert counter.total - passes * motion.total == found[name].multiply_adds, name


def test_an_update_has_r1_only_once_in_a_while() -> None:
    found = count(32, batch=1, channel_base=256)
    parts = found["G"].multiply_adds + found["D"].multiply_adds
    r1 = sum(n // 16 for n, _ in found["R1"].operations)
    assert found["update"].multiply_adds == parts + r1
    narrow = build(32, 1, 3, device=torch.device("cpu"), channel_base=256)
    parameters = sum(p.numel() for p in narrow.generator.parameters())
    assert found["EMA"].bytes(2) == 3 * 4 * parameters


def test_blocks_are_called_with_the_shapes_of_an_update() -> None:
    step = build(32, 2, 3, device=torch.device("cpu"), channel_base=256)
    found = blocks(step)
    assert {"G b4", "G b32", "D fromrgb", "D b32", "D epilogue"} <= set(found)
    assert found["G b32"].args[0][0] == 6 and found["G b32"].args[0][2:] == (16, 16)
    inputs = found["D b32"].inputs()
    found["D b32"].run(inputs)
    assert inputs[0].grad is not None and inputs[0].grad.abs().max() > 0


def test_rows_are_per_frame() -> None:
    (row,) = rows(64, {"G": Work([(12 * 10**9, 6 * 10**6)])}, num_frames=6, width=2)
    assert (row.gigamacs, row.megabytes, row.floor_ms) == (2.0, 2.0, None)


def test_command_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--resolutions", "[32]", "--batch", "1", "--teraflops", "1", "--terabytes", "1", "--blocks", "true"])
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    names = {row["name"] for row in found}
    assert {"forward", "G", "D", "R1", "optimizers", "EMA", "update", "G b32"} <= names
    assert all(row["floor_ms"] > 0 for row in found) and "GMAC/frame" in shown.err


def test_an_unknown_conditioning_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--resolutions", "[32]", "--conditioning", "both"])
    assert stopped.value.code == 2 and "conditioning 'both'" in capsys.readouterr().err
