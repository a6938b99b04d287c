from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import generate
from datasets import video_writer
from datasets.sources import VideoFile
from stylegan_v import rendering
from stylegan_v.checkpoints import build, write_checkpoint
from stylegan_v.pretrained import read_model
from stylegan_v.sampling import latents
from stylegan_v.sampling.model import training_fps

ROOT = Path(__file__).resolve().parents[1]


def make_run(folder: Path, c_dim: int = 0, data_state: dict[str, float] | None = None) -> Path:
    """A run folder with the checkpoint of a tiny untrained model."""
    motion = {"z_dim": 4, "v_dim": 8, "c_dim": c_dim, "num_frequencies": 4, "kernel_size": 3, "max_num_frames": 32}
    network = {"resolution": 16, "z_dim": 4, "w_dim": 8, "c_dim": c_dim, "channel_base": 64, "channel_max": 8}
    network["motion"] = {"class_path": "stylegan_v.networks.MotionEncoder", "init_args": motion}
    config = {
        "model": {"init_args": {"generator": {"class_path": "stylegan_v.networks.Generator", "init_args": network}}},
        "data": {"class_path": "datasets.datamodule.SyntheticVideos", "init_args": {}},
    }
    torch.manual_seed(0)
    state = build(config["model"]["init_args"]["generator"]).state_dict()
    checkpoint = {
        "state_dict": {f"generator_ema.{name}": tensor for name, tensor in state.items()},
        "config": yaml.safe_dump(config),
        "SyntheticVideos": data_state or {"update": 0, "fps": 10.0},
    }
    folder.mkdir(parents=True)
    write_checkpoint(checkpoint, folder / "last.ckpt")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def frames_in(folder: Path) -> np.ndarray:
    """The png frames of a folder, [F, H, W, 3]."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]).astype(int)


def videos_in(folder: Path) -> list[str]:
    """What lies in a folder, however deep; the settings beside each file, which have to be there, left out."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    files = {name for name in names if not name.endswith(".json")}
    assert names == files | {f"{name}.json" for name in files}
    return sorted(files)


def refusal(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """What the command says before it exits with code 2: one line."""
    with pytest.raises(SystemExit) as exit_:
        generate.main(list(args))
    assert exit_.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("generate.py")]
    assert len(lines) == 1
    return lines[0]


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


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, generate\n"
        "try:\n"
        "    generate.main(['sample', '--help'])\n"
        "except SystemExit:\n"
        "    heavy = {'torch', 'numpy', 'torchvision', 'pytorch_lightning', 'av', 'decord', 'tensorboard'}\n"
        "    sys.exit(', '.join(heavy & sys.modules.keys()) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--num_videos" in done.stdout and "How many videos" in done.stdout
