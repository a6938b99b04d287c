from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from errors import InputError
from fields.weights import load_field, load_plain, read_field, save_field
from tests.fields import small_liif

IMAGE = torch.rand(1, 3, 5, 6) * 2 - 1


def outputs(model: torch.nn.Module) -> Tensor:
    return model.render(IMAGE, (7, 9))


def error_of(path: Path) -> str:
    with pytest.raises(InputError) as error:
        load_field(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("encoder", [small_liif.EDSR, small_liif.RDN, small_liif.RCAN])
def test_what_is_saved_comes_back_whole(tmp_path: Path, encoder: dict) -> None:
    node = small_liif.node(encoder, ensemble=False)
    model = small_liif.module(node)
    save_field(tmp_path / "a" / "b", node, model.state_dict(), {"psnr": 30.5, "name": "x"})
    for path in (tmp_path / "a" / "b", tmp_path / "a" / "b" / "model.safetensors"):
        loaded = load_field(path)
        assert torch.equal(outputs(loaded), outputs(model))
        assert not loaded.training and not any(one.requires_grad for one in loaded.parameters())
    assert read_field(tmp_path / "a" / "b").facts == {"psnr": 30.5, "name": "x"}
    assert sorted(os.listdir(tmp_path / "a" / "b")) == ["config.yaml", "model.safetensors"]


def test_a_run_folder_gives_the_model_that_was_trained(tmp_path: Path) -> None:
    run = small_liif.run_folder(tmp_path / "run")
    assert torch.equal(outputs(load_field(run)), outputs(small_liif.module()))
    assert torch.equal(outputs(load_field(run / "last.ckpt")), outputs(small_liif.module()))
    assert read_field(run).facts == {"updates": 7}


def test_changing_a_loaded_field_does_not_change_its_file(tmp_path: Path) -> None:
    run = small_liif.run_folder(tmp_path / "run")
    with torch.no_grad():
        for one in load_field(run).parameters():
            one.zero_()
    assert outputs(load_field(run)).abs().max() > 0


def test_weights_in_half_precision_are_used_in_single(tmp_path: Path) -> None:
    state = {name: tensor.half() for name, tensor in small_liif.module().state_dict().items()}
    save_field(tmp_path, small_liif.node(), state, {})
    torch.testing.assert_close(outputs(load_field(tmp_path)), outputs(small_liif.module()), rtol=0, atol=1e-2)


def test_what_cannot_be_written_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fields.weights.sync", fail)
    with pytest.raises(OSError, match="No space"):
        save_field(tmp_path / "new", small_liif.node(), small_liif.module().state_dict(), {}, {"README.md": "card"})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        save_field(tmp_path / "file", small_liif.node(), {}, {})


def test_nothing_there_is_said_with_what_would_do(tmp_path: Path) -> None:
    assert "no such file or folder: give a run folder" in error_of(tmp_path / "none")
    assert "holds neither last.ckpt nor model.safetensors" in error_of(tmp_path)
    small_liif.stored(tmp_path / "a")
    (tmp_path / "a" / "config.yaml").unlink()
    assert "config.yaml: missing" in error_of(tmp_path / "a")
    (tmp_path / "a" / "config.yaml").write_text("data: {}")
    assert "names no model" in error_of(tmp_path / "a")


def test_a_config_of_other_weights_is_refused_by_the_first_tensor_that_differs(tmp_path: Path) -> None:
    state = small_liif.module().state_dict()
    save_field(tmp_path / "a", small_liif.node(hidden=[24, 16]), state, {})
    assert "imnet.layers.0.weight is [16, 76] in the file and [24, 76] by the config" in error_of(tmp_path / "a")
    save_field(tmp_path / "b", small_liif.node(), {**state, "more": torch.zeros(1)}, {})
    assert "more is [1] in the file and missing by the config" in error_of(tmp_path / "b")
    numbers = {**state, "imnet.layers.0.bias": torch.zeros(16, dtype=torch.int64)}
    save_field(tmp_path / "c", small_liif.node(), numbers, {})
    assert "imnet.layers.0.bias holds no real numbers" in error_of(tmp_path / "c")


def test_a_config_of_endless_size_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    wide = {"class_path": "fields.encoders.EDSR", "init_args": {"num_blocks": 1, "num_features": 10**6}}
    save_field(tmp_path / "wide", small_liif.node(wide), small_liif.module().state_dict(), {})
    assert "[1000000, 3, 3, 3] by the config" in error_of(tmp_path / "wide")


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_damaged_files_of_weights_are_refused(tmp_path: Path, cut: int) -> None:
    for folder in (small_liif.stored(tmp_path / "a"), small_liif.run_folder(tmp_path / "b")):
        (path,) = (one for one in folder.iterdir() if one.name in ("model.safetensors", "last.ckpt"))
        path.write_bytes(path.read_bytes()[:cut])
        assert str(path) in error_of(folder)


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    small_liif.stored(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{}")
    assert "header would have 1099511627776 bytes" in error_of(tmp_path)


class Hostile:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("as_zip", [True, False])
def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_zip: bool) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Hostile()}, tmp_path / "last.ckpt", _use_new_zipfile_serialization=as_zip)
    assert "cannot" not in error_of(tmp_path) and not (tmp_path / "executed").exists()


def test_tensors_that_claim_more_than_the_file_has_are_refused(tmp_path: Path) -> None:
    run = small_liif.run_folder(tmp_path / "run")
    checkpoint = load_plain(run / "last.ckpt")
    checkpoint["state_dict"]["model.imnet.layers.0.weight"] = torch.zeros(1).expand(10**6, 10**6)
    torch.save(checkpoint, run / "best.ckpt")  # the other one is read from the disk meanwhile
    assert "claim 4000000" in error_of(run / "best.ckpt")


@pytest.mark.parametrize(
    "state", [{"model.x": 1}, {"model.x": torch.zeros(2).to_sparse()}, {"model.x": torch.zeros(2, device="meta")}]
)
def test_a_state_of_anything_but_plain_tensors_is_refused(tmp_path: Path, state: dict) -> None:
    torch.save({"state_dict": state, "config": "model: {class_path: fields.mlp.MLP}"}, tmp_path / "last.ckpt")
    assert "tensor" in error_of(tmp_path)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save([1], tmp_path / "list.ckpt")
    assert "holds no weights" in error_of(tmp_path / "list.ckpt")
    torch.save({"a": 1}, tmp_path / "other.ckpt")
    assert "no checkpoint of a run" in error_of(tmp_path / "other.ckpt")
    gan = small_liif.run_folder(tmp_path / "gan") / "last.ckpt"
    config = "model: {class_path: stylegan_v.gan.VideoGAN, init_args: {}}"
    torch.save({**torch.load(gan, weights_only=True), "config": config}, gan)
    assert f"{gan}: a run of stylegan_v.gan.VideoGAN, which is no field" in error_of(gan)


def test_metadata_are_plain_values(tmp_path: Path) -> None:
    small_liif.stored(tmp_path)
    path = tmp_path / "model.safetensors"
    state = small_liif.module().state_dict()
    for facts, message in (("[1]", "no plain values"), ('{"a": [1]}', "no plain values"), ("{", "are damaged")):
        save_file(state, path, {"format": "fields", "facts": facts})
        assert message in error_of(tmp_path)
    save_file(state, path, {"format": "pt"})  # of another program
    assert read_field(tmp_path).facts == {}
    save_file(state, path)
    assert read_field(tmp_path).facts == {}


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    small_liif.stored(tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert file.metadata()["format"] == "fields" and json.loads(file.metadata()["facts"]) == {"note": "random"}
