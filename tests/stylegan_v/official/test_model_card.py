"""The card says what was converted, from what, where each setting comes from, and under which licence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from stylegan_v.official.conversion import convert
from stylegan_v.official.flags import Flags
from stylegan_v.official.model_card import model_card
from stylegan_v.official.snapshot import Snapshot
from tests.stylegan_v.official.converted import changed, sample


def card(snapshot: Snapshot, out: str = "models/ffs", flags: Flags | None = None) -> str:
    weights, notes = convert(snapshot, flags)
    return model_card(snapshot, weights, notes, out)


def test_front_matter_is_what_model_hubs_read() -> None:
    _, front, _ = card(sample()).split("---\n", 2)
    told = yaml.safe_load(front)
    assert (told["library_name"], told["license"]) == ("stylegan-v-fields", "other")
    assert "stylegan-v" in told["tags"]


def test_facts_settings_and_what_is_left_behind_are_in_it() -> None:
    text = card(sample(), flags=Flags(motion_z_distance=5))
    for row in (
        "| made from | `official_style_small.pkl` |",
        f"| its SHA-256 | `{sample().sha256}` |",
        "| frames | 32 x 32 pixels |",
        "| parameters of the generator | 17 762 |",
        "| parameters of the discriminator | 35 350 |",
        "| real frames shown in training | 5 004 |",
        "| motion_z_distance | 5 | flag |",
        "| g_conv_clamp | none | embedded |",
        "| max_num_frames | 64 | tensors |",
        "| r1_gamma | 0.0002 H W / batch size | embedded |",
        "| augment | AugmentPipe (preset bgc) | embedded |",
        "- 36 copies of the resampling filter",
        "- vis: not needed",
    ):
        assert row in text
    assert "allows no\ncommercial use" in text
    assert "claims nothing on them" in text
    assert "python generate.py sample --ckpt models/ffs" in text
    assert "python train.py fit --config models/ffs/config.yaml" in text
    assert "--config 'my models/ffs/config.yaml' --data.root" in card(sample(), out="my models/ffs")
    assert text.count("\n| ") == 2 + 9 + len(convert(sample())[1].settings)  # every setting has a row


def test_what_is_not_known_is_said() -> None:
    text = card(changed(stats={}, init_kwargs={}))
    assert "| real frames shown in training | not known |" in text
    assert "| g_conv_clamp | 256 | assumed |" in text


def test_no_path_and_no_markup_of_the_file_gets_into_it() -> None:
    hostile = replace(sample(), path=Path("/home/somebody/a|b`<script>.pkl"), skipped=("one\n\n# two | three",))
    text = card(hostile, out="/home/somebody/models/x")
    assert "somebody" not in text
    assert "a/b'(script).pkl" in text
    assert "- one # two / three" in text
    assert "--ckpt x " in text
