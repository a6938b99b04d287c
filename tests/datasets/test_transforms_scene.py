from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from datasets.cameras import around
from datasets.sphere_scene import take_views
from datasets.transforms_scene import load_views, read_transforms
from errors import InputError

Tree = dict[str, Any]


def write_scene(folder: Path, name: str = "train", count: int = 2, times: bool = False, size: int = 8) -> Path:
    """A folder as Blender's exporter leaves it; gives its file."""
    views = take_views(count, (size, size), times, test=name != "train")
    frames = []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        alpha = (views.depth[number] >= 0)[..., None] * 1.0
        pixels = torch.cat([views.rgb[number], alpha], dim=-1)
        Image.fromarray((pixels * 255).round().to(torch.uint8).numpy()).save(folder / name / f"r_{number}.png")
        time = {"time": float(views.times[number])} if times else {}
        frames.append({"file_path": f"./{name}/r_{number}", "transform_matrix": views.c2w[number].tolist(), **time})
    path = folder / f"transforms_{name}.json"
    path.write_text(json.dumps({"camera_angle_x": 0.6911, "frames": frames}))
    return path


def _changed(path: Path, change: Callable[[Tree], None]) -> Path:
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    return path


@pytest.mark.parametrize("times", [False, True])
def test_a_scene_comes_back_with_its_cameras_and_pictures(tmp_path: Path, times: bool) -> None:
    found, wanted = load_views(write_scene(tmp_path, times=times), 2.5, 5.5), take_views(2, (8, 8), times)
    assert_close(found.rgb.float() / 255, wanted.rgb, atol=0.5 / 255 + 1e-6, rtol=0)
    assert_close(found.c2w, wanted.c2w)
    assert math.isclose(found.focal, wanted.focal)
    assert (found.times is None) == (wanted.times is None)
    assert not times or found.times.tolist() == [0, 1]


def test_transparent_pixels_show_the_background(tmp_path: Path) -> None:
    path = write_scene(tmp_path, count=1)
    Image.fromarray(np.full((8, 8, 4), (255, 0, 0, 51), dtype=np.uint8)).save(tmp_path / "train" / "r_0.png")
    assert load_views(path, 2, 6, "white").rgb[0, 0, 0].tolist() == [255, 204, 204]
    assert load_views(path, 2, 6, "black").rgb[0, 0, 0].tolist() == [51, 0, 0]


def test_reduced_pictures_are_means_of_squares_and_keep_the_angle_of_view(tmp_path: Path) -> None:
    path = write_scene(tmp_path, count=1)
    whole, half = load_views(path, 2, 6), load_views(path, 2, 6, reduce=2)
    means = whole.rgb.float().reshape(1, 4, 2, 4, 2, 3).mean(dim=(2, 4))
    assert_close(half.rgb.float(), means, atol=1.0, rtol=0)  # both were rounded
    assert half.size == (4, 4) and math.isclose(half.focal, whole.focal / 2)
    assert math.isclose(half.facts["fov_x"], 0.6911)


def _frame(key: str, value: Any) -> Callable[[Tree], None]:
    return lambda tree: tree["frames"][1].update({key: value})


def _matrix(row: int, column: int, value: Any) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        tree["frames"][1]["transform_matrix"][row][column] = value

    return change


def _flat(tree: Tree) -> None:
    for row in tree["frames"][0]["transform_matrix"][:3]:
        row[2] = row[1]


