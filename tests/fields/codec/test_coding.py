from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch

from errors import InputError
from fields.codec.coding import Settings, decode, decode_stored, describe, encode
from fields.codec.container import from_bytes
from fields.codec.tensors import grid_cuts
from fields.nodes import build
from fields.quantisation import dequantise, quantise
from fields.weights import StoredField, build_field
from tests.fields.codec.small_videos import NODES, NVP, stored

HERE = Path("file")
LOSSLESS, LOSSY = Settings(), Settings(quality=90, crf=20.0, group=2)


def error_of(data: bytes) -> str:
    with pytest.raises(InputError) as error:
        decode(data, HERE)
    assert "\n" not in str(error.value) and "file" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", NODES)
def test_every_field_comes_back_exactly_where_nothing_is_quantised(name: str) -> None:
    made = stored(NODES[name])
    data = encode(made, Settings(quantised=False))
    again = decode_stored(data, HERE)
    assert again.node == made.node and again.facts == made.facts
    assert list(again.state) == list(made.state)
    assert all(torch.equal(again.state[name], tensor) for name, tensor in made.state.items())
    assert type(decode(data, HERE)) is type(build_field(made))


@pytest.mark.parametrize("name", NODES)
def test_without_loss_a_field_comes_back_as_its_bytes_say_and_the_rest_exactly(name: str) -> None:
    made = stored(NODES[name])
    again = decode_stored(encode(made, LOSSLESS), HERE).state
    grids = grid_cuts(build(made.node, 1000), 8)
    assert bool(grids) == (name in ("nvp", "instant_ngp"))
    for name, tensor in made.state.items():
        expected = tensor
        if name.endswith("embeddings"):
            expected = dequantise(*quantise(tensor))
        elif name in grids:
            sizes = [level.size for level in grids[name].levels]
            expected = torch.cat([dequantise(*quantise(level)) for level in tensor.split(sizes)])
        assert torch.equal(again[name], expected)


@pytest.mark.parametrize("name", NODES)
def test_what_was_decoded_is_coded_as_the_same_pictures_again(name: str) -> None:
    data = encode(stored(NODES[name]), LOSSLESS)
    before, after = (from_bytes(one, HERE).parts for one in (data, encode(decode_stored(data, HERE), LOSSLESS)))
    # The upper end of a range is rounded when it is restored.
    kept = [(part, again) for part, again in zip(before, after, strict=True) if part.form != "ranges"]
    assert kept and all(part == again for part, again in kept)


def test_planes_become_pictures_the_volume_video_and_hash_tables_neither() -> None:
    def forms(name: str, settings: Settings) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for part in from_bytes(encode(stored(NODES[name]), settings), HERE).parts:
            found.setdefault(part.name.split(".")[0], set()).add(part.form)
        return found

    nvp = forms("nvp", LOSSY)
    assert nvp["planes"] == {"jpeg", "ranges"} and nvp["sparse"] == {"hevc", "ranges"}
    assert nvp["modulator"] == {"float32"}
    nvp = forms("nvp", LOSSLESS)
    assert nvp["planes"] == nvp["sparse"] == {"png", "ranges"}
    assert forms("instant_ngp", LOSSY)["grid"] == {"zlib", "ranges"}


def test_a_volume_has_a_piece_per_group_and_channel() -> None:
    parts = from_bytes(encode(stored(NVP), LOSSY), HERE).parts
    assert [part.number for part in parts if part.form == "hevc"] == [0, 1, 2, 3, 4, 5]  # slices 2 + 2 + 1, 2 channels
    data = {g: encode(stored(NVP), Settings(group=g)) for g in (1, 2, 5, 8)}
    first, *others = (decode_stored(one, HERE).state["sparse.embeddings"] for one in data.values())
    assert all(torch.equal(first, other) for other in others)


