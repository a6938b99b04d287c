"""The command: which file is meant, what it says, what it refuses."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import auto_cli

import generate
from command_line import Parser
from errors import InputError
from stylegan_v.checkpoints import build
from stylegan_v.exporting.command import export, plan_file
from stylegan_v.exporting.formats import Pt2
from stylegan_v.exporting.inputs import draw_inputs
from stylegan_v.pretrained import load_generator
from stylegan_v.rendering import draw_latents, render_float
from stylegan_v.weights import write_weights


def run(*args: str) -> None:
    """The command line made from the function."""
    auto_cli(export, args=list(args), as_positional=False, parser_class=Parser)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the weights of a small untrained generator of pictures."""
    sizes = {"resolution": 8, "z_dim": 4, "w_dim": 6, "channel_base": 64, "channel_max": 8}
    motion = {"class_path": "stylegan_v.networks.Motionless"}
    node = {"class_path": "stylegan_v.networks.Generator", "init_args": {**sizes, "motion": motion}}
    config = {"model": {"class_path": "stylegan_v.gan.VideoGAN", "init_args": {"generator": node}}}
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    write_weights(folder / "generator.safetensors", {"generator_ema": build(node).state_dict()}, {"updates": 3})
    return folder


def test_a_model_on_disk_becomes_a_file_that_draws_its_frames(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--ckpt", str(model), "--out", str(tmp_path / "new" / "out"), "--format", "pt2")

    path = tmp_path / "new" / "out" / "generator.pt2"
    network, t = load_generator(model), torch.tensor([0.0, 7.5], dtype=torch.float64)
    found = Pt2().open(path)(draw_inputs(network, "z", 0, range(3), t))
    frames = torch.cat(list(render_float(network, draw_latents(network, 0, range(3)), t)), dim=1)
    torch.testing.assert_close(found, frames, atol=1e-5, rtol=0)
    said = capsys.readouterr().out
    assert f"{path}: torch.export program, {path.stat().st_size / 1e6:.1f} MB" in said
    assert "at times 0, 1.55, 1000.5, 10000000.25: frames differ" in said
    assert '"source": "generator.safetensors"' in (path.parent / "generator.pt2.json").read_text()


@pytest.mark.parametrize(
    "out, format, name, kind",
    [
        ("folder", None, "folder/generator.onnx", "onnx"),
        ("folder", "pt2", "folder/generator.pt2", "pt2"),
        ("a/net.onnx", None, "a/net.onnx", "onnx"),
        ("net.PT2", "pt2", "net.PT2", "pt2"),
    ],
)
def test_the_file_that_is_meant(out: str, format: str | None, name: str, kind: str, tmp_path: Path) -> None:
    assert plan_file(tmp_path / out, format) == (tmp_path / name, kind)


def test_a_folder_may_look_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "v1.2").mkdir()

    assert plan_file(tmp_path / "v1.2", None) == (tmp_path / "v1.2" / "generator.onnx", "onnx")


@pytest.mark.parametrize(
    "args, message",
    [
        (("--out", "net.onnx", "--format", "pt2"), "format: net.onnx will be no pt2 file"),
        (("--out", "net.pth"), "out: net.pth: give a folder, or the name of a file that ends in .onnx or .pt2"),
        (("--out", "net.pt2", "--opset", "18"), "opset: a pt2 file has none"),
        (("--opset", "7"), "opset: 7: give 18 to 23"),
        (("--ckpt", "nowhere"), "nowhere: no such file or folder"),
        (("--format", "tflite"), "format: .*'onnx'"),
        (("--take", "w"), "take: .*'ws'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_and_nothing_is_made(
    args: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match=message) as refused:
        run("--ckpt", "model", *args)

    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="file is a file: give a folder"):
        run("--ckpt", str(model), "--out", str(tmp_path / "file"))


def test_generate_py_has_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    verb, command = (inspect.signature(function).parameters for function in (generate.ACTIONS["export"], export))
    assert {name: one.default for name, one in verb.items()} == {name: one.default for name, one in command.items()}

    with pytest.raises(SystemExit) as exit_:
        generate.main(["export", "--ckpt", "model", "--out", "net.pth"])

    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("generate.py: error: out: net.pth: give a folder")
