"""Where results go, and what is there already."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.settings import is_complete, read_settings
from errors import InputError
from fields.playback.saving import find_place, save, to_bytes

FRAMES = torch.arange(5 * 3 * 4 * 6).reshape(5, 3, 4, 6).to(torch.uint8)


def test_colours_become_bytes() -> None:
    values = torch.tensor([-9.0, -1, 0, 1, 9]).reshape(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert to_bytes(values)[0, 0, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("name", ["a.jpg", "a.json", "a.avi", "a.field", "a.png"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="out"):
        find_place(name, 5)


def test_frames_are_kept_with_their_settings(tmp_path: Path) -> None:
    for name in ("a.npy", "b/a.mp4", "folder", "one.png"):
        path = find_place(str(tmp_path / name), 1 if name == "one.png" else 5)
        assert not is_complete(path, {"a": 1}, overwrite=False, folders=True)
        save(path, iter([FRAMES[:3], FRAMES[3:]]), Fraction(25), None, {"a": 1})
        assert read_settings(path) == {"a": 1}
        assert is_complete(path, {"a": 1}, overwrite=False, folders=True)
        with pytest.raises(InputError, match="already"):
            is_complete(path, {"a": 2}, overwrite=False, folders=True)
        assert name == "folder" or not is_complete(path, {"a": 2}, overwrite=True, folders=True)
    assert np.array_equal(np.load(tmp_path / "a.npy"), FRAMES.permute(0, 2, 3, 1).numpy())


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def frames():  # noqa: ANN202
        yield FRAMES
        raise OSError(28, "No space left on device")

    for name in ("new/a.mp4", "new/folder", "a.gif"):
        with pytest.raises(OSError, match="No space"):
            save(tmp_path / name, frames(), Fraction(25), None, {})
    assert not list(tmp_path.iterdir())
