"""What is said of free memory."""

from __future__ import annotations

from pathlib import Path

import torch

from datasets.memory import available_memory, gigabytes

CPU = torch.device("cpu")


def test_the_less_of_machine_and_container_counts(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       4000 kB\nMemAvailable:   3000 kB\n")
    assert available_memory(CPU, meminfo, tmp_path / "none") == 3000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert available_memory(CPU, meminfo, tmp_path) == 3000 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    assert available_memory(CPU, meminfo, tmp_path) == 4000
    assert available_memory(CPU, tmp_path / "none", tmp_path) == 4000


def test_nothing_is_known_where_nothing_is_said(tmp_path: Path) -> None:
    assert available_memory(CPU, tmp_path / "none", tmp_path) is None


def test_sizes_are_said_in_gibibytes() -> None:
    assert gigabytes(1.5 * 2**30) == "1.5 GiB"
