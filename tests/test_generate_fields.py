"""Verbs for fitted fields, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import generate
from datasets.acceptance_video import acceptance_video
from datasets.settings import read_settings
from datasets.video_file import VideoFile
from fields.weights import read_field
from tests.fields.playback.fitted import write_field
from tests.generate_runs import frames_in, refusal

SIZE = (7, 13, 11)
FIT = """
seed_everything: 0
model:
  class_path: fields.fitting.FieldFitting
  init_args:
    model: {class_path: fields.siren_video.SirenVideo, init_args: {hidden: [16, 16]}}
    lr: 2.0e-3
    total_updates: 20
    validate_every: 1000
data: {class_path: datasets.signal_datamodule.VideoSignal, init_args: {batch_size: 256}}
trainer: {accelerator: cpu, logger: false}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A video of 7 frames of 13 x 11, a damaged one, a mask of the damage, and how a field is fitted."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hidden = np.zeros(SIZE[1:], dtype=bool)
    hidden[4:9, 3:7] = True
    Image.fromarray(hidden).save(tmp_path / "mask.png")
    for name in ("video", "damaged"):
        (tmp_path / name).mkdir()
        for number, frame in enumerate(acceptance_video(SIZE[0], SIZE[1:]).permute(0, 2, 3, 1).numpy()):
            damaged = np.where(hidden[..., None] & (name == "damaged"), np.uint8(255), frame)
            Image.fromarray(damaged).save(tmp_path / name / f"{number}.png")
    (tmp_path / "fit.yaml").write_text(FIT)
    return tmp_path


def render(folder: Path, *args: object) -> None:
    generate.main(["render", "--ckpt", str(folder), *map(str, args)])


def inpaint(folder: Path, *args: object) -> list[str]:
    given = ["--video", folder / "damaged", "--mask", folder / "mask.png", "--fit_config", folder / "fit.yaml"]
    return ["inpaint", *map(str, [*given, "--run", folder / "run", "--device", "cpu", *args])]


def test_render_writes_all_formats_at_the_rate_asked_for(tmp_path: Path) -> None:
    write_field(tmp_path / "field", "siren")
    for name in ("a.mp4", "a.webm", "a.gif", "a.webp", "a.npy", "frames"):
        render(tmp_path / "field", "--out", tmp_path / name, "--scale", 2, "--fps", 20)
        assert read_settings(tmp_path / name)["num_frames"] == 10
    video = VideoFile(tmp_path / "a.mp4")
    assert len(video) == 10 and video.fps == pytest.approx(20) and video.size == (26, 22)
    assert np.array_equal(np.load(tmp_path / "a.npy"), frames_in(tmp_path / "frames"))
    render(tmp_path / "field", "--out", tmp_path / "one.png", "--start", "0.25", "--num_frames", "1")
    assert Image.open(tmp_path / "one.png").size == (11, 13)


def test_render_refuses_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_field(tmp_path / "field", "siren", fps=None)
    out = str(tmp_path / "a.mp4")
    assert "data_fps" in refusal(capsys, "render", "--ckpt", str(tmp_path / "field"), "--out", out)
    args = ["render", "--ckpt", str(tmp_path / "field"), "--data_fps", "25", "--out"]
    assert "one picture" in refusal(capsys, *args, str(tmp_path / "a.png"))
    assert "crf" in refusal(capsys, *args, str(tmp_path / "a.gif"), "--crf", "3")
    assert "GB" in refusal(capsys, *args, out, "--scale", "100000")
    assert "no such file" in refusal(capsys, "render", "--ckpt", str(tmp_path / "missing"), "--out", out)
    (tmp_path / "broken.field").write_bytes(b"\x8fFIELD\r\n")
    assert "broken.field" in refusal(capsys, "render", "--ckpt", str(tmp_path / "broken.field"), "--out", out)
    assert not list(tmp_path.glob("a.*"))


