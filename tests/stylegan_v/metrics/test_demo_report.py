from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from torch.utils.tensorboard import SummaryWriter

from stylegan_v.checkpoints import build, write_checkpoint
from stylegan_v.metrics import demo_report as command
from stylegan_v.metrics.reals import RealClips, build_data
from stylegan_v.metrics.summary import FLOOR, FROZEN_REAL, FROZEN_SAMPLES, SAMPLES, SHUFFLED_REAL, UNTRAINED
from stylegan_v.rendering import draw_latents, render

MOTION = {"z_dim": 4, "v_dim": 8, "num_frequencies": 4, "kernel_size": 3, "max_num_frames": 32}
NETWORK = {"resolution": 16, "z_dim": 4, "w_dim": 8, "channel_base": 64, "channel_max": 8}
NETWORK["motion"] = {"class_path": "stylegan_v.networks.MotionEncoder", "init_args": MOTION}
CONFIG = {
    "model": {"init_args": {"generator": {"class_path": "stylegan_v.networks.Generator", "init_args": NETWORK}}},
    "data": {
        "class_path": "datasets.datamodule.SyntheticVideos",
        "init_args": {"num_videos": 8, "num_frames": 32, "resolution": 16},
    },
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose averaged generator shows plain grey."""
    generator = build(CONFIG["model"]["init_args"]["generator"])
    state = {f"generator_ema.{name}": torch.zeros_like(tensor) for name, tensor in generator.state_dict().items()}
    folder = tmp_path / "run"
    folder.mkdir()
    write_checkpoint({"state_dict": state, "config": yaml.safe_dump(CONFIG)}, folder / "last.ckpt")
    with SummaryWriter(str(folder)) as writer:
        for step in range(3):
            writer.add_scalar("loss/g", step, step)
    return folder


def test_report_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main([str(run), "--num_clips", "24", "--num_draws", "2"])
    printed = capsys.readouterr().out
    report = json.loads((run / "report.json").read_text())
    assert {"curves.png", "report.json", "report.md", "last.ckpt"} <= {path.name for path in run.iterdir()}
    assert list(report["rows"]) == [FLOOR, SAMPLES, FROZEN_SAMPLES, UNTRAINED, FROZEN_REAL, SHUFFLED_REAL]
    assert report["protocol"]["clips"] == 24 and report["protocol"]["reference"] == "held-out videos"
    assert "24 clips of 16 frames at 16x16" in printed and SHUFFLED_REAL in printed

    # Grey is the same frozen, and as still as frozen reals.
    frechet = {row: cells["motion_frechet"]["mean"] for row, cells in report["rows"].items()}
    assert frechet[SAMPLES] == pytest.approx(frechet[FROZEN_SAMPLES], rel=1e-4)
    assert frechet[SAMPLES] == pytest.approx(frechet[FROZEN_REAL], rel=1e-2)
    assert frechet[FLOOR] < frechet[SHUFFLED_REAL] and frechet[FLOOR] < frechet[FROZEN_REAL]
    assert len(report["draws"]) == 2 and report["draws"][0] != report["draws"][1]


def test_report_elsewhere_leaves_the_run_alone(run: Path, tmp_path: Path) -> None:
    before = sorted(run.iterdir())
    command.demo_report(str(run / "last.ckpt"), num_clips=4, num_draws=2, out=str(tmp_path / "report"))
    assert sorted(run.iterdir()) == before
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["curves.png", "report.json", "report.md"]


def test_samples_are_independent_videos_at_the_times_of_training() -> None:
    generator = command.fresh_generator(CONFIG, seed=0)
    reals = RealClips(build_data(CONFIG), num_clips=20, num_frames=16)
    seen = []
    clips = command.sample_clips(generator, reals, draw=1, progress=seen.append)
    assert seen == [16, 4] and clips.shape == (20, 16, 3, 16, 16)
    # Videos 20 to 39 of the seed; the second group has a start of its own.
    t = float(reals.starts(1, 2)[1]) + torch.arange(16, dtype=torch.float64)
    (expected,) = render(generator, draw_latents(generator, 0, [37]), t)
    assert (clips[17].int() - expected[0].int()).abs().max() <= 1


def test_fresh_generator_is_a_function_of_the_seed_and_leaves_torch_alone() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (command.fresh_generator(CONFIG, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first.synthesis.const, again.synthesis.const)
    assert not torch.equal(first.synthesis.const, other.synthesis.const)


@pytest.mark.parametrize(
    "args, says",
    [
        (["nowhere"], "nowhere: no checkpoint there"),
        (["RUN", "--num_draws", "1"], "num_draws"),
        (["RUN", "--out", "RUN/last.ckpt"], "is a file"),
    ],
)
def test_bad_input_is_one_line(run: Path, capsys: pytest.CaptureFixture[str], args: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        command.main([arg.replace("RUN", str(run)) for arg in args])
    assert exit_.value.code == 2
    assert says in capsys.readouterr().err
