from __future__ import annotations

import io
import multiprocessing
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from datasets.sources import FrameFolder, FrameStore, FrameZip, Source, by_distance, decode_image
from errors import InputError


@pytest.fixture
def frames(coded_clip: Callable[..., torch.Tensor]) -> np.ndarray:
    """12 coded frames, [12, H, W, 3]."""
    return coded_clip(range(12), 20, 40).permute(0, 2, 3, 1).numpy()


def write_folder(folder: Path, frames: np.ndarray, name: Callable[[int], str] = "{}.png".format) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / name(i))
    return folder


def write_zip(path: Path, frames: np.ndarray, prefix: str = "clip/", **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for i, frame in enumerate(frames):
            data = io.BytesIO()
            Image.fromarray(frame).save(data, "PNG")
            archive.writestr(f"{prefix}{i}.png", data.getvalue())
    return path


def every_kind(folder: Path, frames: np.ndarray) -> list[Source]:
    np.save(folder / "store.npy", np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
    return [
        FrameFolder(write_folder(folder / "frames", frames)),
        FrameZip(write_zip(folder / "stored.zip", frames), "clip"),
        FrameZip(write_zip(folder / "packed.zip", frames, "", compression=zipfile.ZIP_DEFLATED)),
        FrameStore(folder / "store.npy"),
    ]


def test_all_kinds_give_the_same_frames_in_natural_order(frames: np.ndarray, tmp_path: Path) -> None:
    """Names are not padded: 10 comes after 9."""
    for source in every_kind(tmp_path, frames):
        assert isinstance(source, Source)
        assert (len(source), source.size, source.fps) == (12, (20, 40), 25.0)
        clip = source.read([11, 2, 10, 2])
        assert clip.dtype == torch.uint8
        assert np.array_equal(clip.permute(0, 2, 3, 1), frames[[11, 2, 10, 2]])
        assert source.read([]).shape == (0, 3, 20, 40)
        for times in ([12], [-1, 3]):
            with pytest.raises(IndexError, match=r"0\.\.11"):
                source.read(times)


def _read(source: Source, answers: Any) -> None:
    answers.put(source.read([7, 1]).numpy())


def test_sources_survive_pickling_and_forks(frames: np.ndarray, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for source in every_kind(tmp_path, frames):
        source.read([3])
        assert len(pickle.dumps(source)) < 1000
        copy = pickle.loads(pickle.dumps(source))  # noqa: S301
        assert copy.read([7, 1]).equal(source.read([7, 1]))
        answers = context.Queue()
        children = [context.Process(target=_read, args=(source, answers)) for _ in range(3)]
        for child in children:
            child.start()
        seen = [answers.get(timeout=60) for _ in children]
        for child in children:
            child.join(30)
        assert all(np.array_equal(clip.transpose(0, 2, 3, 1), frames[[7, 1]]) for clip in seen)


def png(image: Image.Image, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, options.pop("format", "PNG"), **options)
    return data.getvalue()


def test_every_kind_of_image_becomes_rgb() -> None:
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    expected = np.repeat(grey[..., None], 3, 2)
    assert np.array_equal(decode_image(png(Image.fromarray(grey))), expected)
    assert np.array_equal(decode_image(png(Image.fromarray(grey.astype(np.uint16) * 257))), expected)
    assert np.array_equal(decode_image(png(Image.fromarray(grey).convert("RGBA"))), expected)
    assert np.array_equal(decode_image(png(Image.fromarray(np.dstack([grey, grey])))), expected)  # with alpha
    assert np.array_equal(decode_image(png(Image.fromarray(grey).convert("P"))), expected)
    assert np.array_equal(decode_image(png(Image.fromarray(grey > 99))), np.where(expected > 99, 255, 0))


def test_images_are_turned_as_their_metadata_asks() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 20, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    assert np.array_equal(decode_image(png(Image.fromarray(pixels), exif=exif)), np.rot90(pixels, -1))


def test_what_is_upright_and_rgb_is_decoded_as_pillow_would() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 20, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 1
    for kind, options in [("PNG", {}), ("JPEG", {}), ("JPEG", {"exif": exif}), ("PNG", {"exif": exif})]:
        data = png(Image.fromarray(pixels), format=kind, **options)
        readable = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        assert np.array_equal(decode_image(data), np.asarray(readable))


def test_neighbours_come_nearest_first() -> None:
    for length in range(1, 7):
        for index in range(length):
            expected = sorted(range(length), key=lambda i, index=index: (abs(i - index), i))
            assert list(by_distance(index, length)) == expected


def test_a_known_size_saves_the_first_frame(
    frames: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "a", frames)
    read = []
    data = FrameFolder.data
    monkeypatch.setattr(FrameFolder, "data", lambda self, index: read.append(index) or data(self, index))
    for size, expected in [(None, [5, 0, 7]), ((20, 40), [5, 7])]:
        read.clear()
        clip = FrameFolder(tmp_path / "a", size=size).read([7, 5])
        assert np.array_equal(clip.permute(0, 2, 3, 1), frames[[7, 5]]) and clip.is_contiguous()
        assert read == expected


def test_files_that_are_no_frames_do_not_count(frames: np.ndarray, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", frames[:3])
    for name in ["notes.txt", ".hidden.png", "dataset.json"]:
        (folder / name).write_text("")
    assert len(FrameFolder(folder)) == 3
    assert len(FrameFolder(write_folder(tmp_path / "b", frames[:2], "{}.JPG".format))) == 2


def test_a_damaged_frame_is_replaced_by_a_neighbour_and_said_once(
    frames: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folder(tmp_path / "a", frames)
    for i in (4, 5, 9):
        content = (folder / f"{i}.png").read_bytes()
        (folder / f"{i}.png").write_bytes(content[: len(content) // 2])
    clip = FrameFolder(folder).read(range(12)).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(clip, frames[[0, 1, 2, 3, 3, 6, 6, 7, 8, 8, 10, 11]])
    assert len(caplog.records) == 1
    assert "frame 4 cannot be decoded" in caplog.text


def test_a_frame_of_another_size_is_brought_to_the_size_of_the_first(
    frames: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folder(tmp_path / "a", frames)
    Image.new("RGB", (7, 5), (9, 9, 9)).save(folder / "3.png")
    assert (FrameFolder(folder).read([3]) == 9).all()
    assert "frame 3 is 5x7, not 20x40" in caplog.text


def test_a_folder_without_readable_frames_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_text("no image")
    with pytest.raises(InputError, match="none of its 1 frames"):
        FrameFolder(tmp_path).read([0])
    with pytest.raises(InputError, match="no such folder"):
        len(FrameFolder(tmp_path / "missing"))


def test_oversized_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: np.ndarray) -> None:
    folder, archive = write_folder(tmp_path / "a", frames[:1]), write_zip(tmp_path / "a.zip", frames[:1])
    monkeypatch.setattr("datasets.sources.MAX_FRAME_BYTES", 50)
    for source in (FrameFolder(folder), FrameZip(archive, "clip")):
        with pytest.raises(InputError, match="none of its 1 frames"):
            source.read([0])


def test_an_image_bomb_is_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(OSError, match="exceeds limit"):
        decode_image(png(Image.new("L", (30, 30))))


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "float.npy", np.zeros((2, 3, 4, 4)))
    np.save(tmp_path / "flat.npy", np.zeros((2, 3), np.uint8))
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array")
    for name in ["float", "flat", "objects", "text", "missing"]:
        with pytest.raises(InputError, match=f"{name}.npy: .*prepare it again"):
            len(FrameStore(tmp_path / f"{name}.npy"))
