from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from errors import InputError
from stylegan_v.inspect.opening import open_contents


def test_a_folder_means_its_most_complete_file(run: Path, model_folder: Path, generator_file: Path) -> None:
    kinds = [open_contents(folder).kind for folder in (run, model_folder, generator_file.parent)]
    assert kinds == ["checkpoint", "model", "generator"]


def test_blocks_stand_in_the_order_of_their_size(model_folder: Path) -> None:
    names = [name for name in open_contents(model_folder).tensors["generator"] if name.endswith("torgb.bias")]
    assert names == [f"synthesis.blocks.b{size}.torgb.bias" for size in (4, 8, 16, 32)]


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path, run: Path) -> None:
    torch.save({"a": 1}, tmp_path / "other.ckpt")
    (tmp_path / "text.safetensors").write_text("not weights")
    (tmp_path / "empty.ckpt").write_bytes(b"")
    (tmp_path / "garbage.safetensors").write_bytes((16).to_bytes(8, "little") + b"{" * 40)
    save_file({"unet.weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    whole = (run / "last.ckpt").read_bytes()
    (tmp_path / "half.ckpt").write_bytes(whole[: len(whole) // 2])
    for name in (
        "other.ckpt",
        "text.safetensors",
        "garbage.safetensors",
        "empty.ckpt",
        "foreign.safetensors",
        "half.ckpt",
        "none.ckpt",
    ):
        with pytest.raises(InputError, match=name):
            open_contents(tmp_path / name)


def test_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "huge.safetensors").write_bytes((10**9).to_bytes(8, "little") + b"{" * 100)
    with pytest.raises(InputError, match="its header would have 1000000000 bytes"):
        open_contents(tmp_path / "huge.safetensors")
