"""Labels of videos: from a dataset.json beside them, or from the folders they lie in."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from natsort import natsorted

from datasets.files import parse_json, read_json
from datasets.zip_frames import read_small_member
from errors import InputError

Label = int | tuple[float, ...] | None

_MAX_CLASSES = 2**16
_MAX_BYTES = 2**28


@dataclass(frozen=True)
class Labels:
    """Labels by name of video.

    Args:
        of: Class number or condition vector of each video that has one.
        num_classes: Size of a one-hot vector; 0 where the labels are vectors, or there are none.
        class_names: Names of the classes, where they have any.
        origin: Where the labels come from, for messages.
    """

    of: dict[str, Label] = field(default_factory=dict)
    num_classes: int = 0
    class_names: list[str] = field(default_factory=list)
    origin: str = "labels"

    def require(self, names: Iterable[str], noun: str = "videos") -> None:
        """Checks that these videos have labels.

        Args:
            names: Of the videos.
            noun: What they are, in messages.

        Raises:
            InputError: One has none.
        """
        missing = [name for name in names if name not in self.of]
        if missing:
            raise InputError(
                f"{self.origin}: {len(missing)} {noun} have no label, one of them {missing[0]!r}; "
                "label them, or train without (labels: none)"
            )


def no_labels(root: Path, names: list[str]) -> Labels:
    """No labels, whatever there is beside the videos."""
    return Labels(dict.fromkeys(names))


def labels_from_folders(root: Path, names: list[str]) -> Labels:
    """The folder that holds a video is its class; classes are numbered in natural order.

    Args:
        root: For messages.
        names: All videos, usable or not, so that the numbers do not depend on which are.

    Raises:
        InputError: There are no folders to take classes from.
    """
    folders = {name: posixpath.dirname(name) for name in names}
    classes = natsorted({folder for folder in folders.values() if folder})
    if names and not classes:
        raise InputError(f"{root}: labels from folders need one folder per class with its videos in it; make them")
    numbers = {folder: number for number, folder in enumerate(classes)}
    of: dict[str, Label] = {name: numbers[folder] for name, folder in folders.items() if folder}
    return Labels(of, len(classes), classes, f"{root}: labels from folders")


def labels_from_json(root: Path, names: list[str]) -> Labels:
    """Labels of a dataset.json in a folder or zip: {"labels": [[file, label], ...]}, with files relative to it.

    A file is a video, or a frame of one; all frames of a video must agree. Whole numbers are classes, as many as the
    largest says, whether or not their videos are here; lists of numbers are conditions, used as they are.

    Args:
        root: The folder, or a zip.
        names: The videos.

    Raises:
        InputError: Missing, or not of this form.
    """
    origin, document = _dataset_json(root)
    rows = document.get("labels") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows:
        raise InputError(f'{origin}: holds no {{"labels": [[file, label], ...]}}; add it, or train with labels: none')
    known, of, all_labels = set(names), {}, set()
    for row in rows:
        file, label = _parse_row(row, origin)
        all_labels.add(label)
        video = file if file in known else posixpath.dirname(file) or "."
        if video in known and of.setdefault(video, label) != label:
            raise InputError(f"{origin}: the files of {video!r} have different labels; give them one")
    return Labels(of, _num_classes(all_labels, origin), origin=origin)


def has_dataset_json(root: Path) -> bool:
    """Whether a folder or zip comes with labels."""
    if root.is_dir():
        return (root / "dataset.json").is_file()
    return root.suffix.lower() == ".zip" and read_small_member(root, "dataset.json", _MAX_BYTES) is not None


def _dataset_json(root: Path) -> tuple[str, Any]:
    if root.is_dir():
        path = root / "dataset.json"
        if path.is_file():
            return str(path), read_json(path, _MAX_BYTES)
    elif root.suffix.lower() == ".zip":
        text = read_small_member(root, "dataset.json", _MAX_BYTES)
        if text is not None:
            return f"{root}/dataset.json", parse_json(text, f"{root}/dataset.json")
    raise InputError(f"{root}: no dataset.json in it; add one, or train with labels: none or labels: folders")


def _parse_row(row: Any, origin: str) -> tuple[str, Label]:
    match row:
        case [str(file), bool()]:
            raise InputError(f"{origin}: the label of {file!r} is true or false; number the classes from 0")
        case [str(file), int(number)] if 0 <= number < _MAX_CLASSES:
            return _normal(file), number
        case [str(file), [_, *_] as vector] if all(_is_number(value) for value in vector):
            return _normal(file), tuple(float(value) for value in vector)
    shown = repr(row)[:80]
    raise InputError(f"{origin}: {shown} is not [file, label] with a class number or a list of numbers; mend it")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30 and math.isfinite(value)


def _normal(file: str) -> str:
    return posixpath.normpath(file.replace("\\", "/"))


def _num_classes(labels: set[Label], origin: str) -> int:
    """Classes that the labels number, 0 for vectors; labels of several kinds or lengths are refused."""
    if len({0 if isinstance(label, int) else len(label) for label in labels}) > 1:
        raise InputError(f"{origin}: labels of different kinds or lengths; give every file the same kind")
    numbers = [label for label in labels if isinstance(label, int)]
    return max(numbers) + 1 if numbers else 0
