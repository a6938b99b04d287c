from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylegan_v.inspect.__main__ import main
from stylegan_v.inspect.opening import open_contents
from stylegan_v.inspect.pictures import motion_strip, sample_grid
from stylegan_v.inspect.report import describe
from stylegan_v.inspect.text import as_text
from stylegan_v.pretrained import load_generator, make_generator
from stylegan_v.weights import Weights
from tests.stylegan_v.inspect.files import ROOT, SNAPSHOT


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


def drawn(path: Path, **how: float) -> np.ndarray:
    return sample_grid(load_generator(path), 4, **how).permute(1, 2, 0).numpy()


def refusal(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """What the command says before it exits with code 2: one line."""
    with pytest.raises(SystemExit) as exit_:
        main(list(args))
    assert exit_.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("inspect: error: ")
    return lines[0]


def test_run_is_described_and_drawn(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(run)])
    out = capsys.readouterr().out
    assert out.startswith(as_text(describe(open_contents(run))))
    assert f"{run / 'last_samples.png'}: seed 0, truncation 1, by generator_ema" in out
    picture = pixels(run / "last_samples.png")
    assert picture.shape == (4 * 34 - 2, 4 * 34 - 2, 3)
    assert np.array_equal(picture, drawn(run))
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "last.ckpt", "last_samples.png"]


def test_every_form_of_the_same_weights_draws_the_same(run: Path, model_folder: Path, generator_file: Path) -> None:
    kept = shutil.copy(run / "last.ckpt", run / "kimg000000.048.ckpt")
    expected = drawn(run)
    for path, picture in (
        (kept, "kimg000000.048_samples.png"),
        (model_folder, "model_samples.png"),
        (generator_file, "generator_samples.png"),
    ):
        main([str(path), "--tensors", "none"])
        folder = path if path.is_dir() else path.parent
        assert np.array_equal(pixels(folder / picture), expected)


def test_snapshot_and_state_file_draw_as_their_conversion(
    converted: Weights, state_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copy(SNAPSHOT, state_file.parent))
    expected = sample_grid(make_generator(converted), 4).permute(1, 2, 0).numpy()
    for path in (copy, state_file):
        main([str(path)])
        assert np.array_equal(pixels(path.with_name(f"{path.stem}_samples.png")), expected)
        assert "networks\n  G  " in capsys.readouterr().out
    pictures = ["official_style_small_samples.png", "state_samples.png"]
    assert sorted(path.name for path in copy.parent.iterdir()) == sorted([copy.name, state_file.name, *pictures])


def test_options_of_the_pictures(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "look.png"
    main([str(run), "--out", str(out), "--grid", "2", "--strip", "3", "--step", "2.5", "--seed", "7"])
    generator = load_generator(run)
    assert np.array_equal(pixels(out), sample_grid(generator, 2, seed=7).permute(1, 2, 0))
    strip = motion_strip(generator, 2, 3, 2.5, seed=7)
    assert np.array_equal(pixels(out.with_name("look_strip.png")), strip.permute(1, 2, 0))

    main([str(run), "--out", str(tmp_path), "--grid", "0", "--strip", "2", "--truncation_psi", "0.5"])
    assert not (tmp_path / "last_samples.png").exists()
    strip = motion_strip(generator, 4, 2, 4, truncation_psi=0.5)
    assert np.array_equal(pixels(tmp_path / "last_strip.png"), strip.permute(1, 2, 0))


def test_either_generator_can_draw(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(run), "--network", "generator"])
    expected = sample_grid(load_generator(run, ema=False), 4).permute(1, 2, 0)
    assert np.array_equal(pixels(run / "last_samples.png"), expected)
    assert "by generator\n" in capsys.readouterr().out


def test_picture_can_be_left_out(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(run), "--grid", "0"])
    assert "samples.png" not in capsys.readouterr().out
    assert not list(run.glob("*.png"))


def test_file_without_generator_says_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    state = {name: t for name, t in checkpoint["state_dict"].items() if not name.startswith("generator")}
    torch.save(checkpoint | {"state_dict": state}, run / "last.ckpt")
    main([str(run)])
    out = capsys.readouterr().out
    assert "no picture: there is no generator here" in out and "discriminator" in out
    assert not list(run.glob("*.png"))
    assert "holds no generator" in refusal(capsys, str(run), "--network", "generator")


