from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from errors import InputError
from fields.official.released import read_released
from fields.weights import build_field
from tests.fields import released_files

EDSR, RDN = "edsr_u1_e1_c1", "rdn_u1_e1_c1"
Checkpoint = dict[str, Any]


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("name", [EDSR, RDN, "edsr_u0_e0_c0", "rdn_u0_e1_c0"])
def test_a_checkpoint_gives_the_recorded_colours(tmp_path: Path, name: str, as_zip: bool) -> None:
    found = released_files.recording(name)
    path = released_files.write(tmp_path / "file.pth", name, _use_new_zipfile_serialization=as_zip)
    model = build_field(read_released(path))
    coords, cell = found["rand/coord"], found["rand/cell"]
    torch.testing.assert_close(model(found["inp"], coords, cell), found["rand/out"], rtol=1e-4, atol=1e-4)


def test_a_metasr_checkpoint_gives_the_recorded_colours(tmp_path: Path) -> None:
    found = released_files.recording("metasr")
    model = build_field(read_released(released_files.write(tmp_path / "file.pth", "metasr")))
    coords, cell = (found[f"frac/{name}"].expand(len(found["inp"]), -1, -1) for name in ("coord", "cell"))
    torch.testing.assert_close(model(found["inp"], coords, cell), found["frac/out"], rtol=1e-4, atol=1e-4)


def test_the_layouts_of_both_published_files_are_understood(tmp_path: Path) -> None:
    # Their settings, which leave most sizes to the defaults, and counts of entries and parameters as published.
    mlp = {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [256, 256, 256, 256]}}
    for name, num_entries, num_parameters in (("edsr-baseline", 78, 1_567_323 - 24), ("rdn", 306, 22_320_835)):
        args = {"encoder_spec": {"name": name, "args": {"no_upsampling": True}}, "imnet_spec": mlp}
        shapes = released_files.state_of(released_files.node_of(args))
        state = {key: torch.zeros(one.shape) for key, one in shapes.items()}
        if name != "rdn":
            state["encoder.sub_mean.weight"] = state["encoder.add_mean.weight"] = torch.zeros(3, 3, 1, 1)
            state["encoder.sub_mean.bias"] = state["encoder.add_mean.bias"] = torch.zeros(3)
        checkpoint = {"model": {"name": "liif", "args": args, "sd": state}, "optimizer": {}, "epoch": 1000}
        torch.save(checkpoint, tmp_path / "file.pth")
        stored = read_released(tmp_path / "file.pth")
        assert len(stored.state) == num_entries
        assert sum(one.numel() for one in stored.state.values()) == num_parameters
        assert ("sub_mean" in stored.facts["dropped"]) == (name != "rdn")
        (tmp_path / "file.pth").rename(tmp_path / f"{name}.pth")  # the tensors lie in it


def test_facts_say_where_the_weights_come_from(tmp_path: Path) -> None:
    facts = read_released(released_files.write(tmp_path / "a.pth")).facts
    assert facts["source"] == "a.pth" and facts["epoch"] == 1000 and len(facts["sha256"]) == 64
    constants = [f"encoder.{which}_mean.{kind}" for which in ("add", "sub") for kind in ("bias", "weight")]
    assert facts["dropped"] == ", ".join(constants)


def _without(name: str) -> Callable[[Checkpoint], None]:
    return lambda checkpoint: checkpoint["model"]["sd"].pop(name)


def _renamed(checkpoint: Checkpoint) -> None:
    state = checkpoint["model"]["sd"]
    state["encoder.neck.weight"] = state.pop("encoder.head.0.weight")


def _of_another_size(checkpoint: Checkpoint) -> None:
    checkpoint["model"]["sd"]["imnet.layers.0.weight"] = torch.zeros(7, 7)


def _with(*keys: str, value: Any) -> Callable[[Checkpoint], None]:
    def change(checkpoint: Checkpoint) -> None:
        for key in keys[:-1]:
            checkpoint = checkpoint[key]
        checkpoint[keys[-1]] = value

    return change


SPEC = ("model", "args", "encoder_spec")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("imnet.layers.0.bias"), r"imnet\.layers\.0\.bias|more parameters than the"),
        (_with("model", "sd", "more.weight", value=torch.zeros(2)), "more.weight"),
        (_renamed, "encoder.head.0.weight"),
        (_of_another_size, "imnet.layers.0.weight"),
        (_with("model", "sd", "imnet.layers.0.bias", value=3), "not tensors by name"),
        (_with("model", "sd", "imnet.layers.0.bias", value=torch.zeros(1).expand(10**13)), "more than it has"),
        (_with("model", "sd", value=[]), "holds no model with its settings"),
        (_with("model", value=1), "holds no model with its settings"),
        (_with("model", "name", value="lte"), "'lte', which is none of liif, metasr"),
        (_with("model", "name", value=[1]), "none of liif, metasr"),
        (_with("model", "args", value=None), "its settings are not those"),
        (_with("model", "args", value={}), "its settings are not those"),
        (_with(*SPEC, value=[1]), "its settings are not those"),
        (_with(*SPEC, "name", value="swinir"), "swinir"),
        (_with(*SPEC, "args", "n_resblocks", value=10**9), "more parameters|n_resblocks"),
        (_with(*SPEC, "args", "n_feats", value=10**6), r"encoder\.head"),
        (_with(*SPEC, "args", "n_feats", value=-1), "n_feats|cannot be built|not those"),
        (_with(*SPEC, "args", "unheard_of", value=1), "unheard_of"),
    ],
)
def test_anything_else_is_refused_in_one_line(
    tmp_path: Path, change: Callable[[Checkpoint], None], message: str
) -> None:
    checkpoint = released_files.checkpoint_of(released_files.recording(EDSR))
    change(checkpoint)
    torch.save(checkpoint, tmp_path / "file.pth")
    with pytest.raises(InputError, match=message) as error:
        read_released(tmp_path / "file.pth")
    text = str(error.value)
    assert text.startswith(str(tmp_path / "file.pth")) and "\n" not in text and len(text) < 400


def test_an_rdn_of_unknown_letter_without_its_layers_is_refused(tmp_path: Path) -> None:
    checkpoint = released_files.checkpoint_of(released_files.recording(RDN))
    state = checkpoint["model"]["sd"]
    checkpoint["model"]["sd"] = {name: one for name, one in state.items() if "RDBs" not in name}
    torch.save(checkpoint, tmp_path / "file.pth")
    with pytest.raises(InputError, match="settings are not those"):
        read_released(tmp_path / "file.pth")


class Hostile:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("as_zip", [True, False])
def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_zip: bool) -> None:
    checkpoint = released_files.checkpoint_of(released_files.recording(EDSR))
    monkeypatch.chdir(tmp_path)
    torch.save({**checkpoint, "epoch": Hostile()}, "file.pth", _use_new_zipfile_serialization=as_zip)
    with pytest.raises(InputError, match="can be read safely"):
        read_released(Path("file.pth"))
    assert not Path("executed").exists()


@pytest.mark.parametrize("share", [0, 0.1, 0.9, 0.999])
def test_truncated_files_are_refused(tmp_path: Path, share: float) -> None:
    path = released_files.write(tmp_path / "file.pth")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match="damaged one"):
        read_released(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file: give a checkpoint of the original LIIF"):
        read_released(tmp_path / "none.pth")
