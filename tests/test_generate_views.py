from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import generate
from datasets.settings import read_settings
from stylegan_v.pretrained import load_generator
from stylegan_v.sampling import memory
from tests.generate_runs import array, frames_in, make_run, refusal, run_verb

PATH = "0.5,0.5,1:0.3,0.4,8"
CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "stylegan_v_field"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("models") / "run", decoder="ConvField")


def drawn(run: Path, verb: str, out: Path, *args: object) -> np.ndarray:
    """Frames [F, H, W, 3] of an npy file that a verb writes."""
    run_verb(run, verb, "--format", "npy", "--out", out, *args)
    return array(out)


def test_width_comes_first_and_tiles_change_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = drawn(run, "sample", tmp_path / "whole.npy", "--num_frames", 3, "--size", "20x44")
    assert whole.shape == (3, 44, 20, 3) and whole.std() > 10
    assert "20x44 pixels" in capsys.readouterr().out
    tiled = drawn(run, "sample", tmp_path / "tiled.npy", "--num_frames", 3, "--size", "20x44", "--tile", 17)
    assert np.abs(tiled - whole).max() <= 1
    # A tile decides nothing that is seen: the file is complete.
    run_verb(run, "sample", "--format", "npy", "--num_frames", 3, "--size", "20x44", "--out", tmp_path / "tiled.npy")
    assert "complete already" in capsys.readouterr().out
    assert read_settings(tmp_path / "tiled.npy")["made_with"]["tile"] == 17


@pytest.mark.parametrize("mode", ["residual", "replace_last_block"])
@pytest.mark.parametrize("decoder", ["ConvField", "PointField", "NVPField"])
def test_every_decoder_is_read_again_and_draws_the_whole_in_tiles(tmp_path: Path, decoder: str, mode: str) -> None:
    made = make_run(tmp_path / "run", decoder=decoder, mode=mode)
    blocks = load_generator(made).synthesis.blocks
    assert list(blocks) == (["b4", "b8", "b16"] if mode == "residual" else ["b4", "b8"])
    how = ("--num_frames", 2, "--size", "45x33", "--zoom", "0.5,0.5,1:0.3,0.4,3")
    whole = drawn(made, "sample", tmp_path / "whole.npy", *how)
    assert whole.shape == (2, 33, 45, 3) and whole.std() > 10
    tiled = drawn(made, "sample", tmp_path / "tiled.npy", *how, "--tile", 16)
    assert np.abs(tiled - whole).max() <= 1


def test_without_size_all_is_as_before_and_a_zoom_of_one_is_none(run: Path, tmp_path: Path) -> None:
    native = drawn(run, "sample", tmp_path / "native.npy", "--num_frames", 3)
    settings = read_settings(tmp_path / "native.npy")
    assert native.shape == (3, 16, 16, 3) and "size" not in settings and "zoom" not in settings
    for name, flags in {"a": ("--size", "16x16"), "b": ("--zoom", "0.5,0.5,1")}.items():
        same = drawn(run, "sample", tmp_path / f"{name}.npy", "--num_frames", 3, *flags)
        assert (same == native).all() and "size" not in read_settings(tmp_path / f"{name}.npy")
    corner = drawn(run, "sample", tmp_path / "c.npy", "--num_frames", 3, "--zoom", "0.1,0.9,1")
    assert np.abs(corner - native).max() <= 1


def test_a_zoom_path_begins_and_ends_at_its_way_points(run: Path, tmp_path: Path) -> None:
    how = ("--num_frames", 5, "--size", "24x18")
    path = drawn(run, "sample", tmp_path / "path.npy", *how, "--zoom", PATH)
    whole = drawn(run, "sample", tmp_path / "whole.npy", *how)
    part = drawn(run, "sample", tmp_path / "part.npy", *how, "--zoom", "0.3,0.4,8")
    assert path.shape == part.shape == (5, 18, 24, 3)
    assert np.abs(path[0] - whole[0]).max() <= 1 and np.abs(path[-1] - part[-1]).max() <= 1
    assert np.abs(path[-1] - whole[-1]).max() > 10 and np.abs(path[2] - whole[2]).max() > 10
    settings = json.loads((tmp_path / "path.npy.json").read_text())
    assert settings["size"] == [18, 24] and settings["zoom"] == [[0.5, 0.5, 1.0], [0.3, 0.4, 8.0]]


