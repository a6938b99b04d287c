"""Settings derived from overrides against those the original derived (hyperparameters.json of a conformance set)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from errors import InputError
from stylegan_v.official.overrides import parse_value
from stylegan_v.official.settings import derive_settings

SETTINGS = Path(os.environ.get("CONFORMANCE_DATA", "tests/conformance/data")) / "stylegan_v" / "hyperparameters.json"


def _rows() -> list:
    rows = json.loads(SETTINGS.read_text()) if SETTINGS.exists() else []
    if not rows:
        reason = f"this conformance set has no {SETTINGS.name}"
        return [pytest.param({}, id=SETTINGS.name, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(row, id=" ".join(row["overrides"]) or "defaults") for row in rows]


@pytest.mark.parametrize("row", _rows())
def test_settings_are_those_the_original_derives(row: dict) -> None:
    row = dict(row)
    overrides = row.pop("overrides")
    if "error" in row:
        with pytest.raises(InputError):
            derive_settings(overrides)
        return

    settings = derive_settings(overrides)

    assert settings.keys() == row.keys()
    for key, recorded in row.items():
        expected = pytest.approx(recorded, rel=1e-12) if isinstance(recorded, float) else recorded
        assert settings[key] == expected, key


@pytest.mark.parametrize(
    "overrides",
    [
        ["num_gpus=3"],
        ["num_gpus=0"],
        ["num_gpus=4", "training.batch_size=30"],
        ["training.batch_size=0"],
        ["training.kimg=0"],
        ["training.freezed=-1"],
        ["training.cfg=paper2048"],
        ["training.aug=sometimes", "training.target=null"],
        ["training.augpipe=everything"],
        ["training.aug=noaug", "training.target=null"],  # the pipe is still given
        ["training.aug=fixed", "training.target=null"],  # no p
        ["training.aug=fixed", "training.p=0.2"],  # target is still given
        ["training.aug=fixed", "training.p=1.5", "training.target=null"],
        ["training.p=0.2"],
        ["training.target=1.5"],
        ["+model.loss_kwargs.r1_gamma=10"],
        ["+model.loss_kwargs.r1_gamma=-1.0"],
        ["dataset.resolution=100"],
        ["dataset=unheard_of"],
        ["training.batchsize=32"],
        ["model.generator.fmaps=1"],  # a new key needs its plus
        ["+training.batch_size=32"],  # an old one must not have it
        ["training.batch_size"],
    ],
)
def test_what_cannot_be_is_refused_by_name(overrides: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        derive_settings(overrides)
    named = [override.strip("+").split("=")[0] for override in overrides]
    assert any(name in str(refusal.value) for name in [*named, "training.augpipe"])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        # A preset keeps its own batch and its share for its own number of GPUs until a batch is given.
        (["training.cfg=stylegan2", "training.batch_size=null"], {"batch_size": 32, "batch_per_gpu": 4}),
        (["training.cfg=cifar", "training.kimg=null"], {"total_kimg": 100_000, "batch_per_gpu": 64}),
        (["training.cfg=paper1024", "training.batch_size=16"], {"ema_kimg": 10, "r1_gamma": 2, "G_lr": 0.002}),
        # "auto" follows batch and GPUs.
        (["num_gpus=8", "training.batch_size=16"], {"mbstd_group": 2, "ema_kimg": 5.0, "r1_gamma": 0.8192}),
        (["num_gpus=4", "training.batch_size=null", "dataset.resolution=1024"], {"batch_size": 16, "G_lr": 0.002}),
        (["num_gpus=64", "training.batch_size=null"], {"batch_size": 64, "mbstd_group": 1}),
        (["model.discriminator.mbstd_group_size=2"], {"mbstd_group": 2}),
        # Widths.
        (
            ["+model.generator.fmaps=0.02", "+model.generator.channel_max=32"],
            {"G_channel_base": 655, "G_channel_max": 32},
        ),
        (["+model.discriminator.fmaps=2"], {"G_channel_base": 16384, "D_channel_base": 65536}),
        (["+model.generator.mapping_net_n_layers=4"], {"G_mapping_layers": 4, "D_mapping_layers": 2}),
        # What counts as a transfer.
        (["training.resume=latest"], {"ema_rampup": 0.05, "ada_kimg": "(loop default 500)"}),
        (["training.resume=ffhq256"], {"ema_rampup": None, "ada_kimg": 100}),
        (["training.resume=noresume", "training.cfg=paper256"], {"ema_rampup": None, "ada_kimg": "(loop default 500)"}),
        # Augmentation.
        (["training.aug=null", "training.target=null"], {"ada_target": 0.6, "fixed_p": None}),
        (["training.augpipe=blit"], {"augment": {"xflip": 1, "rotate90": 1, "xint": 1}}),
        (
            ["training.aug=noaug", "training.target=null", "training.augpipe=null"],
            {
                "augment": None,
                "ada_target": None,
                "run_description": "fake-mirror-auto1-kimg25000-batch_size64-noaug-freezed0",
            },
        ),
        (
            ["+model.loss_kwargs.r1_gamma=2.5", "training.kimg=null", "training.freezed=null", "training.target=0.7"],
            {
                "r1_gamma": 2.5,
                "freeze_layers": 0,
                "run_description": "fake-mirror-auto1-gamma2.5-batch_size64-ada-target0.7",
            },
        ),
    ],
)
def test_rules_of_the_table(overrides: list[str], expected: dict) -> None:
    settings = derive_settings(overrides)
    assert {key: settings[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("True", True),
        ("7", 7),
        ("-2.5", -2.5),
        ("1e-3", 1e-3),
        ("[1, 2.5, x]", [1, 2.5, "x"]),
        ("'5'", "5"),
        ("bgc", "bgc"),
    ],
)
def test_values_are_read_as_the_original_reads_them(text: str, value: object) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)
