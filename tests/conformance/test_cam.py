"""Everything recorded of CAM: each section of every file, and that no key of a file is left unread.

A module ``tests/conformance/cam/<stem>.py`` holds the sections of the file ``<stem>.npz``: ``SECTIONS`` maps a name to
a function of the recording that asserts. A file may come in several sets that differ in sizes and seeds.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from tests.conformance import cam
from tests.conformance.recordings import Recording, folder

MODULES = sorted(info.name for info in pkgutil.iter_modules(cam.__path__))
SECTIONS: dict[str, dict[str, Callable[[Recording], None]]] = {
    stem: importlib.import_module(f"tests.conformance.cam.{stem}").SECTIONS for stem in MODULES
}
RECORDED = sorted(folder("cam").glob("*.npz"))


def stem_of(path: Path) -> str | None:
    """The module that a file is for: that of its name, or of how its name begins; None: no module knows it."""
    fitting = [stem for stem in SECTIONS if path.stem == stem or path.stem.startswith((f"{stem}_", f"{stem}-"))]
    return max(fitting, key=len, default=None)


def _missing(stem: str) -> object:
    reason = f"{folder('cam') / stem}.npz is not there"
    return pytest.param(None, None, id=f"{stem}-missing", marks=pytest.mark.skip(reason=reason))


MISSING = [_missing(stem) for stem in sorted(SECTIONS.keys() - {stem_of(path) for path in RECORDED})]
KNOWN = [path for path in RECORDED if stem_of(path)]
CASES = [pytest.param(path, name, id=f"{path.stem}-{name}") for path in KNOWN for name in SECTIONS[stem_of(path)]]


class Group(Mapping):
    """The entries of a recording under a prefix, each read when it is asked for."""

    def __init__(self, recording: Recording, prefix: str, names: list[str]) -> None:
        self.recording, self.prefix, self.names = recording, prefix, names

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(name)
        return self.recording[f"{self.prefix}/{name}"]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Watched(Recording):
    """A recording that knows which of its keys were read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Tensor:
        self.read.add(key)
        return super().__getitem__(key)

    def group(self, prefix: str) -> Mapping[str, Tensor]:
        names = sorted(key for key in self.keys if key.startswith(f"{prefix}/") and not key.endswith("_json"))
        return Group(self, prefix, [name.removeprefix(f"{prefix}/") for name in names])

    def json(self, key: str) -> object:
        self.read.add(key)
        return super().json(key)

    def text(self, key: str) -> str:
        self.read.add(key)
        return super().text(key)


# What sections that ran have read, by file: the last test of this file adds what did not run.
READ: dict[Path, dict[str, set[str]]] = {}


def run(path: Path, name: str) -> None:
    recording = Watched(path)
    READ.setdefault(path, {})[name] = recording.read
    SECTIONS[stem_of(path)][name](recording)


@pytest.mark.parametrize("path, name", CASES + MISSING)
def test_section(path: Path, name: str) -> None:
    run(path, name)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_no_key_is_left_unread(path: Path) -> None:
    stem = stem_of(path)
    assert stem is not None, f"{path.name}: no module of tests/conformance/cam is for it"
    for name in SECTIONS[stem]:
        if name not in READ.get(path, {}):
            run(path, name)
    unread = set(np.load(path, allow_pickle=False).files).difference(*READ[path].values())
    assert not unread, f"{path.name}: no section reads {sorted(unread)[:20]}"