def test_loss_is_bounded_and_grows_as_quality_falls() -> None:
    made = stored(NVP)
    # Smooth, as pictures are.
    waves = torch.linspace(0, 3, made.state["sparse.embeddings"].numel()).sin().reshape(5, 3, 4, 2)
    made.state["sparse.embeddings"].copy_(waves)
    errors = []
    for quality, crf in ((95, 4.0), (5, 45.0)):
        again = decode_stored(encode(made, Settings(quality, crf)), HERE).state
        far = {name: float((again[name] - tensor).abs().max()) for name, tensor in made.state.items()}
        assert not any(error for name, error in far.items() if not name.startswith(("planes", "sparse")))
        errors.append((far["planes.yx.table"], far["sparse.embeddings"]))
    spread = float(made.state["planes.yx.table"].max() - made.state["planes.yx.table"].min())
    assert errors[0][0] < 0.06 * spread and errors[0][1] < 0.06 * 2
    assert errors[1][0] > 2 * errors[0][0] and errors[1][1] > 2 * errors[0][1]


def test_half_precision_rounds_weights_but_not_what_was_never_trained() -> None:
    made = stored(NODES["ffn"])
    again = decode_stored(encode(made, Settings(precision="float16")), HERE).state
    assert torch.equal(again["network.encoding.frequencies"], made.state["network.encoding.frequencies"])
    weight = made.state["network.mlp.layers.0.weight"]
    assert torch.equal(again["network.mlp.layers.0.weight"], weight.half().float())
    weight[0, 0] = 1e6
    with pytest.raises(InputError, match=r"layers\.0\.weight: .* too large for float16"):
        encode(made, Settings(precision="float16"))


def test_a_grid_that_is_not_finite_is_refused_by_name() -> None:
    made = stored(NVP)
    made.state["planes.tx.table"][3, 1] = math.nan
    with pytest.raises(InputError, match=r"planes\.tx\.table: .* not all finite"):
        encode(made, LOSSLESS)
    made.state["planes.tx.table"][:2, 1] = torch.tensor([3e38, -3e38])
    made.state["planes.tx.table"][3, 1] = 0
    with pytest.raises(InputError, match=r"planes\.tx\.table: .* too large"):
        encode(made, LOSSLESS)


def test_bits_are_those_of_the_file() -> None:
    data = encode(stored(NVP), LOSSY)
    report = describe(data, HERE)
    assert report["bits"] == 8 * len(data) == report["payload_bits"] + report["container_bits"]
    assert sum(report["bits_by_form"].values()) == report["payload_bits"]
    assert report["bits_per_pixel"] == 8 * len(data) / (5 * 8 * 8)
    assert report["parameters"] == sum(tensor.numel() for tensor in stored(NVP).state.values())
    liif = describe(encode(stored(NODES["liif"]), LOSSLESS), HERE)
    assert liif["size"] is None and liif["bits_per_pixel"] is None


@pytest.mark.parametrize(
    "wrong", [{"quality": 0}, {"quality": 96}, {"crf": 52.0}, {"group": 0}, {"precision": "int8"}, {"group": 2000}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**wrong)
    with pytest.raises(InputError, match="quantised"):
        Settings(quality=50, quantised=False)


@pytest.mark.parametrize("settings", [LOSSLESS, LOSSY])
def test_every_flipped_byte_and_every_cut_is_refused(settings: Settings) -> None:
    few = {"levels": 1, "sparse_shape": [2, 3, 4], "width": 2, "depth": 1}
    data = encode(stored({**NVP, "init_args": {**NVP["init_args"], **few}}), settings)
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        with pytest.raises(InputError):
            from_bytes(bytes(broken), HERE)
    for length in range(len(data)):
        with pytest.raises(InputError):
            from_bytes(data[:length], HERE)
    assert "cut off or too long" in error_of(data + b"\0")


def test_values_that_are_not_plain_are_not_written() -> None:
    made = stored(NVP)
    for facts in ({"psnr": math.nan}, {"when": object()}):
        with pytest.raises(InputError, match="no plain value"):
            encode(StoredField(made.path, made.node, made.state, facts), LOSSLESS)


def test_the_header_is_deflated_json_that_others_can_read() -> None:
    data = encode(stored(NVP), LOSSLESS)
    header = json.loads(zlib.decompress(data[44 : 44 + int.from_bytes(data[8:12], "little")], wbits=-15))
    assert header["node"] == NVP and header["version"] == 2
    assert sum(part[3] for part in header["parts"]) == describe(data, HERE)["payload_bits"] // 8
