from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from errors import InputError
from fields.continuous_image import CHUNK
from fields.upscaling.models import choose_device, open_model
from tests.fields import released_files, small_liif


def test_a_model_is_known_by_its_file(tmp_path: Path) -> None:
    model = open_model(small_liif.stored(tmp_path / "a"), "cpu")
    assert model.checkpoint == hashlib.sha256((tmp_path / "a" / "model.safetensors").read_bytes()).hexdigest()
    assert model.device == torch.device("cpu") and model.chunk == CHUNK and not model.field.training


def test_released_files_are_used_as_they_are(tmp_path: Path) -> None:
    found = released_files.recording("rdn_u1_e1_c1")
    model = open_model(released_files.write(tmp_path / "a.pth", "rdn_u1_e1_c1"), "auto")
    values = model.field.cpu()(found["inp"], found["rand/coord"], found["rand/cell"])
    torch.testing.assert_close(values, found["rand/out"], rtol=1e-4, atol=1e-4)


def test_a_field_that_is_no_image_is_refused(tmp_path: Path) -> None:
    node = {"class_path": "fields.mlp.MLP", "init_args": {"in_dim": 2, "out_dim": 3, "hidden": []}}
    with pytest.raises(InputError, match="holds a MLP, which upscales nothing"):
        open_model(small_liif.stored(tmp_path, node), "cpu")


@pytest.mark.parametrize("name", ["toaster", "meta", "cuda:99", ""])
def test_devices_that_are_not_there_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="there is no such device here"):
        choose_device(name)