def test_inpaint_fits_fills_and_says_how_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = ["--truth", folder / "video"]
    generate.main(inpaint(folder, "--out", folder / "filled", *truth))
    frames, damaged, video = (frames_in(folder / name) for name in ("filled", "damaged", "video"))
    hidden = np.asarray(Image.open(folder / "mask.png"))
    assert np.array_equal(frames[:, ~hidden], damaged[:, ~hidden])
    assert (frames[:, hidden] != damaged[:, hidden]).any()

    report = json.loads((folder / "filled_report.json").read_text())
    error = (((frames - video) / 255) ** 2)[:, hidden].mean((1, 2))
    assert list(report["psnr"]["hidden"]["frames"].values()) == pytest.approx((-10 * np.log10(error)).tolist())
    assert report["share_hidden"] == pytest.approx(20 / 143)
    picture = np.asarray(Image.open(folder / "filled_comparison.png"))
    assert (picture == (255, 0, 255)).all(-1).any()
    line = json.loads((folder / "run" / "validation.jsonl").read_text())
    assert "psnr_visible" in line and "psnr_hidden" not in line  # the damage is no truth

    capsys.readouterr()
    generate.main(inpaint(folder, "--out", folder / "filled", *truth))
    assert "complete already" in capsys.readouterr().out
    generate.main(inpaint(folder, "--out", folder / "pure.npy", "--no_keep_visible", "--ckpt", folder / "run"))
    pure = np.load(folder / "pure.npy").astype(int)
    assert np.array_equal(pure[:, hidden], frames[:, hidden]) and (pure != frames).any()
    assert "hidden" not in json.loads((folder / "pure_report.json").read_text())["psnr"]


def test_inpaint_goes_on_where_it_was_stopped(folder: Path) -> None:
    generate.main(inpaint(folder, "--out", folder / "part.npy", "--updates", 8))
    generate.main(inpaint(folder, "--out", folder / "rest.npy"))
    assert read_field(folder / "run").facts["updates"] == 20
    lines = (folder / "run" / "validation.jsonl").read_text().splitlines()
    assert [json.loads(line)["updates"] for line in lines] == [8, 20]  # the first ones were not made again


def test_the_video_itself_may_be_the_truth(folder: Path) -> None:
    truth = ["--video", folder / "video", "--truth", folder / "video"]
    generate.main(inpaint(folder, "--out", folder / "a.npy", *truth))
    line = json.loads((folder / "run" / "validation.jsonl").read_text())
    report = json.loads((folder / "a_report.json").read_text())["psnr"]
    assert line["psnr_hidden"]["mean"] == pytest.approx(report["hidden"]["mean"], abs=0.1)  # but for rounding to bytes


def test_inpaint_refuses_in_a_line_before_anything_is_fitted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (12, 13), 255).save(folder / "wide.png")
    Image.new("L", (11, 13), 255).save(folder / "all.png")
    Image.new("L", (11, 13), 0).save(folder / "none.png")
    np.save(folder / "long.npy", np.ones((8, 13, 11), dtype=bool))
    (folder / "single").mkdir()
    Image.new("RGB", (11, 13)).save(folder / "single" / "0.png")
    (folder / "broken.mp4").write_bytes(b"no video")
    for flag, name, words in (
        ("--mask", "wide.png", "frames are 13x11"),
        ("--mask", "all.png", "all pixels"),
        ("--mask", "none.png", "no pixel"),
        ("--mask", "long.npy", "8 frames"),
        ("--mask", "missing.png", "missing.png"),
        ("--video", "single", "at least two"),
        ("--video", "broken.mp4", "broken.mp4"),
        ("--video", "missing", "missing"),
        ("--truth", "single", "without damage"),
        ("--out", "a.jpg", "out"),
        ("--ckpt", "missing", "no such file"),
        ("--fit_config", "missing.yaml", "missing.yaml"),
    ):
        assert words in refusal(capsys, *inpaint(folder, "--out", folder / "result.mp4", flag, folder / name))
    assert not (folder / "run").exists() and not list(folder.glob("result*"))


def test_another_fit_in_the_folder_of_the_run_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate.main(inpaint(folder, "--out", folder / "a.npy"))
    before = (folder / "run" / "last.ckpt").read_bytes()
    said = refusal(capsys, *inpaint(folder, "--out", folder / "b.npy", "--video", folder / "video"))
    assert "give another --run" in said
    write_field(folder / "other", "siren")
    assert "5 frames" in refusal(capsys, *inpaint(folder, "--out", folder / "b.npy", "--ckpt", folder / "other"))
    assert (folder / "run" / "last.ckpt").read_bytes() == before
