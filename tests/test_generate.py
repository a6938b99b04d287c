from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import generate
from datasets import video_writer
from datasets.settings import read_settings
from datasets.sources import VideoFile
from stylegan_v import rendering
from stylegan_v.networks import Generator, LSTMMotion
from stylegan_v.pretrained import read_model
from stylegan_v.sampling import latents, model
from stylegan_v.sampling.model import training_fps
from tests.generate_runs import array, frames_in, make_run, refusal, run_verb, videos_in


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_one_file_per_video_with_the_length_and_rate_asked_for(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    generate.sample(str(run), str(out), num_videos=3, seconds=0.5, fps=24)
    assert videos_in(out) == [f"video_0000{i}.mp4" for i in range(3)]
    video = VideoFile(out / "video_00001.mp4")
    assert len(video) == 12 and video.fps == pytest.approx(24) and video.size == (16, 16)


def test_command_writes_one_tiled_file_where_out_is_a_file(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "samples.mp4"
    generate.main(
        ["sample", "--ckpt", str(run / "last.ckpt"), "--num_videos", "5", "--seconds", "0.3", "--out", str(out)]
    )
    video = VideoFile(out)
    assert len(video) == 3 and video.fps == pytest.approx(10)  # that of the data
    assert video.size == (2 * 18 - 2, 3 * 18 - 2)
    assert videos_in(out.parent) == ["samples.mp4"]


@pytest.mark.parametrize("flag", [["--grid"], ["--grid", "true"]])
def test_grid_in_a_folder(run: Path, tmp_path: Path, flag: list[str]) -> None:
    args = ["sample", "--ckpt", str(run), "--num_videos", "2", "--seconds", "0.2", "--out", str(tmp_path / "out")]
    generate.main([*args, *flag, "--format", "gif"])
    with Image.open(tmp_path / "out" / "grid.gif") as gif:
        assert gif.n_frames == 2 and gif.size == (2 * 18 - 2, 16)


def test_a_video_of_a_seed_is_the_same_whatever_else_is_asked_for(run: Path, tmp_path: Path) -> None:
    generate.sample(str(run), str(tmp_path / "a"), num_videos=3, seconds=1, format="png")
    generate.sample(str(run), str(tmp_path / "b"), num_videos=2, seconds=2, format="png", chunk=3)
    generate.sample(str(run), str(tmp_path / "c"), num_videos=2, seconds=1, format="png", seed=1)
    a, b, c = (frames_in(tmp_path / name / "video_00001") for name in "abc")
    assert a.shape == (10, 16, 16, 3) and b.shape == (20, 16, 16, 3)
    assert np.abs(a - b[:10]).max() <= 1
    assert np.abs(a - c).max() > 10


def test_start_and_rate_are_moments_of_one_continuous_video(run: Path, tmp_path: Path) -> None:
    generate.sample(str(run), str(tmp_path / "slow"), seconds=2, fps=40, format="png")
    generate.sample(str(run), str(tmp_path / "late"), seconds=1, fps=20, start=0.525, format="png")
    slow, late = (frames_in(tmp_path / name / "video_00000") for name in ("slow", "late"))
    assert np.abs(slow[21 : 21 + 2 * 20 : 2] - late).max() <= 1


def test_data_fps_is_the_clock_of_the_model(run: Path, tmp_path: Path) -> None:
    generate.sample(str(run), str(tmp_path / "given"), seconds=1, fps=8, data_fps=20, format="png")
    generate.sample(str(run), str(tmp_path / "same"), seconds=2, fps=4, format="png")
    given, same = (frames_in(tmp_path / name / "video_00000") for name in ("given", "same"))
    assert np.abs(given - same).max() <= 1


def test_rate_of_the_data_is_said_to_be_assumed_where_the_checkpoint_does_not_know_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "old", data_state={"update": 0})
    assert training_fps(read_model(run)) == 25
    assert "--data_fps" in capsys.readouterr().err


def test_label_chooses_the_class_of_all_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", c_dim=4)
    seen = []
    draw = latents.draw_latents
    monkeypatch.setattr(
        latents, "draw_latents", lambda *args, **options: seen.append(draw(*args, **options)) or seen[-1]
    )
    generate.sample(str(run), str(tmp_path / "out" / "x.mp4"), num_videos=3, seconds=0.1, label=2)
    assert torch.equal(seen[0].c, torch.eye(4)[[2, 2, 2]])
    generate.sample(str(run), str(tmp_path / "out" / "y.mp4"), num_videos=3, seconds=0.1, truncation_psi=0.5)
    assert torch.equal(seen[1].c.sum(dim=1), torch.ones(3))


@pytest.mark.parametrize("out", ["out", "grid.mp4"])
def test_a_full_disk_leaves_nothing_half_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    write = video_writer.EncodedWriter.write
    chunks = []

    def write_until_full(self: video_writer.EncodedWriter, frames: torch.Tensor) -> None:
        chunks.append(frames)
        if len(chunks) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, frames)

    monkeypatch.setattr(video_writer.EncodedWriter, "write", write_until_full)
    folder = tmp_path / "results"
    args = ["--ckpt", str(run), "--num_videos", "2", "--seconds", "2", "--chunk", "10", "--out", str(folder / out)]
    assert "disk is full" in refusal(capsys, "sample", *args)
    # The first video was complete when the disk filled up; of the second, or of the grid, nothing is left.
    assert videos_in(folder) == (["out/video_00000.mp4"] if out == "out" else [])


