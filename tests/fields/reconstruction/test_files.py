from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from errors import InputError
from fields.reconstruction.files import pairs_of, save


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def write_frames(folder: Path, levels: list[int], height: int = 8, width: int = 10) -> Path:
    """A video of even frames; numbers in the names are not padded."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, level in enumerate(levels):
        Image.new("RGB", (width, height), (level, level, level)).save(folder / f"frame{number}.png")
    return folder


def test_frames_come_in_natural_order_and_in_chunks(tmp_path: Path) -> None:
    made, wanted = write_frames(tmp_path / "made", list(range(12))), write_frames(tmp_path / "wanted", [7] * 12)
    (pair,) = pairs_of(made, wanted)
    assert pair.name == "wanted"
    parts = list(pair.chunks(5, "cpu"))
    assert [len(result) for result, _ in parts] == [5, 5, 2]
    result, reference = (torch.cat(side) for side in zip(*parts, strict=True))
    assert (result[:, 0, 0, 0] * 255).round().tolist() == list(range(12))
    assert result.shape == (12, 3, 8, 10) and (reference * 255).round().unique().tolist() == [7]


def test_several_videos_are_matched_by_name(tmp_path: Path) -> None:
    for name, level in (("v2", 2), ("v10", 10)):
        write_frames(tmp_path / "made" / name, [level] * 3)
        write_frames(tmp_path / "wanted" / name, [level] * 3)
    pairs = pairs_of(tmp_path / "made", tmp_path / "wanted")
    assert [pair.name for pair in pairs] == ["v2", "v10"]
    for pair in pairs:
        ((result, reference),) = pair.chunks(3, "cpu")
        assert torch.equal(result, reference)


@pytest.mark.parametrize(
    "made, wanted, says",
    [
        (["a"], ["a", "b"], "made: has no video b"),
        (["a", "b", "c"], ["a", "b"], "wanted: has no video c"),
        (["a", "x"], ["a", "b"], "made: has no video b"),
    ],
)
def test_videos_that_lack_a_partner_are_refused(tmp_path: Path, made: list[str], wanted: list[str], says: str) -> None:
    for root, names in (("made", made), ("wanted", wanted)):
        for name in names:
            write_frames(tmp_path / root / name, [1, 2])
    with pytest.raises(InputError, match=says):
        pairs_of(tmp_path / "made", tmp_path / "wanted")


def test_one_video_beside_several_is_refused(tmp_path: Path) -> None:
    wanted = write_frames(tmp_path / "wanted", [1, 2])
    for name in "abc":
        write_frames(tmp_path / "made" / name, [1, 2])
    with pytest.raises(InputError, match=r"made has 3 videos, .*wanted has 1"):
        pairs_of(tmp_path / "made", wanted)


def test_other_lengths_and_sizes_are_refused(tmp_path: Path) -> None:
    wanted = write_frames(tmp_path / "wanted", [1] * 3)
    with pytest.raises(InputError, match="the result has 2 frames, the reference 3"):
        pairs_of(write_frames(tmp_path / "short", [1] * 2), wanted)
    with pytest.raises(InputError, match="the result's frames are 4x10, the reference's 8x10"):
        pairs_of(write_frames(tmp_path / "small", [1] * 3, height=4), wanted)


def test_no_frame_is_resized_or_replaced_unseen(tmp_path: Path) -> None:
    wanted, made = write_frames(tmp_path / "wanted", [1] * 3), write_frames(tmp_path / "made", [1] * 3)
    (pair,) = pairs_of(made, wanted)
    Image.new("RGB", (12, 8)).save(made / "frame2.png")
    with pytest.raises(InputError, match="made: frame 2 is 8x12, the first 8x10"):
        list(pair.chunks(2, "cpu"))
    (made / "frame2.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="made: frame 2 cannot be decoded"):
        list(pair.chunks(2, "cpu"))


def test_a_damaged_video_is_not_left_out_unseen(tmp_path: Path) -> None:
    for root in ("made", "wanted"):
        write_frames(tmp_path / root / "a", [1, 2])
        write_frames(tmp_path / root / "b", [1, 2])
    (tmp_path / "made" / "c.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"c\.mp4: .*mend or remove it"):
        pairs_of(tmp_path / "made", tmp_path / "wanted")


def write_video(path: Path) -> list[np.ndarray]:
    """A lossless video file; its frames."""
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "bgr0"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return list(frames)


def test_a_video_file_beside_a_folder_of_its_frames(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number, image in enumerate(write_video(tmp_path / "video.mkv")):
        Image.fromarray(image).save(tmp_path / "frames" / f"{number}.png")
    (pair,) = pairs_of(tmp_path / "frames", tmp_path / "video.mkv")
    assert pair.name == "video.mkv"
    for result, reference in pair.chunks(2, "cpu"):
        assert torch.equal(result, reference)


def test_names_that_differ_in_their_suffix_alone_are_refused(tmp_path: Path) -> None:
    for root in ("made", "wanted"):
        (tmp_path / root).mkdir()
        write_video(tmp_path / root / "a.mkv")
        write_video(tmp_path / root / "b.mkv")
    shutil.copy(tmp_path / "made" / "a.mkv", tmp_path / "made" / "a.avi")
    with pytest.raises(InputError, match="made: has two videos a: rename one"):
        pairs_of(tmp_path / "made", tmp_path / "wanted")


def test_files_are_written_whole(tmp_path: Path) -> None:
    save(tmp_path / "new", {"a": 1}, Image.new("RGB", (4, 4)))
    assert json.loads((tmp_path / "new" / "reconstruction.json").read_text()) == {"a": 1}
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["reconstruction.json", "reconstruction.png"]
    with pytest.raises(TypeError):
        save(tmp_path / "new", {"a": object()}, Image.new("RGB", (4, 4)))
    assert json.loads((tmp_path / "new" / "reconstruction.json").read_text()) == {"a": 1}
    assert len(list((tmp_path / "new").iterdir())) == 2
