from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from stylegan_v.inspect.opening import open_contents
from stylegan_v.inspect.report import describe, plain
from tests.stylegan_v.inspect.files import changed, networks_of


def test_plain_values_are_those_of_json() -> None:
    tree = {1: (2.5, math.nan, math.inf), "a": {"b": None, "c": True}, "d": Path("x"), "e": {"only"}}
    found = plain(tree)
    assert found == {"1": [2.5, None, None], "a": {"b": None, "c": True}, "d": "x", "e": ["only"]}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_report_on_a_run(run: Path) -> None:
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    report = describe(open_contents(run))
    file = report["file"]
    path = run / "last.ckpt"
    assert (file["path"], file["kind"], file["bytes"]) == (str(path), "checkpoint", path.stat().st_size)
    assert file["sha256"] is None
    assert datetime.fromisoformat(file["modified"]) == datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    assert report["counters"] == {
        "updates": 4,
        "num_clips": 16,
        "num_frames": 48,
        "kclips": 0.016,
        "kimg": 0.048,
        "fps": 25.0,
        "augment_p": checkpoint["state_dict"]["ada.p"].item(),
        "bad_in_a_row": {"generator": 0, "discriminator": 0, "r1": 0},
    }
    assert list(report["networks"]) == ["generator", "generator_ema", "discriminator", "other"]
    assert report["health"] == [] and report["notes"] == []
    assert report["settings"].keys() == {"generator", "discriminator", "training", "data"}
    assert report["config"]["model"]["class_path"] == "stylegan_v.gan.VideoGAN"


def test_parameters_are_those_that_optimizers_move(run: Path) -> None:
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    networks = networks_of(checkpoint)
    report = describe(open_contents(run))
    for network, state in zip(("generator", "discriminator"), checkpoint["optimizer_states"], strict=True):
        moved = state["param_groups"][0]["param_names"]
        assert report["networks"][network]["parameters"] == sum(networks[network][name].numel() for name in moved)
        assert {t["name"] for t in report["tensors"] if t["network"] == network and t["parameter"]} == set(moved)
        assert report["networks"][network]["values"] == sum(t.numel() for t in networks[network].values())
        assert report["networks"][network]["dtypes"] == {"float32": len(networks[network])}
    assert report["networks"]["generator_ema"]["parameters"] == report["networks"]["generator"]["parameters"]
    assert report["networks"]["other"]["parameters"] is None


def test_every_tensor_has_its_numbers(run: Path) -> None:
    state = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    rows = describe(open_contents(run))["tensors"]
    named = {t["name"] if t["network"] == "other" else f"{t['network']}.{t['name']}": t for t in rows}
    assert named.keys() == state.keys()
    for name, tensor in state.items():
        values, found = tensor.double(), named[name]["spread"]
        assert (found["count"], found["min"], found["max"]) == (tensor.numel(), values.min(), values.max())
        assert found["mean"] == pytest.approx(values.mean().item(), rel=1e-9, abs=1e-12)
        assert found["std"] == pytest.approx(values.std(correction=0).item(), rel=1e-9, abs=1e-12)
        assert named[name]["shape"] == list(tensor.shape)


def test_modules_pool_their_tensors(run: Path) -> None:
    state = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    block = torch.cat([t.flatten() for n, t in state.items() if n.startswith("generator_ema.synthesis.blocks.b8.")])
    (found,) = (
        m
        for m in describe(open_contents(run))["modules"]
        if (m["network"], m["module"]) == ("generator_ema", "synthesis.blocks.b8")
    )
    assert found["spread"]["count"] == block.numel()
    assert found["spread"]["mean"] == pytest.approx(block.double().mean().item(), rel=1e-9)
    assert found["spread"]["std"] == pytest.approx(block.double().std(correction=0).item(), rel=1e-9)


def test_files_that_are_passed_on_have_a_sum(model_folder: Path, generator_file: Path) -> None:
    for path in (model_folder / "model.safetensors", generator_file):
        report = describe(open_contents(path))
        assert report["file"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert report["counters"]["kimg"] == 0.048 and report["optimizers"] == []


def test_spoilt_checkpoint_is_marked(run: Path) -> None:
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    networks = networks_of(checkpoint)
    checkpoint["state_dict"] |= {f"generator_ema.{name}": t.clone() for name, t in networks["generator"].items()}
    checkpoint["counters"]["bad_in_a_row"]["r1"] = 2
    for network in ("generator", "generator_ema"):
        checkpoint["state_dict"][f"{network}.mapping.w_avg"] = torch.zeros(16)
    torch.save(checkpoint, run / "last.ckpt")
    spoilt = networks["discriminator"]["fromrgb.weight"].clone()
    spoilt[0] = math.nan
    const = networks["generator"]["synthesis.const"]
    changed(run / "last.ckpt", discriminator__fromrgb__weight=spoilt, generator__synthesis__const=const * 0)

    report = describe(open_contents(run))
    marks = {mark["where"]: mark["what"] for mark in report["health"]}
    assert marks.keys() == {"mapping.w_avg", "phase r1", "generator.synthesis.const", "discriminator.fromrgb.weight"}
    assert marks["discriminator.fromrgb.weight"] == f"3 of {spoilt.numel()} values are NaN or infinite"
    assert report["networks"]["discriminator"]["not_finite"] == 3
    json.dumps(report, allow_nan=False)
    changed(run / "last.ckpt", generator__synthesis__const=const)
    found = {mark["where"] for mark in describe(open_contents(run))["health"]}
    assert "averaged generator" in found  # equal in every value now
