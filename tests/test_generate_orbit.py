"""``generate.py orbit``: videos of a run that fitted a scene."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import generate
import train

CONFIGS = Path(__file__).parents[1] / "configs" / "fields"
SMALL = ["--data.size", "[8,10]", "--data.num_views", "4", "--data.num_test_views", "1", "--data.batch_size", "32"]
NETWORK = {"num_samples": "[6]", "num_octaves": "3", "width": "12", "depth": "2", "colour_width": "8"}


def fit(name: str, runs: Path) -> Path:
    """A run of a config, small and short."""
    network = [part for key, value in NETWORK.items() for part in (f"--model.model.init_args.{key}", value)]
    length = ["--model.total_updates", "3", "--runs_dir", str(runs)]
    train.main(["fit", "--config", str(CONFIGS / f"{name}.yaml"), *SMALL, *network, *length])
    return runs / name


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("nerf_spheres_cam", "dnerf_spheres_cam"):
        fit(name, folder)
    return folder


def orbit(*flags: object) -> None:
    generate.main(["orbit", *map(str, flags), "--device", "cpu"])


def frames(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


def test_a_folder_of_frames_of_the_size_that_was_trained(runs: Path, tmp_path: Path) -> None:
    orbit("--ckpt", runs / "nerf_spheres_cam", "--num_frames", 3, "--out", tmp_path / "frames")
    found = frames(tmp_path / "frames")
    assert found.shape == (3, 8, 10, 3) and (found[0] != found[1]).any()


def test_a_whole_turn_ends_before_its_first_frame_comes_again(runs: Path, tmp_path: Path) -> None:
    ckpt = runs / "nerf_spheres_cam" / "last.ckpt"
    orbit("--ckpt", ckpt, "--num_frames", 4, "--out", tmp_path / "one")
    orbit("--ckpt", ckpt, "--num_frames", 2, "--turns", 0.5, "--azimuth", 180, "--out", tmp_path / "half")
    difference = frames(tmp_path / "one")[2:].astype(int) - frames(tmp_path / "half")
    assert abs(difference).max() <= 1


def test_time_is_frozen_or_runs(runs: Path, tmp_path: Path) -> None:
    still = ["--ckpt", runs / "dnerf_spheres_cam", "--num_frames", 3, "--turns", 0, "--size", "12x6"]
    for name, time in (("frozen", "0.5"), ("running", "running"), ("default", None)):
        orbit(*still, *(["--time", time] if time else []), "--out", tmp_path / name)
    frozen, running, default = (frames(tmp_path / name) for name in ("frozen", "running", "default"))
    assert frozen.shape == (3, 6, 12, 3)
    assert (frozen == frozen[0]).all() and (frozen[0] == running[1]).all() and (running == default).all()


@pytest.mark.parametrize("suffix", ["mp4", "gif", "webp"])
def test_videos_are_written_as_their_names_end(runs: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"orbit.{suffix}"
    flags = ["--ckpt", runs / "nerf_spheres_cam", "--num_frames", 2, "--size", "16x16", "--out", out]
    orbit(*flags)
    settings = json.loads(out.with_name(f"{out.name}.json").read_text())
    assert (settings["command"], settings["num_frames"], settings["size"]) == ("orbit", 2, [16, 16])
    written = out.read_bytes()
    orbit(*flags)
    assert out.read_bytes() == written


def test_what_is_complete_is_kept_and_other_settings_ask(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--ckpt", runs / "nerf_spheres_cam", "--num_frames", 2, "--out", tmp_path / "orbit.gif"]
    orbit(*flags)
    orbit(*flags)
    assert "complete already" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        orbit(*flags, "--elevation", 10)
    assert end.value.code == 2 and "--overwrite replaces it" in capsys.readouterr().err
    before = (tmp_path / "orbit.gif").read_bytes()
    orbit(*flags, "--elevation", 10, "--overwrite")
    assert (tmp_path / "orbit.gif").read_bytes() != before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--time", "0.5"], "this scene does not move"),
        (["--size", "big"], "size: big: give width and height"),
        (["--size", "99999x2"], "size: 99999x2"),
        (["--elevation", "95"], "elevation: 95 degrees"),
        (["--radius", "-1"], "radius: -1"),
        (["--fps", "0"], "fps: 0"),
        (["--out", "orbit.txt"], "orbit.txt: give a name that ends in"),
        (["--num_frames", "0"], "num_frames: 0"),
        (["--device", "tpu9"], "device: tpu9"),
    ],
)
def test_wrong_flags_are_one_line(
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        generate.main(["orbit", "--ckpt", str(runs / "nerf_spheres_cam"), "--num_frames", "1", *flags])
    said = capsys.readouterr().err.strip().splitlines()
    assert end.value.code == 2 and words in said[-1]
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_radiance_field_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fields.siren_video import SirenVideo
    from fields.weights import save_field

    node = {"class_path": "fields.siren_video.SirenVideo", "init_args": {"size": [2, 4, 4], "hidden": [4]}}
    save_field(tmp_path / "field", node, SirenVideo((2, 4, 4), hidden=(4,)).state_dict(), {})
    with pytest.raises(SystemExit) as end:
        orbit("--ckpt", tmp_path / "field", "--out", tmp_path / "a.gif")
    assert end.value.code == 2 and "SirenVideo, which is no radiance field" in capsys.readouterr().err


def test_weights_whose_facts_tell_of_the_scene_are_enough(runs: Path, tmp_path: Path) -> None:
    from datasets.sphere_scene import take_views
    from fields.codec.coding import Settings, encode
    from fields.weights import read_field, save_field

    stored = read_field(runs / "nerf_spheres_cam")
    save_field(tmp_path / "field", stored.node, stored.state, take_views(4, (8, 10)).facts)
    (tmp_path / "coded").write_bytes(encode(stored, Settings()))
    of_run = tmp_path / "of_run"
    orbit("--ckpt", runs / "nerf_spheres_cam", "--num_frames", 2, "--out", of_run)
    for name in ("field", "coded"):
        orbit("--ckpt", tmp_path / name, "--num_frames", 2, "--out", tmp_path / f"of_{name}")
        assert (frames(of_run) == frames(tmp_path / f"of_{name}")).all()
