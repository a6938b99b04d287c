from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.upscaling import memory
from fields.upscaling.memory import check_result, choose_cut, free_memory, pixel_bytes
from fields.upscaling.tiling import Cut
from fields.upscaling.views import Target, Zoom
from tests.fields import small_liif


def test_bytes_of_a_pixel_grow_with_the_channels() -> None:
    def bytes_of(channels: int, width: int) -> float:
        encoder = {"class_path": "fields.encoders.EDSR", "init_args": {"num_blocks": 1, "num_features": channels}}
        return pixel_bytes(small_liif.module(small_liif.node(encoder, hidden=[width])))

    assert bytes_of(8, 64) == 2 * 4 * (8 + 64)  # features and what the first layer makes of them
    assert bytes_of(256, 4) == 2 * 4 * (256 + 256)  # a layer's input and output


def test_a_dense_encoder_is_measured_where_it_is_widest() -> None:
    model = small_liif.module(small_liif.node(small_liif.RDN, hidden=[4]))
    assert pixel_bytes(model) == 2 * 4 * (16 + 8)  # features of both blocks, and what they are fused to


def test_images_are_cut_where_their_features_take_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_liif.module()
    margin, per_pixel = model.receptive_field, pixel_bytes(model)
    monkeypatch.setattr(memory, "TILE_BYTES", int(per_pixel * 64**2))
    view = Target(scale=2).view
    assert choose_cut(model, view((64 - 2 * margin, 30)), None, None) == Cut(None, margin)
    assert choose_cut(model, view((64, 65)), None, None) == Cut(64 - 2 * margin, margin)
    zoomed = Target(zoom=Zoom(0.5, 0.5, 10)).view((400, 400))
    assert choose_cut(model, zoomed, None, None) == Cut(None, margin)
    assert choose_cut(model, view((64, 65)), 7, None) == Cut(7, margin)
    assert choose_cut(model, view((64, 65)), 7, 2) == Cut(7, 2)


def test_tiles_are_never_mostly_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_liif.module()
    monkeypatch.setattr(memory, "TILE_BYTES", 1)
    margin = model.receptive_field
    assert choose_cut(model, Target(scale=2).view((99, 99)), None, None) == Cut(margin, margin)


def test_an_encoder_that_needs_all_gets_all_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    model, view = small_liif.module(small_liif.node(small_liif.RCAN)), Target(scale=2).view((9, 9))
    assert choose_cut(model, view, None, None) == Cut(None, None)
    assert choose_cut(model, view, 4, 2) == Cut(4, 2)
    with pytest.raises(InputError, match="tile: RCAN looks at the whole image at once, so that tiles would differ"):
        choose_cut(model, view, 4, None)
    monkeypatch.setattr(memory, "free_memory", lambda _: 1000)
    with pytest.raises(InputError, match=r"which takes about .* GB of memory for 9x9 pixels"):
        choose_cut(model, view, None, None)


@pytest.mark.parametrize(
    ("tile", "overlap", "message"), [(0, None, "tile: 0"), (-1, 1, "tile: -1"), (4, -1, "overlap")]
)
def test_sizes_of_tiles_that_cannot_be(tile: int, overlap: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_cut(small_liif.module(), Target(scale=2).view((9, 9)), tile, overlap)


def test_results_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    check_result((8, 8), 4, "a.png")  # 3 * 256 bytes
    with pytest.raises(InputError, match=r"scale: a\.png would get 9x10 pixels, for which about 1\.1e-06 GB"):
        check_result((10, 9), 4, "a.png")


def test_free_memory_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    told = tmp_path / "meminfo"
    told.write_text("MemTotal: 9 kB\nMemAvailable:       5 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", told)
    assert free_memory() == free_memory(torch.device("cpu")) == 5 * 1024
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert free_memory() == 2**33
