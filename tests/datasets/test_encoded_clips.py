"""Clips that are decoded late are the clips that workers decode, bit for bit where the decoder is the same."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate

from datasets.clips import SparseClips
from datasets.encoded_clips import EncodedClips, NotForDecoding, collate, jpeg_files
from datasets.frame_sampling import RandomSpans
from datasets.jpeg_decoding import on_host
from datasets.sources import FrameFolder, FrameStore, FrameZip, Source
from datasets.synthetic import SpriteVideo
from datasets.view_sampling import ViewLaw
from errors import InputError

SIZE = (40, 56)


def write_jpegs(folder: Path, num_frames: int, seed: int = 0, **options: Any) -> Path:
    folder.mkdir(parents=True)
    for i, frame in enumerate(SpriteVideo(seed, num_frames, SIZE).read(range(num_frames))):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{i}.jpg", quality=90, **options)
    return folder


class Listed:
    """A list of sources as a collection."""

    def __init__(self, sources: list[Source]) -> None:
        self.sources = sources
        self.lengths = np.array([len(source) for source in sources])
        self.labels = np.arange(len(sources), dtype=np.float32)[:, None]

    def open(self, index: int) -> Source:
        return self.sources[index]


@pytest.fixture
def videos(tmp_path: Path) -> Listed:
    """One video in a folder, one in a zip."""
    write_jpegs(tmp_path / "a", 9)
    write_jpegs(tmp_path / "b" / "inner", 7, seed=1)
    shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path / "b")
    return Listed([FrameFolder(tmp_path / "a"), FrameZip(tmp_path / "b.zip", "inner")])


@pytest.mark.parametrize("settings", [{}, {"flip": True, "random_crop": True}, {"views": True, "flip": True}])
@pytest.mark.parametrize("resolution", [SIZE, (16, 24), (40, 40)])
def test_late_clips_are_those_of_workers(videos: Listed, settings: dict[str, Any], resolution: tuple[int, int]) -> None:
    if settings.get("views"):
        settings = settings | {"views": ViewLaw(), "limits": np.array([2.0, 2.0])}
    arguments = (videos, RandomSpans(3), resolution)
    early, late = (kind(*arguments, batch_size=4, seed=5, **settings) for kind in (SparseClips, EncodedClips))
    for update in range(3):
        keys = [(update, n) for n in range(4)]
        expected, batch = default_collate([early[key] for key in keys]), collate([late[key] for key in keys])
        batch["clip"] = batch["clip"].decoded(on_host)
        assert batch.keys() == expected.keys()
        assert all(torch.equal(batch[name], value) for name, value in expected.items())


def test_the_bytes_are_those_of_the_files(videos: Listed) -> None:
    folder = videos.sources[0]
    assert jpeg_files(folder, [7, 2, 7]) == [(folder.path / f"{i}.jpg").read_bytes() for i in (7, 2, 7)]
    clips = EncodedClips(videos, RandomSpans(3), SIZE, batch_size=2)
    batch = collate([clips[0, 0], clips[0, 1]])["clip"]
    assert batch.data.dtype == torch.uint8 and len(batch.data) == sum(batch.sizes) and len(batch.sizes) == 6


def test_a_damaged_file_is_replaced_as_workers_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_jpegs(tmp_path / "a", 6)
    whole = (folder / "2.jpg").read_bytes()
    (folder / "2.jpg").write_bytes(whole[: len(whole) // 2])  # cut off
    (folder / "4.jpg").write_bytes(b"no image")
    (folder / "5.jpg").write_bytes((folder / "5.jpg").read_bytes() + bytes(1000))  # whole, with something behind
    decoded = torch.stack(on_host([torch.frombuffer(bytearray(f), dtype=torch.uint8) for f in _files(folder)]))
    assert torch.equal(decoded, FrameFolder(folder).read(range(6)))
    assert "frame 2 cannot be decoded" in caplog.text
    assert _files(folder)[2] == (folder / "1.jpg").read_bytes()


def _files(folder: Path) -> list[bytes]:
    return jpeg_files(FrameFolder(folder), range(6))


def test_what_only_workers_can_decode_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "store.npy", np.zeros((4, 3, 16, 16), np.uint8))
    with pytest.raises(NotForDecoding, match=r"store.npy: holds no JPEG files; give data.decode_on: worker"):
        jpeg_files(FrameStore(tmp_path / "store.npy"), [0])

    folder = write_jpegs(tmp_path / "a", 4)
    Image.open(folder / "1.jpg").save(folder / "x.png")
    shutil.move(folder / "x.png", folder / "1.jpg")  # its content counts, not its name
    with pytest.raises(NotForDecoding, match="a: holds a frame of kind PNG, not JPEG"):
        jpeg_files(FrameFolder(folder), [1])

    Image.new("RGB", (24, 8)).save(folder / "2.jpg")
    with pytest.raises(NotForDecoding, match="of 8x24 among those of 40x56"):
        jpeg_files(FrameFolder(folder), [2])

    exif, data = Image.Exif(), io.BytesIO()
    exif[0x0112] = 3
    Image.new("RGB", SIZE[::-1]).save(data, "JPEG", exif=exif)
    (folder / "3.jpg").write_bytes(data.getvalue())
    with pytest.raises(NotForDecoding, match="that its metadata turn"):
        jpeg_files(FrameFolder(folder), [3])


def test_a_refusal_is_not_taken_for_a_video_that_cannot_be_read(tmp_path: Path) -> None:
    folder = write_jpegs(tmp_path / "a", 4)
    for file in folder.iterdir():
        Image.open(file).save(file, "PNG")
    clips = EncodedClips(Listed([FrameFolder(folder)]), RandomSpans(3), SIZE, batch_size=1)
    with pytest.raises(NotForDecoding, match="kind PNG"):
        clips[0, 0]
    (folder / "0.jpg").unlink()
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="8 videos in a row"):
        clips[0, 0]