def test_files_of_another_size_or_part_are_kept(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    how = ["--ckpt", str(run), "--num_frames", "2", "--format", "png", "--out", str(tmp_path)]
    generate.main(["sample", *how, "--size", "20x12"])
    assert read_settings(tmp_path / "video_00000")["size"] == [12, 20]
    before = frames_in(tmp_path / "video_00000")
    for flags, key in {("--size", "12x20"): "size", (): "size", ("--size", "20x12", "--zoom", "0,0,2"): "zoom"}.items():
        assert f"made with another {key}: --overwrite" in refusal(capsys, "sample", *how, *flags)
    assert (frames_in(tmp_path / "video_00000") == before).all()
    generate.main(["sample", *how, "--overwrite"])
    assert frames_in(tmp_path / "video_00000").shape == (2, 16, 16, 3)


@pytest.mark.parametrize(
    "verb, flags, shape",
    [
        ("loop", ("--num_videos", 2, "--num_frames", 4), (4, 18, 50, 3)),
        ("freeze", ("--num_videos", 2, "--num_frames", 2), (2, 18, 50, 3)),
        ("interpolate", ("--videos", "0,1", "--num_frames", 4), (4, 18, 24, 3)),
        ("interpolate", ("--videos", "0,1", "--num_frames", 4, "--loop"), (4, 18, 24, 3)),
        ("mix", ("--videos", 0, "--styles", "1-2", "--num_frames", 2), (2, 38, 76, 3)),
        ("grid", ("--contents", "0-2", "--motions", "0-1", "--num_frames", 2), (2, 38, 76, 3)),
        ("frames", ("--times", "7,0.25", "--num_videos", 2), (2, 18, 50, 3)),
    ],
)
def test_every_verb_draws_at_a_size(
    run: Path, tmp_path: Path, verb: str, flags: tuple[object, ...], shape: tuple[int, ...]
) -> None:
    frames = drawn(run, verb, tmp_path / "large.npy", *flags, "--size", "24x18", "--zoom", "0.4,0.6,2", "--tile", 16)
    assert frames.shape == shape
    last = frames[:, -18:, -24:]
    assert np.abs(np.diff(last, axis=0)).max() > 0 and last.std() > 5


def test_a_loop_zooms_there_and_back(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back = f"{PATH}:0.5,0.5,1"
    frames = drawn(run, "loop", tmp_path / "loop.npy", "--num_frames", 24, "--zoom", back)
    moves = np.abs(np.diff(frames[[*range(24), 0]], axis=0)).mean(axis=(1, 2, 3))
    assert 0 < moves[23] < np.median(moves)  # it rests at its ends
    told = ("loop", "--ckpt", str(run), "--out", str(tmp_path), "--zoom", PATH)
    assert "zoom: a loop ends where it begins" in refusal(capsys, *told)


def test_slices_are_of_the_large_frame(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_verb(run, "xt", "--num_frames", 5, "--size", "20x44", "--row", 40, "--out", tmp_path / "row.png")
    large = drawn(run, "sample", tmp_path / "large.npy", "--num_frames", 5, "--size", "20x44")
    assert np.abs(np.asarray(Image.open(tmp_path / "row.png")).astype(int) - large[:, 40]).max() <= 1
    assert "row: 44: frames have rows 0 to 43" in refusal(
        capsys, "xt", "--ckpt", str(run), "--size", "20x44", "--row", "44", "--out", str(tmp_path)
    )


@pytest.mark.parametrize(
    "flags, says",
    [
        (("--size", "0x20"), "size: 0x20: has no pixels"),
        (("--size=-3x20",), "size: -3x20: give width and height"),
        (("--size", "99999x99999"), "size: 99999x99999: give at most 65536"),
        (("--zoom", "0.5,1.5,2"), "zoom: 0.5,1.5,2: give the centre in [0, 1]"),
        (("--zoom", "0.5,0.5,0.5"), "zoom: 0.5,0.5,0.5: give a factor from 1 on"),
        (("--zoom", "0.5,0.5,1:"), "zoom: : give centre and factor"),
        (("--tile", "0"), "tile: 0: give a number from 1"),
    ],
)
def test_what_cannot_be_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], says: str
) -> None:
    said = refusal(capsys, "sample", "--ckpt", str(run), "--out", str(tmp_path / "new"), *flags)
    assert says in said and not (tmp_path / "new").exists()


def test_what_memory_does_not_hold_is_refused_before_anything_is_drawn(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 10**8)
    told = ("sample", "--ckpt", str(run), "--out", str(tmp_path / "new"), "--size", "2000x3000")
    assert "size: 2000x3000 for 1 videos side by side takes 0.072 GB" in refusal(capsys, *told)
    assert not (tmp_path / "new").exists()


def test_a_model_without_decoder_names_the_ways_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = make_run(tmp_path / "plain")
    said = refusal(capsys, "sample", "--ckpt", str(plain), "--out", str(tmp_path / "new"), "--size", "32x32")
    assert "size: the model has no field decoder and draws 16x16 alone" in said
    assert "configs/stylegan_v_field" in said and "generate.py upscale" in said
    assert drawn(plain, "sample", tmp_path / "native.npy", "--num_frames", 2, "--size", "16x16").shape[1:3] == (16, 16)


@pytest.mark.parametrize("verb", ["sample", "loop", "freeze", "interpolate", "mix", "grid", "frames", "xt"])
def test_help_tells_of_sizes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        generate.main([verb, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--size" in said and "Width and height of each video" in said
    assert "0.5,0.5,1:0.3,0.4,8" in said and "--tile" in said


@pytest.mark.parametrize("name", ["finetune_256_1024", "sprites_32", "tiny"])
def test_commands_in_headers_are_understood(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As far as to a run folder that is not there."""
    header = (CONFIGS / f"{name}.yaml").read_text().partition("\nseed_everything")[0]
    commands = [
        line.partition("python generate.py ")[2].split() for line in header.splitlines() if "generate.py" in line
    ]
    assert commands
    for command in commands:
        said = refusal(capsys, *[word.replace("runs/", f"{tmp_path}/") for word in command], "--out", str(tmp_path))
        assert f"{tmp_path}/" in said and "no such file or folder: give a run folder" in said, said
