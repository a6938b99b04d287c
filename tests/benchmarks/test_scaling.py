from __future__ import annotations

import json
import queue
from types import SimpleNamespace

import pytest

from benchmarks import scaling
from benchmarks.scaling import Seconds, main, row, table, together


def test_the_slowest_process_decides_and_work_adds_up() -> None:
    fast = [Seconds(1.0, 1.0, 0.5, 0.1), Seconds(2.0, 2.0, 0.5, 0.1), Seconds(16.0, 16.0, 0.0, 1.6)]
    slow = [Seconds(2.0, 1.5, 0.0, 0.2), Seconds(3.0, 2.5, 0.0, 0.2), Seconds(32.0, 16.0, 0.0, 1.6)]
    found = together([fast, slow])
    # R1 counts a sixteenth; who comes late sees the exchange too long, so the shorter one counts.
    expected = {"wall": 7.0, "cpu": 4.0 + 5.0, "waiting": 1.0, "exchange": 0.3, "overlapped": 0.0, "left": 0.0}
    assert vars(found) == pytest.approx(expected)


def test_two_that_share_the_work_fully_are_twice_as_fast_for_the_same_work() -> None:
    strong = row("strong", Seconds(4.0, 4.0), Seconds(2.0, 4.0, 0.0, 0.5), clips=1.0)
    weak = row("weak", Seconds(4.0, 4.0), Seconds(5.0, 8.8, 0.0, 1.0), clips=2.0)
    assert (strong.speedup, strong.cpu_ratio, strong.exchange_share) == (2.0, 1.0, 0.25)
    assert (weak.speedup, weak.cpu_ratio, weak.exchange_share) == pytest.approx((1.6, 1.1, 0.2))
    assert "share this machine" in table([strong, weak])


def test_hidden_is_what_of_the_exchange_is_over_when_the_gradients_are_made() -> None:
    ranks = [[Seconds(4.0, 4.0, 0.0, 0.4, 3.6, left) for left in lefts] for lefts in ((0.1, 0.3, 0.0), (0.2, 0.1, 1.6))]
    two = together(ranks)  # who is early waits for the other, so the shorter time counts, phase by phase
    assert two.left == pytest.approx(0.1 + 0.1 + 0.0) and two.overlapped == pytest.approx(3.6 * (2 + 1 / 16))
    found = row("strong", Seconds(4.0, 4.0), two, clips=1.0)
    assert found.hidden == pytest.approx(1 - 0.2 / (0.4 * (2 + 1 / 16)))
    assert "76% of the exchange hidden" in table([found])
    assert row("strong", Seconds(4.0, 4.0), Seconds(2.0, 4.0, 0.0, 0.5), clips=1.0).hidden is None


def test_a_batch_that_two_cannot_share_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--batch", "3"])
    assert "batch is even" in capsys.readouterr().err


def test_a_size_that_no_process_can_have_is_refused_before_any_begins(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--resolution", "16"])
    assert stopped.value.code == 2 and "resolution 16: give a power of two from 32" in capsys.readouterr().err


def test_nobody_waits_for_a_process_that_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "_GLANCE", 0.01)
    results, running = queue.Queue(), SimpleNamespace(exitcode=None)
    results.put([Seconds(1.0, 1.0)])
    assert scaling._next_result(results, [running, SimpleNamespace(exitcode=1)]) == [Seconds(1.0, 1.0)]
    with pytest.raises(RuntimeError, match="a process ended with exit code -9"):
        scaling._next_result(results, [running, SimpleNamespace(exitcode=-9)])
    monkeypatch.setattr(scaling, "_PATIENCE", 0.03)
    with pytest.raises(RuntimeError, match="no result"):
        scaling._next_result(results, [running, SimpleNamespace(exitcode=0)])


@pytest.mark.slow
def test_two_processes_do_the_work_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--resolution", "32", "--batch", "4", "--updates", "1", "--channel_base", "256"]
    main([*flags, "--overlap_mib", "0.05"])
    strong, weak = json.loads(capsys.readouterr().out)
    assert (strong["name"], weak["name"]) == ("strong", "weak")
    for found in (strong, weak):
        assert 0 < found["exchange_share"] < 1 and found["two"]["cpu"] > 0 and found["speedup"] > 0
        assert found["two"]["overlapped"] > found["two"]["left"] > 0 and found["hidden"] < 1
    assert weak["one"] == strong["one"]
