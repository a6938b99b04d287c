"""The original's configuration, flat, and the overrides that change it: "key=value", "+key=value", "group=option"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from errors import InputError

Value = None | bool | int | float | str | list
_SPANS = [2**i for i in range(12)]
_GROUPS: Mapping[str, Mapping[str, Mapping[str, Value]]] = {
    "dataset": {name: {} for name in ("base", "ffs", "sky_timelapse", "ucf101", "rainbow_jelly", "mead")},
    "model": {"stylegan-v": {}, "mocogan": {}},
    "sampling": {
        "random": {
            "type": "random",
            "num_frames_per_video": 3,
            "total_dists": _SPANS,
            "max_dist": 32,
        },
        "random_1": {
            "type": "random",
            "num_frames_per_video": 1,
            "total_dists": None,
            "max_dist": 0,
        },
        "uniform": {
            "type": "uniform",
            "num_frames_per_video": 3,
            "dists_between_frames": _SPANS,
            "max_dist_between_frames": 32,
        },
    },
}
_CHOICES = {"dataset": "ffs", "model": "stylegan-v", "sampling": "random"}
# Keys that exist in the original's configuration with a value that something here depends on.
_SETTINGS: Mapping[str, Value] = {
    "num_gpus": 1,
    "dataset.resolution": 256,
    "dataset.max_num_frames": 1024,
    "model.discriminator.mbstd_group_size": 4,
    "model.loss_kwargs.style_mixing_prob": 0.0,
    "model.loss_kwargs.pl_weight": 0.0,
    "training.aug": "ada",
    "training.augpipe": "bgc",
    "training.batch_size": 64,
    "training.cfg": "auto",
    "training.fp32": False,
    "training.freezed": 0,
    "training.kimg": 25000,
    "training.mirror": True,
    "training.p": None,
    "training.resume": None,
    "training.seed": 0,
    "training.snap": 200,
    "training.target": 0.6,
}
# Keys that exist and change the networks, the data or how fast a run is, but none of the derived settings.
_WITHOUT_EFFECT: Mapping[str, tuple[str, ...]] = {
    "dataset": ("c_dim", "fps", "name", "path"),
    "sampling": ("fps", "max_num_frames", "name"),
    "training": (
        *("allow_tf32", "cond", "data", "dry_run", "metrics", "nhwc", "nobench", "num_workers", "outdir", "subset"),
    ),
    "model": ("name",),
    "model.generator": ("c_dim", "input.type", "source", "use_noise", "w_dim", "z_dim"),
    "model.generator.motion": (
        *("fourier", "gen_strategy", "kernel_size", "motion_z_distance", "use_fractional_t", "v_dim", "z_dim"),
    ),
    "model.generator.time_enc": ("cond_type", "dim", "max_period_len", "min_period_len", "phase_dropout_std"),
    "model.discriminator": ("concat_res", "dummy_c", "num_frames_div_factor", "source"),
    "model.loss_kwargs": ("motion_reg.coef", "source", "video_consistent_aug"),
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_CONSTANTS: Mapping[str, Value] = {"null": None, "true": True, "false": False}


def apply_overrides(overrides: Sequence[str]) -> dict[str, Value]:
    """The original's configuration after ``overrides``, as one flat dictionary "a.b.c" -> value.

    Args:
        overrides: "key=value" changes a key that exists, "+key=value" adds one that does not, "++key=value" does
            either, "group=option" chooses a whole group (dataset, model, sampling).

    Raises:
        InputError: An override is malformed, or its key or option does not exist (or, with "+", already does).
    """
    choices, values = _split(overrides)
    settings = dict(_SETTINGS)
    without_effect = {f"{section}.{key}" for section, keys in _WITHOUT_EFFECT.items() for key in keys}
    for group, options in _GROUPS.items():
        chosen = options[choices[group]]
        settings |= {f"{group}.{key}": value for key, value in chosen.items()}

    for mark, key, value in values:
        exists = key in settings or key in without_effect
        if mark == "" and not exists:
            raise InputError(f"{key}: no such key in the original's configuration; add a new one with +{key}=...")
        if mark == "+" and exists:
            raise InputError(f"{key}: exists already; change it without the leading +")
        settings[key] = value
    return settings


def _split(overrides: Sequence[str]) -> tuple[dict[str, str], list[tuple[str, str, Value]]]:
    """The options chosen for the groups, and the other overrides as (mark, key, value)."""
    choices, values = dict(_CHOICES), []
    for override in overrides:
        match = re.fullmatch(r"(\+{0,2})([A-Za-z_][\w.]*)=(.*)", override, re.DOTALL)
        if match is None:
            raise InputError(f"{override!r}: not an override; write key=value")
        mark, key, text = match.groups()
        if key not in _GROUPS:
            values.append((mark, key, parse_value(text)))
        elif text not in _GROUPS[key]:
            raise InputError(f"{override}: no such option; choose one of {', '.join(_GROUPS[key])}")
        else:
            choices[key] = text
    return choices, values


def parse_value(text: str) -> Value:
    """The value of an override's text: null, true, false, an integer, a float, a [list, of, them], else the text."""
    text = text.strip()
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _NUMBER.fullmatch(text):
        return float(text) if set(text.lower()) & set(".e") else int(text)
    if text.startswith("[") and text.endswith("]"):
        return [parse_value(item) for item in text[1:-1].split(",") if item.strip()]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text
