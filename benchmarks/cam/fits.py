"""Fits that tables are made of, through train.py."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Fit:
    """What a run left.

    Attributes:
        lines: Its measurements, the last of which is that of its end.
        folder: Its own.
    """

    lines: list[dict[str, Any]]
    folder: Path

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]

    def curve(self, name: str) -> tuple[list[int], list[Any]]:
        """Updates, and what was measured then.

        Args:
            name: Of the figure.
        """
        return [line["updates"] for line in self.lines], [line[name] for line in self.lines]


@contextmanager
def _silence() -> Iterator[None]:
    """Only warnings of Lightning are said."""
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def fit(work: Path, name: str, config: str, changes: Mapping[str, Any]) -> Fit:
    """One run; what an earlier one finished is read instead.

    Args:
        work: Folder of runs.
        name: Of the run; what follows from the settings is added.
        config: File of `configs/fields`.
        changes: Arguments of the command line by name, plain values.
    """
    from train import main

    wanted = yaml.safe_dump({"config": Path(config).read_text(encoding="utf-8"), **changes})
    name = f"{name}_{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"
    folder, mark = work / name, work / name / "finished.yaml"
    if not mark.is_file():
        if folder.exists():
            shutil.rmtree(folder)  # a run that was stopped; it is begun again
        sys.argv[1:] = []  # what was meant for this program is no business of the other
        flags = [f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in changes.items()]
        quiet = ["--trainer.logger=false", "--progress.line_seconds=1e9", "--trainer.accelerator=cpu"]
        with _silence():
            main(["fit", "--config", config, "--runs_dir", str(work), "--run_name", name, *quiet, *flags])
        mark.write_text(wanted)
    lines = (folder / "validation.jsonl").read_text().splitlines()
    return Fit([json.loads(line) for line in lines], folder)