def test_ctrl_c_keeps_what_was_complete(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    render = rendering.render
    rendered = []

    def interrupted(*args: object, **options: object) -> object:
        for frames in render(*args, **options):
            rendered.append(frames)
            if len(rendered) == 3:
                raise KeyboardInterrupt
            yield frames

    monkeypatch.setattr(rendering, "render", interrupted)
    args = ["--ckpt", str(run), "--num_videos", "2", "--seconds", "2", "--chunk", "10", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as exit_:
        generate.main(["sample", *args])
    assert exit_.value.code == 130 and "interrupted" in capsys.readouterr().err
    assert videos_in(tmp_path / "out") == ["video_00000.mp4"]


def test_too_little_memory_names_the_remedy(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*args: object, **options: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(rendering, "render", exhausted)
    assert "chunk: a single frame does not fit" in refusal(
        capsys, "sample", "--ckpt", str(run), "--out", str(tmp_path / "out")
    )


@pytest.mark.parametrize("format", ["mp4", "webm", "gif", "webp", "png", "npy"])
def test_every_format_holds_its_settings_and_the_same_bytes_again(run: Path, tmp_path: Path, format: str) -> None:
    for name in "ab":
        run_verb(run, "sample", "--num_frames", 6, "--format", format, "--out", tmp_path / name)
    contents = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in "ab"
    ]
    assert contents[0] == contents[1] and len(contents[0]) == (7 if format == "png" else 2)
    settings = read_settings(tmp_path / "a" / ("video_00000" + ("" if format == "png" else f".{format}")))
    made_with = settings.pop("made_with")
    assert settings == {
        "command": "sample",
        "checkpoint": {"sha256": hashlib.sha256((run / "last.ckpt").read_bytes()).hexdigest()},
        "truncation_psi": 1.0,
        "num_frames": 6,
        "fps": 10.0,
        "data_fps": 10.0,
        "start": 0.0,
        "speed": 1.0,
        "videos": ["0:0"],
        "columns": None,
        "label": None,
        "format": format,
        "crf": None,
    }
    assert made_with["checkpoint"]["path"] == "run/last.ckpt" and made_with["versions"]["torch"] == torch.__version__
    assert made_with["chunk"] >= 1 and made_with["device"] in ("cpu", "cuda")


def test_what_is_complete_is_skipped_and_what_differs_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run_verb(run, "sample", "--num_frames", 2, "--num_videos", 2, "--out", out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    run_verb(run, "sample", "--num_frames", 2, "--num_videos", 3, "--out", out, "--chunk", 1)
    assert "3 files" in (said := capsys.readouterr().out) and "2 of them complete already" in said
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before and len(videos_in(out)) == 3
    args = ["sample", "--ckpt", str(run), "--num_frames", "2", "--truncation_psi", "0.5", "--out", str(out)]
    assert "video_00000.mp4: is there already, made with another truncation_psi" in refusal(capsys, *args)
    generate.main([*args, "--overwrite"])
    assert read_settings(out / "video_00000.mp4")["truncation_psi"] == 0.5


def test_seeds_and_numbers_name_videos(run: Path, tmp_path: Path) -> None:
    tmp_path, others = tmp_path / "out", ("video_00000", "video_00002", "video_00004")
    how = ("--num_frames", 3, "--format", "npy", "--out", tmp_path)
    run_verb(run, "sample", "--seeds", "0,5-6", *how)
    run_verb(run, "sample", "--videos", "4,2", "--seed", 5, *how)
    run_verb(run, "sample", "--seed", 5, *how)
    assert videos_in(tmp_path) == [f"{name}.npy" for name in ("seed_00000", "seed_00005", "seed_00006", *others)]
    assert np.array_equal(array(tmp_path / "seed_00005.npy"), array(tmp_path / "video_00000.npy"))
    assert np.abs(array(tmp_path / "video_00002.npy") - array(tmp_path / "video_00000.npy")).max() > 10


def test_a_grid_of_rows_and_columns(run: Path, tmp_path: Path) -> None:
    run_verb(run, "sample", "--grid", "2x3", "--num_frames", 2, "--format", "npy", "--out", tmp_path)
    run_verb(run, "sample", "--num_videos", 6, "--num_frames", 2, "--format", "npy", "--out", tmp_path)
    tiled = array(tmp_path / "grid.npy")
    assert tiled.shape == (2, 34, 52, 3)
    assert np.abs(tiled[:, 18:, 36:] - array(tmp_path / "video_00005.npy")).max() <= 1


def test_speed_and_direction_of_time(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    how = ("--format", "npy")
    run_verb(run, "sample", "--num_frames", 21, *how, "--out", tmp_path / "plain.npy")
    run_verb(run, "sample", "--num_frames", 11, "--speed", 2, *how, "--out", tmp_path / "fast.npy")
    run_verb(run, "sample", "--num_frames", 21, "--speed=-0.5", "--start", 1, *how, "--out", tmp_path / "back.npy")
    plain, fast, back = (array(tmp_path / f"{name}.npy") for name in ("plain", "fast", "back"))
    assert np.abs(fast - plain[::2]).max() <= 1 and np.abs(back[::2] - plain[10::-1]).max() <= 1
    args = ["--ckpt", str(run), "--num_frames", "21", "--speed", "-1", "--start", "1", "--out", str(tmp_path / "x")]
    assert "give a start of 2 or more" in refusal(capsys, "sample", *args)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "args, says",
    [
        (["--ckpt", "nowhere"], "nowhere: no such file or folder"),
        ([], "required: ckpt"),
        (["--ckpt", "RUN", "--num_video", "3"], "num_video: no such option: did you mean num_videos?"),
        (["--ckpt", "RUN", "--num_videos", "0"], "num_videos: "),
        (["--ckpt", "RUN", "--seconds", "-1"], "seconds: "),
        (["--ckpt", "RUN", "--start", "-0.1"], "start: "),
        (["--ckpt", "RUN", "--format", "avi"], "format: "),
        (["--ckpt", "RUN", "--label", "1"], "label: the model has no class 1: it was trained without labels"),
        (["--ckpt", "RUN", "--device", "abacus"], "device: abacus is not there"),
        (["--ckpt", "RUN", "--out", "RUN/last.ckpt"], "give a folder"),
        (["--ckpt", "RUN", "--out", "RUN/last.ckpt/out"], "last.ckpt"),
        (["--ckpt", "RUN", "--out", "TMP/video.avi"], "give a folder"),
        (["--ckpt", "RUN", "--out", "TMP/video.gif", "--format", "mp4"], "format: "),
    ],
)
def test_bad_input_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], says: str
) -> None:
    args = [arg.replace("RUN", str(run)).replace("TMP", str(tmp_path)) for arg in args]
    assert says in refusal(capsys, "sample", *args)


def test_unknown_class_of_a_model_with_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", c_dim=4)
    assert "classes are 0 to 3" in refusal(capsys, "sample", "--ckpt", str(run), "--label", "4", "--out", str(tmp_path))


@pytest.mark.parametrize(
    "verb, args, says",
    [
        ("sample", ["--out", "/proc/nothing/x"], "/proc/nothing"),
        ("sample", ["--fps", "0"], "fps: 0: give a number above 0"),
        ("sample", ["--fps", "nan"], "fps: "),
        ("sample", ["--fps", "2000"], "fps: 2000"),
        ("sample", ["--start", "nan"], "start: "),
        ("sample", ["--speed", "0"], "speed: 0"),
        ("sample", ["--num_frames", "-3"], "num_frames: -3"),
        ("sample", ["--seconds", "inf"], "seconds: "),
        ("sample", ["--seconds", "1e12"], "seconds: 1e+12"),
        ("sample", ["--crf", "99"], "crf: 99"),
        ("sample", ["--crf", "9", "--format", "gif"], "crf: .gif files take none"),
        ("sample", ["--grid", "5by5"], "grid: 5by5"),
        ("sample", ["--videos", "3-1"], "videos: 3-1"),
        ("sample", ["--videos", ""], "videos: "),
        ("sample", ["--chunk", "many"], "chunk: "),
        ("sample", ["--seed", "-1"], "seed: -1"),
        ("loop", ["--videos", "1,1"], "named twice"),
        ("grid", ["--contents", ""], "contents: "),
        ("grid", ["--what", "content"], "what: no such option"),
        ("interpolate", ["--what", "colour"], "what: "),
        ("interpolate", ["--pace", "fast"], "pace: "),
        ("freeze", ["--of", "-1"], "of: "),
        ("freeze", ["--of", "5000000000"], "of: 5000000000 is too large"),
        ("frames", [], "required: times"),
        ("frames", ["--times", "0,-1"], "times: -1: a video has moments from 0"),
        ("frames", ["--times", "now"], "times: now"),
        ("frames", ["--times", "0", "--format", "mp4"], "format: mp4"),
        ("frames", ["--times", "0", "--fps", "3"], "fps: no such option"),
        ("xt", ["--row", "16"], "row: 16: frames have rows 0 to 15"),
        ("xt", ["--row", "1", "--column", "1"], "column: row is given as well"),
        ("xt", ["--format", "mp4"], "format: mp4"),
        ("xt", ["--crf", "3"], "crf: png files take none"),
        ("xt", ["--out", "OUT/x.mp4"], "give a folder"),
        ("export", ["--opset", "7"], "opset: "),
        ("smaple", [], "invalid choice: 'smaple'"),
    ],
)
def test_bad_input_of_every_verb_is_one_line_and_leaves_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, args: list[str], says: str
) -> None:
    out = tmp_path / "out"
    args = [arg.replace("OUT", str(out)) for arg in args]
    assert says in refusal(capsys, verb, "--ckpt", str(run), "--out", str(out), *args)
    assert not out.exists() or list(out.rglob("*")) == []


@pytest.mark.parametrize("verb", ["loop", "interpolate"])
def test_motion_without_codes_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion = LSTMMotion(z_dim=4, v_dim=8, max_num_frames=32)
    made = Generator(16, z_dim=4, w_dim=8, motion=motion, channel_base=64, channel_max=8)
    monkeypatch.setattr(model, "make_generator", lambda weights: made.eval())
    assert "LSTMMotion depends on its whole past" in refusal(capsys, verb, "--ckpt", str(run), "--out", str(tmp_path))