BROKEN: dict[str, tuple[Callable[[Tree], None], str]] = {
    "missing image": (_frame("file_path", "./train/r_9"), r"frames\[1\]\.file_path: there is no"),
    "no file_path": (lambda tree: tree["frames"][0].pop("file_path"), r"frames\[0\]\.file_path: no name"),
    "outside": (_frame("file_path", "../../etc/passwd"), r"file_path: .* lies outside of"),
    "absolute": (_frame("file_path", "/etc/passwd"), r"file_path: .* lies outside of"),
    "long": (_frame("file_path", "a" * 900), r"file_path: .* cannot be the name"),
    "half a character": (_frame("file_path", "\ud800"), r"file_path: .* cannot be the name"),
    "nul": (_frame("file_path", "a\0b"), r"file_path: no name"),
    "singular": (_flat, r"frames\[0\]\.transform_matrix: is singular"),
    "zero": (_frame("transform_matrix", [[0.0] * 4] * 3 + [[0, 0, 0, 1]]), r"frames\[1\].*is singular"),
    "nan": (_matrix(0, 0, math.nan), r"transform_matrix: holds what is no number"),
    "infinite": (_matrix(1, 3, math.inf), r"transform_matrix: holds what is no number"),
    "huge": (_matrix(1, 3, 10**400), r"transform_matrix: holds what is no number"),
    "text": (_matrix(1, 3, "4.0"), r"transform_matrix: holds what is no number"),
    "three rows": (lambda tree: tree["frames"][1]["transform_matrix"].pop(), r"transform_matrix: no matrix of 4"),
    "short row": (lambda tree: tree["frames"][1]["transform_matrix"][2].pop(), r"transform_matrix: no matrix of 4"),
    "last row": (_matrix(3, 0, 1.0), r"transform_matrix: its last row is not 0 0 0 1"),
    "late": (_frame("time", 1.5), r"frames\[1\]\.time: 1\.5 is no moment"),
    "no time": (_frame("time", None), r"frames\[1\]\.time: None is no moment"),
    "some times": (_frame("time", 0.5), r"frames: 1 of 2 have a time"),
    "no frames": (lambda tree: tree.update(frames=[]), r"frames: give a list of 1 to"),
    "frames no list": (lambda tree: tree.update(frames={"a": 1}), r"frames: give a list of 1 to"),
    "frame no map": (lambda tree: tree.update(frames=[3]), r"frames\[0\]: no names and values"),
    "no angle": (lambda tree: tree.pop("camera_angle_x"), r"camera_angle_x: give the horizontal angle"),
    "flat angle": (lambda tree: tree.update(camera_angle_x=3.2), r"camera_angle_x: give the horizontal angle"),
    "true angle": (lambda tree: tree.update(camera_angle_x=True), r"camera_angle_x: give the horizontal angle"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_used_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    change, reason = BROKEN[name]
    path = _changed(write_scene(tmp_path), change)
    with pytest.raises(InputError, match=reason) as caught:
        load_views(path, 2, 6)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))


def test_pictures_of_mixed_sizes_are_refused(tmp_path: Path) -> None:
    path = write_scene(tmp_path)
    Image.new("RGBA", (8, 9)).save(tmp_path / "train" / "r_1.png")
    with pytest.raises(InputError, match=r"r_1\.png: is 9x8, others are 8x8"):
        load_views(path, 2, 6)


@pytest.mark.parametrize("number", [0, 1])
def test_damaged_pictures_are_refused(tmp_path: Path, number: int) -> None:
    path = write_scene(tmp_path)
    file = tmp_path / "train" / f"r_{number}.png"
    file.write_bytes(b"no picture")
    with pytest.raises(InputError, match=rf"r_{number}\.png: .*mend it, or remove the frame"):
        load_views(path, 2, 6)
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(file)
    with pytest.raises(InputError, match="not of 8 bits"):
        load_views(path, 2, 6)


def test_a_divisor_is_needed_to_reduce(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be reduced by 3: give a divisor as data\.reduce"):
        load_views(write_scene(tmp_path), 2, 6, reduce=3)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "scene")
    (tmp_path / "elsewhere.png").write_bytes((tmp_path / "scene/train/r_0.png").read_bytes())
    (tmp_path / "scene/train/r_1.png").unlink()
    (tmp_path / "scene/train/r_1.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(InputError, match="lies outside of"):
        load_views(path, 2, 6)


@pytest.mark.parametrize("text", ["", "[" * 100_000, "{", "[1]", '"text"'])
def test_what_is_no_transforms_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "transforms_train.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"transforms_train\.json: "):
        read_transforms(path)


def test_a_missing_file_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file: give a folder with transforms_train\.json"):
        read_transforms(tmp_path / "transforms_train.json")


def test_cameras_may_be_scaled(tmp_path: Path) -> None:
    c2w = around(torch.zeros(1), torch.zeros(1), 4.0)[0]
    c2w[:3, :3] *= 0.01
    path = _changed(write_scene(tmp_path), _frame("transform_matrix", c2w.tolist()))
    assert_close(load_views(path, 2, 6).c2w[1], c2w)
