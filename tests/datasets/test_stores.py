"""What is written survives a stop, a full disk, and videos that change meanwhile."""

from __future__ import annotations

import errno
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datasets import prepare_video, stores
from datasets.index import VideoIndex
from datasets.prepare_video import fit
from errors import InputError
from tests.datasets.manifest import manifest_of

Encode = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("own_cache")


def test_the_quality_reaches_the_files(run: Callable[..., VideoIndex], tmp_path: Path) -> None:
    """The original passes it under a wrong name, and writes the default of 75."""

    def tables(name: str) -> dict[int, list[int]]:
        with zipfile.ZipFile(tmp_path / name) as archive, archive.open("dog/b/000000.jpg") as file:
            return Image.open(file).quantization

    def expected(quality: int) -> dict[int, list[int]]:
        Image.new("RGB", (8, 8)).save(tmp_path / "q.jpg", quality=quality)
        return Image.open(tmp_path / "q.jpg").quantization

    run("default.zip")
    run("low.zip", quality=60)
    assert tables("default.zip") == expected(95)
    assert tables("low.zip") == expected(60)


def interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> list[str]:
    """Lets frames be resized until ``count`` of them are; returns the list that grows with every one."""
    seen: list[str] = []

    def fit_or_fail(*arguments: Any) -> Any:
        if len(seen) == count:
            raise error
        seen.append("frame")
        return fit(*arguments)

    monkeypatch.setattr(prepare_video, "fit", fit_or_fail)
    return seen


@pytest.mark.parametrize("name", ["out.zip", "out"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device", "part")])
def test_a_stopped_run_goes_on_where_it_was(
    name: str, error: BaseException, run: Callable[..., VideoIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("whole" + name)
    with monkeypatch.context() as patch:
        interrupt_after(20, patch, error)
        with pytest.raises(type(error)) as caught:
            run(name)
    if isinstance(error, OSError):
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / name))
    assert not (tmp_path / name).exists()
    assert not list(tmp_path.rglob("*.tmp"))
    with monkeypatch.context() as patch:
        seen = interrupt_after(1000, patch, error)
        index = run(name)
    assert len(seen) == 44 - 9  # the first video was complete
    assert index.videos == whole.videos
    assert manifest_of(tmp_path / name) == manifest_of(tmp_path / f"whole{name}")
    if name == "out.zip":
        assert (tmp_path / name).read_bytes() == (tmp_path / f"whole{name}").read_bytes()
    assert not (tmp_path / f"{name}.partial").exists()


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_a_disk_that_fills_up_at_the_end_leaves_the_parts(
    name: str, run: Callable[..., VideoIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attribute = "_add" if name == "out.zip" else "write_json"
    original = getattr(stores, attribute)

    def full(*arguments: Any) -> None:
        if any(str(argument).endswith("manifest.json") for argument in arguments):
            raise OSError(errno.ENOSPC, "No space left on device")
        original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stores, attribute, full)
        with pytest.raises(OSError, match="No space left"):
            run(name)
    assert not (tmp_path / name).exists()
    assert not list(tmp_path.rglob("*.tmp"))
    with monkeypatch.context() as patch:
        assert interrupt_after(0, patch, RuntimeError()) == []  # nothing has to be decoded again
        assert len(run(name).videos) == 3


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_videos_that_change_or_go_between_two_runs_are_seen(
    name: str,
    run: Callable[..., VideoIndex],
    src: Path,
    encode: Encode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(40, patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(name)
    (src / "cat" / "a9.mkv").unlink()
    encode(src / "cat" / "a10.mp4", 25)
    assert [(video.name, video.num_frames) for video in run(name).videos] == [("cat/a10", 25), ("dog/b", 12)]


def test_a_run_is_not_continued_with_other_settings(
    run: Callable[..., VideoIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(20, patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run()
    with pytest.raises(InputError, match=r"out\.zip\.partial: begun with other settings"):
        run(quality=80)
