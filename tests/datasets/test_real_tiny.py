from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets import real_tiny
from datasets.clips import fit
from datasets.datamodule import VideoFolder
from datasets.frame_sampling import RandomSpans
from datasets.packages import Archive
from datasets.real_tiny import Film, cut_film, save_shots
from datasets.synthetic import SpriteVideo
from errors import InputError


class Bordered(SpriteVideo):
    """Black bars above and below."""

    def render(self, times: np.ndarray) -> np.ndarray:
        frames = super().render(times)
        frames[:, :8] = frames[:, -8:] = 0
        return frames


FILM = Film("film", Archive("package==1.0", "package.whl", ""), "package/film.mp4", first_frame=5, rows=(8, 40))


def test_titles_and_borders_are_left_out() -> None:
    source = Bordered(0, 70, (48, 64))
    frames = cut_film(source, FILM, (16, 16))
    assert frames.shape == (65, 3, 16, 16)
    assert torch.equal(frames, fit(SpriteVideo(0, 70, (48, 64)).read(range(5, 70))[:, :, 8:40], (16, 16)))


def test_every_long_enough_shot_is_a_folder_of_its_frames(tmp_path: Path) -> None:
    shots = [SpriteVideo(seed, length, (16, 16)).read(range(length)) for seed, length in enumerate([20, 6, 30])]
    names = save_shots(FILM, torch.cat(shots), 16, tmp_path)
    assert names == ["film_0005", "film_0031"] == sorted(folder.name for folder in tmp_path.iterdir())
    for name, shot in zip(names, shots[::2], strict=True):
        files = sorted((tmp_path / name).iterdir())
        assert len(files) == len(shot)
        for file, frame in zip(files, shot, strict=True):
            assert np.array_equal(np.asarray(Image.open(file)), frame.permute(1, 2, 0).numpy())


def test_shots_that_are_there_are_kept(tmp_path: Path) -> None:
    frames = SpriteVideo(0, 20, (16, 16)).read(range(20))
    save_shots(FILM, frames, 16, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    save_shots(FILM, frames, 16, tmp_path)
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the archive of a package that holds one film of two shots; returns the folder."""
    from datasets.video_writer import open_writer

    with open_writer(tmp_path / "film.mp4", 12.5) as writer:
        for seed, length in [(0, 20), (1, 25)]:
            writer.write(SpriteVideo(seed, length, (96, 128)).read(range(length)))
    folder = tmp_path / "archives"
    folder.mkdir()
    with zipfile.ZipFile(folder / "package.whl", "w") as archive:
        archive.write(tmp_path / "film.mp4", "package/film.mp4")
    sha256 = hashlib.sha256((folder / "package.whl").read_bytes()).hexdigest()
    film = Film("film", Archive("package==1.0", "package.whl", sha256), "package/film.mp4")
    monkeypatch.setattr(real_tiny, "FILMS", (film,))
    return folder


@pytest.mark.slow
def test_the_command_makes_a_store_to_train_from(tmp_path: Path, package: Path) -> None:
    dst = tmp_path / "data" / "real"
    real_tiny.main([str(dst), "--resolution", "32", "--archives", str(package)])
    assert [path.name for path in dst.parent.iterdir()] == ["real"], "nothing else is left behind"

    data = VideoFolder(dst, 32, RandomSpans(3), batch_size=2, num_workers=0, cache_dir=tmp_path / "cache")
    data.setup("fit")
    assert data.video_lengths.tolist() == [20, 25] and data.fps == 12.5
    batch = next(iter(data.train_dataloader()))
    for n, clip in enumerate(batch["clip"]):
        seed = data.clips().video_at(n)
        original = fit(SpriteVideo(seed, 25, (96, 128)).read(batch["t"][n].tolist()), (32, 32))
        assert (clip.float() - original.float()).abs().mean() < 6, "the frames of that shot at those times"


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(real_tiny, "prepare", interrupt)
    with pytest.raises(SystemExit) as stopped:
        real_tiny.main([str(tmp_path / "real"), "--resolution", "32", "--archives", str(package)])
    assert stopped.value.code == 130 and "run the same command again" in capsys.readouterr().err
    assert len(list((tmp_path / ".real-work" / "shots").iterdir())) == 3, "two shots and their manifest are kept"


@pytest.mark.slow
def test_a_zip_is_made_by_its_name_and_never_over_another(tmp_path: Path, package: Path) -> None:
    real_tiny.main([str(tmp_path / "real.zip"), "--resolution", "32", "--archives", str(package)])
    assert zipfile.is_zipfile(tmp_path / "real.zip")
    with pytest.raises(SystemExit):
        real_tiny.main([str(tmp_path / "real.zip"), "--archives", str(package)])


def test_an_unreachable_package_is_one_clear_error(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (package / "package.whl").unlink()
    with pytest.raises(SystemExit) as stopped:
        real_tiny.main([str(tmp_path / "real"), "--archives", str(package)])
    assert stopped.value.code == 2
    assert "package==1.0: pip cannot fetch it" in capsys.readouterr().err


@pytest.mark.slow
def test_the_real_films(tmp_path: Path) -> None:
    """The packages of the registry; needs a connection to it."""
    try:
        real_tiny.real_tiny(tmp_path / "real", resolution=64)
    except InputError as error:
        if "pip cannot fetch" not in str(error):
            raise
        pytest.skip(str(error))
    data = VideoFolder(tmp_path / "real", 64, RandomSpans(3), batch_size=25, num_workers=0, cache_dir=tmp_path / "c")
    data.setup("fit")
    assert len(data.video_lengths) == 25 and data.video_lengths.sum() == 1789
    batch = next(iter(data.train_dataloader()))
    assert batch["clip"].shape == (25, 3, 3, 64, 64)
    clips = batch["clip"].float()
    assert clips.std(dim=(1, 2, 3, 4)).min() > 10, "pictures, not blank frames"
    assert (clips[:, 0] - clips[:, 2]).abs().mean() > 2, "that move"
