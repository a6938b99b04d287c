from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from errors import InputError
from stylegan_v.metrics.motion.comparison import Plan, compare, open_sides
from stylegan_v.weights import CONFIG, GENERATOR, write_weights
from tests.stylegan_v import tiny_gan
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting

MOTION = {"z_dim": 6, "v_dim": 8, "num_frequencies": 8, "distance": 8, "kernel_size": 3, "max_num_frames": 32}
SIZES = {"resolution": 16, "z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8, "conv_clamp": None}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def write_run(folder: Path, c_dim: int = 0) -> Path:
    """A folder with a generator that has not been trained, and with data of synthetic videos."""
    motion = {"class_path": "stylegan_v.networks.MotionEncoder", "init_args": {**MOTION, "c_dim": c_dim}}
    generator = {
        "class_path": "stylegan_v.networks.Generator",
        "init_args": {**SIZES, "c_dim": c_dim, "motion": motion},
    }
    data = {"num_videos": 5, "num_frames": 48, "resolution": 16, "labelled": c_dim > 0}
    config = {
        "model": {"class_path": "stylegan_v.gan.VideoGAN", "init_args": {"generator": generator}},
        "data": {"class_path": "datasets.datamodule.SyntheticVideos", "init_args": data},
    }
    folder.mkdir()
    (folder / CONFIG).write_text(yaml.safe_dump(config))
    write_weights(folder / GENERATOR, {"generator_ema": tiny_gan.generator(c_dim).state_dict()}, {})
    return folder


def write_videos(folder: Path, num_videos: int, num_frames: int, *, period: float, size: int = 16) -> Path:
    """Prepared stores of patterns that go round."""
    folder.mkdir()
    angle = 2 * np.pi * np.arange(num_frames) / period
    for seed in range(num_videos):
        clip = as_bytes(drifting(3 * np.sin(angle), 3 * np.cos(angle), (size, size), seed))
        np.save(folder / f"{seed}.npy", clip)
    return folder


def test_generator_beside_the_data_of_its_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    report = compare(str(run), None, Plan(num_videos=3, num_frames=48), tmp_path / "new" / "report")
    assert sorted(path.name for path in (tmp_path / "new" / "report").iterdir()) == ["motion.json", "motion.png"]
    protocol, figures = report["protocol"], report["figures"]
    assert protocol["real"] == f"data of {run}" and protocol["distance"] == 8 and protocol["resolution"] == [16, 16]
    # The encoding of time has corners at its knots, and synthetic videos have none.
    assert figures["knot_jump"]["fake"]["value"] > 1.5
    assert figures["knot_jump"]["real"]["value"] == pytest.approx(1, abs=0.15)
    assert figures["recurrence"]["fake"]["value"] is None
    assert "recurrence: needs 66 frames or more: give more --num_frames" in report["notes"]
    assert "second difference between knots, over its mean" in report["curves"]


def test_chunks_do_not_matter_and_the_seed_does(tmp_path: Path) -> None:
    run = str(write_run(tmp_path / "run"))
    plans = [Plan(2, 24, chunk=chunk, seed=seed) for chunk, seed in ((32, 0), (5, 0), (32, 1))]
    first, again, other = (compare(run, None, plan, tmp_path / "out")["figures"] for plan in plans)
    for name, row in first.items():
        for key, value in row["real"].items():
            assert value is again[name]["real"][key] or value == pytest.approx(again[name]["real"][key], rel=1e-6), name
    # Of generated frames a few round to the next grey level, as convolutions of another batch size differ in rounding.
    for name in ("frame_change", "knot_jump", "drift_level", "spectrum_distance"):
        assert first[name]["fake"]["value"] == pytest.approx(again[name]["fake"]["value"], rel=0.01), name
        assert first[name]["fake"]["value"] != other[name]["fake"]["value"], name


def test_videos_beside_videos(tmp_path: Path) -> None:
    looping = write_videos(tmp_path / "looping", 2, 100, period=20)
    slow = write_videos(tmp_path / "slow", 4, 110, period=1000, size=24)
    report = compare(str(looping), str(slow), Plan(4, 96, distance=16), tmp_path / "out")
    figures = report["figures"]
    assert figures["looping"]["fake"]["value"] == 1 and figures["looping"]["real"]["value"] == 0
    assert figures["reversal_rate"]["fake"]["value"] == 1 and figures["reversal_rate"]["real"]["value"] == 0
    assert figures["knot_jump"]["fake"]["value"] == pytest.approx(1, abs=0.2)
    assert report["protocol"]["resolution"] == [16, 16]
    assert "looping, fake: the period is 20.0 frames in the middle of the looping videos" in report["notes"]
    assert "fake: only 2 videos are long enough, so some are seen more than once" in report["notes"]
    told_apart = compare(str(looping), str(slow), Plan(2, 96), tmp_path / "out")
    assert told_apart["figures"]["knot_jump"]["fake"]["value"] is None
    assert any("give --distance" in note for note in told_apart["notes"])


def test_data_set_beside_itself_shows_other_videos(tmp_path: Path) -> None:
    config = str(write_run(tmp_path / "run") / CONFIG)
    sides, _ = open_sides(config, config, Plan(2, 16))
    (fake,), (real,) = (videos.parts(0, 16) for videos in (sides.fake, sides.real))
    assert fake.shape == real.shape and not torch.equal(fake, real)


def test_labels_of_the_real_videos_where_there_are_some(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", c_dim=4)
    sides, _ = open_sides(str(run), None, Plan(3, 16))
    assert sides.labels == "those of the real videos" and torch.equal(sides.fake.c, sides.real.labels(3))
    videos = write_videos(tmp_path / "videos", 2, 20, period=9)
    sides, _ = open_sides(str(run), str(videos), Plan(3, 16))
    assert sides.labels == "all classes equally" and sides.fake.c is None


@pytest.mark.parametrize(
    "distance, says",
    [(100.0, "no knot, of one every 100 frames, is inside"), (1.0, "nothing between them"), (16.0, None)],
)
def test_why_there_is_no_jump(tmp_path: Path, distance: float, says: str | None) -> None:
    videos = str(write_videos(tmp_path / "videos", 2, 40, period=9))
    report = compare(videos, videos, Plan(2, 40, distance=distance), tmp_path / "out")
    assert (report["figures"]["knot_jump"]["fake"]["value"] is None) == (says is not None)
    assert any(says in note for note in report["notes"]) if says else not any("knot" in n for n in report["notes"])


def test_imagined_knots_lie_anywhere() -> None:
    phases = Plan(200, 64, distance=16).phases()
    assert set(phases) == set(range(16)) and np.array_equal(phases, Plan(200, 64, distance=16).phases())
    assert not Plan(4).phases().any()


def test_videos_need_real_ones_beside_them(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "videos", 2, 20, period=9)
    with pytest.raises(InputError, match="--real"):
        open_sides(str(videos), None, Plan(2, 16))
