"""The command: a folder that generates and trains, a state file that comes back, one line for what cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

import generate
import train
from stylegan_v.checkpoints import build
from stylegan_v.official import __main__ as command
from stylegan_v.official.names import filter_1331, is_filter
from stylegan_v.official.state_file import read_state
from stylegan_v.pretrained import load_generator, read_model
from stylegan_v.weights import read_weights, write_weights
from tests.stylegan_v.official.converted import RECORDED, SAMPLE, equal, our_weights, sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded snapshot, converted."""
    out = tmp_path_factory.mktemp("converted") / "model"
    command.main([str(SAMPLE), f"{out}/"])
    return out


@pytest.fixture
def read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares a test reading the snapshot again and again."""
    monkeypatch.setattr("stylegan_v.official.conversion.read_original", lambda path: sample())


def refusal(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    """What the command says before it exits with code 2: one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        command.main([str(arg) for arg in args])
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_folder_holds_weights_config_and_card(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.yaml", "model.safetensors"]
    weights = read_weights(folder)
    assert (weights.kind, weights.facts["num_frames"], weights.facts["fps"]) == ("model", 5004, 30.0)
    assert weights.model["init_args"]["init_from"] == str(folder)  # without the slash at its end
    assert "| made from | `official_style_small.pkl` |" in (folder / "README.md").read_text()


def test_every_form_draws_the_same_frames(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for i, ckpt in enumerate((folder, folder / "model.safetensors", SAMPLE)):
        arguments = ["--ckpt", str(ckpt), "--out", str(out / str(i)), "--format", "png", "--seconds", "0.1"]
        generate.main(["sample", *arguments, "--device", "cpu"])
    drawn = [
        np.stack([np.asarray(Image.open(path)) for path in sorted((out / str(i)).rglob("*.png"))]) for i in range(3)
    ]
    assert drawn[0].shape == (3, 32, 32, 3)  # 30 frames per second, as the snapshot says
    assert drawn[0].std() > 1
    assert np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[0], drawn[2])


def test_averaged_and_trained_generator_are_not_mixed_up(folder: Path) -> None:
    for ema, net in ((True, "G_ema"), (False, "G")):
        w_avg = load_generator(folder, ema=ema).mapping.w_avg
        assert torch.equal(w_avg, sample().networks[net]["mapping.w_avg"])
    assert not torch.equal(*(sample().networks[net]["synthesis.b4.torgb.bias"] for net in ("G", "G_ema")))


def test_config_is_one_that_train_takes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(SystemExit) as end:
        train.main(["fit", "--config", str(folder / "config.yaml"), "--data.root=elsewhere", "--print_config"])
    assert not end.value.code
    resolved, written = yaml.safe_load(capsys.readouterr().out), yaml.safe_load((folder / "config.yaml").read_text())
    assert (resolved["data"]["init_args"]["root"], resolved["run_name"]) == ("elsewhere", "model_finetuned")
    for name, value in written["model"]["init_args"].items():
        if not isinstance(value, dict):
            assert resolved["model"]["init_args"][name] == value, name


@pytest.mark.slow
def test_config_trains_from_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    folder = tmp_path / "runs" / "model"  # among the runs, and yet not in the way of the new one
    command.main([str(SAMPLE), str(folder)])
    videos = tmp_path / "videos"
    for video in range(3):
        (videos / str(video)).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(np.full((32, 32, 3), 20 * i, np.uint8)).save(videos / str(video) / f"{i}.png")
    data = [f"--data.root={videos}", "--data.batch_size=4", "--data.num_workers=0"]
    data += [f"--data.cache_dir={tmp_path}/cache", "--trainer.callbacks=null", "--model.total_kimg=0.012"]
    train.main(["fit", "--config", str(folder / "config.yaml"), f"--runs_dir={tmp_path}/runs", *data])
    run = tmp_path / "runs" / "model_finetuned"
    rows = [line.split(",") for line in (run / "init_from.csv").read_text().splitlines()[1:]]
    assert len(rows) == 59 + 59 + 31
    assert {row[2] for row in rows} == {"taken"}
    trained, start = read_weights(run / "last.ckpt"), read_weights(folder)
    assert trained.facts["updates"] == 1
    change = [
        (trained.networks["generator"][name] - tensor).abs().max() / tensor.abs().max().clamp(min=1)
        for name, tensor in start.networks["generator"].items()
    ]
    assert 0 < max(change) < 0.1  # one step away from where it started


def test_state_file_and_folder_are_the_same_thing(folder: Path, tmp_path: Path) -> None:
    state, again = tmp_path / "state.safetensors", tmp_path / "again"
    command.main(["--export", str(folder), str(state)])
    found = read_state(state)
    assert all(equal(found.networks[net], tensors) for net, tensors in sample().networks.items())
    command.main([str(state), str(again)])
    ours, theirs = read_weights(folder), read_weights(again)
    assert all(equal(ours.networks[name], theirs.networks[name]) for name in ours.networks)
    for net in ("generator", "discriminator"):
        assert ours.model["init_args"][net] == theirs.model["init_args"][net]
    from_snapshot = tmp_path / "direct.safetensors"
    command.main(["--export", str(SAMPLE), str(from_snapshot)])
    assert all(equal(read_state(from_snapshot).networks[net], sample().networks[net]) for net in found.networks)


def test_flags_and_what_is_assumed_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, out = tmp_path / "bare.safetensors", tmp_path / "out"
    save_file({f"{net}.{n}": t.clone() for net, s in sample().networks.items() for n, t in s.items()}, state)
    command.main(
        [str(state), str(out), "--motion_z_distance", "5", "--conv_clamp", "none", "--fps=12.5", "--data=mine"]
    )
    said = capsys.readouterr().out
    assert "assumed, as the file does not say: mbstd_group_size 4 (--mbstd_group_size)" in said
    assert "assumed of training" in said
    assert "motion_z_distance" not in said
    config = yaml.safe_load((out / "config.yaml").read_text())
    arguments = config["model"]["init_args"]["generator"]["init_args"]
    assert (arguments["motion"]["init_args"]["distance"], arguments["conv_clamp"]) == (5, None)
    assert (config["data"]["init_args"]["root"], config["data"]["init_args"]["fps"]) == ("mine", 12.5)
    assert "| motion_z_distance | 5 | flag |" in (out / "README.md").read_text()
    assert read_weights(out).facts == {"fps": 12.5}


@pytest.mark.usefixtures("read_before")
def test_a_conversion_is_written_over_an_earlier_one_and_nothing_else(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command.main([str(SAMPLE), str(out)])
    (out / ".model.safetensors.77.tmp").write_text("left by a process that was killed")
    command.main([str(SAMPLE), str(out), "--motion_z_distance", "5"])
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.yaml", "model.safetensors"]
    assert read_weights(out).model["init_args"]["generator"]["init_args"]["motion"]["init_args"]["distance"] == 5

    (out / "model_samples.png").write_bytes(b"drawn by inspect")
    command.main([str(SAMPLE), str(out)])
    assert (out / "model_samples.png").read_bytes() == b"drawn by inspect"

    (out / "last.ckpt").write_text("a run")
    assert "out: holds something else (last.ckpt): give a new folder" in refusal(capsys, SAMPLE, out)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "README.md").write_text("precious")
    assert "mine: holds something else (no model.safetensors)" in refusal(capsys, SAMPLE, mine)
    assert (mine / "README.md").read_text() == "precious"
    assert "is a file: give the name of a folder" in refusal(capsys, SAMPLE, mine / "README.md")


@pytest.mark.usefixtures("read_before")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_end_in_the_middle_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    out, before = tmp_path / "old", tmp_path / "old"
    command.main([str(SAMPLE), str(out)])
    content = {path.name: path.read_bytes() for path in before.iterdir()}

    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr("stylegan_v.weights.write_tensors", fail)
    for place in (out, tmp_path / "new"):
        with pytest.raises(SystemExit) as exit_:
            command.main([str(SAMPLE), str(place), "--motion_z_distance", "5"])
        assert exit_.value.code == (130 if isinstance(error, KeyboardInterrupt) else 2)
        assert capsys.readouterr().err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == content
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "text.pkl").write_text("{}")
    assert "no such file" in refusal(capsys, tmp_path / "gone.pkl", out)
    assert "not a readable StyleGAN-V snapshot" in refusal(capsys, tmp_path / "text.pkl", out)
    assert "max_num_frames: 64 by the tensors, 9 by the flag" in refusal(capsys, SAMPLE, out, "--max_num_frames=9")
    assert "fps: 0.0 is not possible" in refusal(capsys, tmp_path / "gone.pkl", out, "--fps=0")
    assert "fps: Expected a float. Got value: fast" in refusal(capsys, SAMPLE, out, "--fps=fast")
    assert "motion_z: no such option: did you mean motion_z_distance?" in refusal(capsys, SAMPLE, out, "--motion_z=9")
    assert "required: out" in refusal(capsys, SAMPLE)
    assert "conv_clamp: goes with converting" in refusal(capsys, "--export", folder, out, "--conv_clamp=9")
    assert r"a name that ends in .safetensors" in refusal(capsys, "--export", folder, out)
    assert "no such file or folder" in refusal(capsys, "--export", tmp_path / "gone", tmp_path / "state.safetensors")
    assert not out.exists()