def test_json_holds_the_report_and_the_pictures(run: Path, tmp_path: Path) -> None:
    main([str(run), "--json", str(tmp_path / "a" / "report.json"), "--strip", "2"])
    found = json.loads((tmp_path / "a" / "report.json").read_text())
    pictures = found.pop("pictures")
    assert found == describe(open_contents(run))
    assert len(found["tensors"]) == len(torch.load(run / "last.ckpt", weights_only=True)["state_dict"])
    how = {"network": "generator_ema", "seed": 0, "truncation_psi": 1.0}
    assert pictures == {
        "samples": {"path": str(run / "last_samples.png"), "grid": 4, **how},
        "strip": {"path": str(run / "last_strip.png"), "moments": 2, "step": 4.0, **how},
    }


@pytest.mark.parametrize(
    "args, says",
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["{run}", "--out", "picture.jpg"], "picture.jpg: give the name of a .png file"),
        (["{run}", "--tensors", "some"], "tensors"),
        (["{run}", "--grid", "-1"], "grid: -1: give a number from 0"),
        (["{run}", "--strip", "1000000"], "strip: 1000000: give a number from 0"),
        (["{run}", "--strip", "4", "--step", "0"], "step: 0: give a number of frames above 0"),
        (["{run}", "--sed", "3"], "sed: no such option: did you mean seed?"),
        (["{run}", "--json", "{run}/last.ckpt"], "last.ckpt: give the name of a .json file"),
        (["{run}", "--json", "{empty}"], "empty: give the name of a .json file"),
        (["{run}/config.yaml"], "config.yaml: not a checkpoint"),
        (["{empty}"], "holds no weights"),
    ],
)
def test_bad_input_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], says: str
) -> None:
    (tmp_path / "empty").mkdir()
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert says in refusal(capsys, *(arg.format(run=run, empty=tmp_path / "empty") for arg in args))
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_file_without_its_config_is_described_and_not_drawn(
    generator_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator_file.with_name("config.yaml").unlink()
    main([str(generator_file)])
    out = capsys.readouterr().out
    assert "synthesis.blocks.b8" in out and "config.yaml: missing" in out and "no picture" in out
    assert "config.yaml: missing" in refusal(capsys, str(generator_file), "--network", "generator_ema")
    assert not list(generator_file.parent.glob("*.png"))


def test_networks_that_do_not_fit_their_config_are_one_line(
    generator_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = generator_file.with_name("config.yaml")
    config.write_text(config.read_text().replace("z_dim: 16", "z_dim: 8"))
    assert "another architecture" in refusal(capsys, str(generator_file))
    assert not list(generator_file.parent.glob("*.png"))


def test_place_that_cannot_be_written_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a file stands where a folder is needed" in refusal(
        capsys, str(run), "--out", str(run / "last.ckpt" / "a.png")
    )


def test_ctrl_c_is_one_line(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(path: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stylegan_v.inspect.opening.open_contents", stop)
    with pytest.raises(SystemExit) as exit_:
        main([str(run)])
    assert exit_.value.code == 130
    assert capsys.readouterr().err == "inspect: stopped\n"


def test_nothing_in_a_file_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Hostile:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save({"state_dict": {"a": Hostile()}}, tmp_path / "hostile.ckpt")
    (tmp_path / "hostile.pkl").write_bytes(pickle.dumps({"G": Hostile()}, protocol=4))
    assert "not a checkpoint" in refusal(capsys, str(tmp_path / "hostile.ckpt"))
    assert "posix.mkdir" in refusal(capsys, str(tmp_path / "hostile.pkl"))
    assert not (tmp_path / "made").exists()


def test_reader_that_has_seen_enough_ends_it_quietly(run: Path) -> None:
    command = [sys.executable, "-m", "stylegan_v.inspect", str(run), "--grid", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_help_teaches_and_loads_nothing_that_only_work_needs() -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['inspect', '--help']\n"
        "try: runpy.run_module('stylegan_v.inspect', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    text, _, loaded = done.stdout.partition("loaded:")
    assert not {"PIL", "safetensors", "pytorch_lightning", "torchvision", "kornia", "av"} & set(loaded.split())
    for word in ("examples:", "python -m stylegan_v.inspect runs/custom --strip 8", "--tensors", "--json", "--grid"):
        assert word in text
