from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from datasets.labels import Labels, has_dataset_json, labels_from_folders, labels_from_json, no_labels
from errors import InputError

NAMES = ["a", "sub/b", "c.mp4"]


def write(root: Path, labels: Any) -> Path:
    (root / "dataset.json").write_text(json.dumps({"labels": labels}))
    return root


ROWS = [["a/0.png", 2], ["a/1.png", 2], ["./sub/b/7.png", 0], ["c.mp4", 1], ["elsewhere/0.png", 5]]


def test_files_speak_for_the_video_they_belong_to(tmp_path: Path) -> None:
    labels = labels_from_json(write(tmp_path, ROWS), NAMES)
    assert labels.of == {"a": 2, "sub/b": 0, "c.mp4": 1}
    assert labels.num_classes == 6  # whether or not a video of that class is here


def test_a_zip_may_hold_the_labels(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("dataset.json", json.dumps({"labels": [["a\\0.png", [0.5, -1]]]}))
    labels = labels_from_json(tmp_path / "a.zip", ["a"])
    assert (labels.of, labels.num_classes) == ({"a": (0.5, -1.0)}, 0)
    assert has_dataset_json(tmp_path / "a.zip")
    assert not has_dataset_json(tmp_path)


def test_labels_that_are_missing_are_named(tmp_path: Path) -> None:
    labels = labels_from_json(write(tmp_path, ROWS), [*NAMES, "d", "e"])
    labels.require(NAMES)
    with pytest.raises(InputError, match=r"dataset\.json: 2 videos have no label, one of them 'd'"):
        labels.require([*NAMES, "d", "e"])


BROKEN = [
    (None, "holds no"),
    ([], "holds no"),
    ({"a": 1}, "holds no"),
    ([["a", True]], "true or false"),
    ([["a", -1]], r"\['a', -1\] is not"),
    ([["a", 10**9]], "is not"),
    ([["a", "cat"]], "is not"),
    ([["a", []]], "is not"),
    ([["a", [1, None]]], "is not"),
    ([["a", [float("nan")]]], "is not"),
    ([["a", [1e300]]], "is not"),
    (["a"], "is not"),
    ([["a", 1, 2]], "is not"),
    ([["a", 1], ["c.mp4", [1.0]]], "different kinds or lengths"),
    ([["a", [1, 2]], ["c.mp4", [1]]], "different kinds or lengths"),
    ([["a/0.png", 1], ["a/1.png", 2]], "files of 'a' have different labels"),
]


@pytest.mark.parametrize("labels, message", BROKEN)
def test_broken_labels_are_one_clear_error(labels: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.json: .*" + message):
        labels_from_json(write(tmp_path, labels), NAMES)


def test_a_missing_or_unreadable_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no dataset\.json in it"):
        labels_from_json(tmp_path, NAMES)
    (tmp_path / "dataset.json").write_text("[1, 2")
    with pytest.raises(InputError, match="not valid JSON"):
        labels_from_json(tmp_path, NAMES)
    (tmp_path / "dataset.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="holds no"):
        labels_from_json(tmp_path, NAMES)


def test_folders_are_classes_in_natural_order(tmp_path: Path) -> None:
    names = ["class10/a.mp4", "class9/b.mp4", "class9/c", "deep/er/d", "alone.mp4"]
    labels = labels_from_folders(tmp_path, names)
    assert labels.class_names == ["class9", "class10", "deep/er"]
    assert labels.of == {"class10/a.mp4": 1, "class9/b.mp4": 0, "class9/c": 0, "deep/er/d": 2}
    with pytest.raises(InputError, match=r"alone\.mp4"):
        labels.require(names)
    with pytest.raises(InputError, match="one folder per class"):
        labels_from_folders(tmp_path, ["a.mp4", "b.mp4"])


def test_without_labels_nothing_is_required(tmp_path: Path) -> None:
    no_labels(tmp_path, NAMES).require(NAMES)
    assert Labels().num_classes == 0