def test_networks_that_the_original_cannot_hold_are_not_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = our_weights()
    model = weights.model
    model["init_args"]["discriminator"]["init_args"]["conditioning"] = {
        "class_path": "stylegan_v.networks.HypernetworkConditioning"
    }
    write_weights(tmp_path / "model.safetensors", weights.networks, weights.facts)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": model}))
    said = refusal(capsys, "--export", tmp_path, tmp_path / "state.safetensors")
    assert "cannot hold these networks: HypernetworkConditioning: the original has only ProjectionConditioning" in said


def test_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stylegan_v.official", "--help"], capture_output=True, text=True, check=True
    )
    assert "--motion_z_distance" in done.stdout
    assert "motion that is too fast or too slow" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_full_size_state_converts_with_the_recorded_totals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = json.loads((RECORDED / "official_256_parameters.json").read_text())
    tensors = {}
    for prefix, net in (("G", "G"), ("D", "D"), ("G_ema", "G")):
        for row in recorded[net]:
            made = filter_1331() if is_filter(row["name"]) else torch.randn(row["shape"]).clamp(-2, 2) * 0.1
            tensors[f"{prefix}.{row['name']}"] = made
    for prefix in ("G", "G_ema"):
        freqs = 2 * torch.pi / torch.logspace(10, 4, 256, base=2.0)
        tensors[f"{prefix}.synthesis.motion_encoder.time_encoder.freqs"] = freqs[None]
    save_file(tensors, tmp_path / "state.safetensors")
    out = tmp_path / "out"
    command.main([str(tmp_path / "state.safetensors"), str(out)])
    assert "256x256 pixels, parameters: G 32.1 M, D 25.3 M" in capsys.readouterr().out
    card = (out / "README.md").read_text()
    assert "| parameters of the generator | 32 105 941 |" in card
    assert "| parameters of the discriminator | 25 333 568 |" in card

    weights = read_model(out)
    generator = load_generator(out)
    assert sum(p.numel() for p in generator.parameters()) == recorded["totals"]["G"]["parameters"]
    with torch.device("meta"):
        discriminator = build(weights.model["init_args"]["discriminator"])
    discriminator.load_state_dict(weights.networks["discriminator"], assign=True)
    assert sum(p.numel() for p in discriminator.parameters()) == recorded["totals"]["D"]["parameters"]
    assert generator.synthesis.motion.distance == 16
    assert torch.equal(generator.mapping.w_avg, tensors["G_ema.mapping.w_avg"])
    with torch.no_grad():
        clip = generator(torch.randn(1, 512), torch.tensor([[0, 5, 9]]))
        assert clip.shape == (1, 3, 3, 256, 256)
        assert discriminator(clip, torch.tensor([[0, 5, 9]])).isfinite().all()
