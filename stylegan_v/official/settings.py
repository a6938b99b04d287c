"""What a training run of the original StyleGAN-V is made of, derived from its configuration overrides.

Everything a list of overrides leads to: learning rates, R1 weight, EMA, augmentation, widths. Two rules surprise: a run
that neither says "noresume" nor continues its own "latest" snapshot counts as a transfer, which makes the adaptive
augmentation five times faster and switches the EMA ramp-up off; and presets are sized for their own number of GPUs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from errors import InputError
from stylegan_v.augment import PRESETS
from stylegan_v.official.overrides import Value, apply_overrides


@dataclass(frozen=True)
class Preset:
    """One row of the original's table of training presets; clips per batch, thousands of clips for the EMA."""

    ref_gpus: int
    kimg: int
    batch_size: int
    mbstd_group: int
    fmaps: float
    lr: float
    r1_gamma: float
    ema_kimg: float
    ema_rampup: float | None
    mapping_layers: int


_PRESETS: Mapping[str, Preset] = {
    # GPUs, kimg, batch, mbstd group, fmaps, learning rate, gamma, EMA, ramp-up, mapping layers.
    "stylegan2": Preset(8, 25_000, 32, 4, 1.0, 0.002, 10.0, 10.0, None, 8),
    "paper256": Preset(8, 25_000, 64, 8, 0.5, 0.0025, 1.0, 20.0, None, 8),
    "paper512": Preset(8, 25_000, 64, 8, 1.0, 0.0025, 0.5, 20.0, None, 8),
    "paper1024": Preset(8, 25_000, 32, 4, 1.0, 0.002, 2.0, 10.0, None, 8),
    "cifar": Preset(2, 100_000, 64, 32, 1.0, 0.0025, 0.01, 500.0, 0.05, 2),
}

# Pipes by the original's names; ours have the same ones, and more.
_PIPES = (
    "blit",
    "geom",
    "color",
    "filter",
    "noise",
    "cutout",
    "bg",
    "bgc",
    "bgcf",
    "bgcfn",
    "bgcfnc",
    "bgc_norgb",
    "easy",
)


def derive_settings(overrides: Sequence[str], *, dataset_name: str = "fake") -> dict[str, object]:
    """The settings of the original's training run with these configuration overrides.

    Args:
        overrides: As on the original's command line: "dataset.resolution=128", "training.cfg=paper256",
            "+model.loss_kwargs.r1_gamma=2.5", ...
        dataset_name: What the run's description calls the data; the recorded runs say "fake".

    Returns:
        Settings by name. ``ema_kimg`` and ``ada_kimg`` count thousands of clips, ``total_kimg`` thousands of frames;
        the learning rates and ``betas`` are those before the correction for lazy regularisation.

    Raises:
        InputError: The original refuses the combination, or an override names nothing that exists.
    """
    config = apply_overrides(overrides)
    _check(config)
    preset = _preset(config)
    return {
        **_batch(config, preset),
        **_averaging(config, preset),
        **_augmentation(config),
        **_optimisation(config, preset),
        **_networks(config, preset),
        "xflip": bool(config["training.mirror"]),
        "snapshot_ticks": config["training.snap"],
        "seed": config["training.seed"],
        "run_description": _describe(config, dataset_name),
    }


def frame_sampler_config(overrides: Sequence[str]) -> dict[str, object]:
    """The frame sampler that draws as the original does with these overrides, as a config node.

    Returns:
        ``class_path`` (a class of ``datasets.frame_sampling``) and ``init_args``.

    Raises:
        InputError: An override names nothing that exists.
    """
    config = apply_overrides(overrides)
    counts = {"num_frames": config["sampling.num_frames_per_video"], "max_num_frames": config["dataset.max_num_frames"]}
    if config["sampling.type"] == "uniform":
        limits = {
            "spacings": config["sampling.dists_between_frames"],
            "max_distance": config["sampling.max_dist_between_frames"],
        }
        return {"class_path": "datasets.frame_sampling.UniformSpacing", "init_args": counts | limits}
    limits = {"spans": config["sampling.total_dists"], "max_distance": config["sampling.max_dist"]}
    return {"class_path": "datasets.frame_sampling.RandomSpans", "init_args": counts | limits}


def _refuse_unless(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


def _is_count(value: Value, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check(config: Mapping[str, Value]) -> None:
    """Refuses what the original refuses."""
    gpus, batch_size = config["num_gpus"], config["training.batch_size"]
    _refuse_unless(_is_count(gpus, least=1) and gpus & (gpus - 1) == 0, f"num_gpus={gpus}: must be a power of two")
    resolution = config["dataset.resolution"]
    fits = _is_count(resolution, least=4) and resolution & (resolution - 1) == 0
    _refuse_unless(fits, f"dataset.resolution={resolution}: must be a power of two, at least 4")
    if batch_size is not None:
        fits = _is_count(batch_size, least=1) and batch_size % gpus == 0
        _refuse_unless(fits, f"training.batch_size={batch_size}: must be at least 1 and divisible by num_gpus={gpus}")
    for key, least in (("training.kimg", 1), ("training.freezed", 0), ("training.snap", 1), ("training.seed", 0)):
        value = config[key]
        optional = value is None and key in ("training.kimg", "training.freezed")
        _refuse_unless(
            optional or _is_count(value, least=least), f"{key}={value}: must be an integer, at least {least}"
        )

    for key in ("model.generator.fmaps", "model.discriminator.fmaps"):
        value = config.get(key, 1)
        _refuse_unless(_is_number(value) and value > 0, f"{key}={value}: must be a number above 0")
    gamma = config.get("model.loss_kwargs.r1_gamma")
    fits = gamma is None or (isinstance(gamma, float) and gamma >= 0)
    _refuse_unless(fits, f"model.loss_kwargs.r1_gamma={gamma}: must be a float, at least 0; write 10.0, not 10")
    _check_augmentation(config)


def _check_augmentation(config: Mapping[str, Value]) -> None:
    aug = _augmentation_mode(config)
    p, target, pipe = config["training.p"], config["training.target"], config["training.augpipe"]
    _refuse_unless(aug in ("noaug", "ada", "fixed"), f"training.aug={aug}: must be noaug, ada or fixed")
    _refuse_unless(target is None or aug == "ada", f"training.target={target}: only with training.aug=ada; write null")
    _refuse_unless(p is None or aug == "fixed", f"training.p={p}: only with training.aug=fixed; write null")
    _refuse_unless(p is not None or aug != "fixed", "training.p=null: training.aug=fixed needs a probability")
    for key, value in (("training.p", p), ("training.target", target)):
        fits = value is None or (_is_number(value) and 0 <= value <= 1)
        _refuse_unless(fits, f"{key}={value}: must be between 0 and 1")
    _refuse_unless(pipe is None or aug != "noaug", f"training.augpipe={pipe}: not with training.aug=noaug; write null")
    known = pipe is None or pipe in _PIPES
    _refuse_unless(known, f"training.augpipe={pipe}: no such pipe; choose one of {', '.join(_PIPES)}")


def _augmentation_mode(config: Mapping[str, Value]) -> Value:
    return "ada" if config["training.aug"] is None else config["training.aug"]


def _preset(config: Mapping[str, Value]) -> Preset:
    """The row of the table that ``training.cfg`` names; "auto" computes one from the resolution and the batch."""
    name, gpus, resolution = config["training.cfg"], config["num_gpus"], config["dataset.resolution"]
    if name != "auto":
        known = ", ".join(("auto", *_PRESETS))
        _refuse_unless(name in _PRESETS, f"training.cfg={name}: no such preset; choose one of {known}")
        return _PRESETS[name]

    batch_size = config["training.batch_size"] or max(min(gpus * min(4096 // resolution, 32), 64), gpus)
    return Preset(
        ref_gpus=gpus,
        kimg=25_000,
        batch_size=batch_size,
        mbstd_group=min(batch_size // gpus, config["model.discriminator.mbstd_group_size"]),
        fmaps=1.0 if resolution >= 512 else 0.5,
        lr=0.002 if resolution >= 1024 else 0.0025,
        r1_gamma=0.0002 * resolution**2 / batch_size,
        ema_kimg=batch_size * 10 / 32,
        ema_rampup=0.05,
        mapping_layers=2,
    )


def _batch(config: Mapping[str, Value], preset: Preset) -> dict[str, object]:
    batch_size, gpus = config["training.batch_size"], config["num_gpus"]
    return {
        "batch_size": batch_size or preset.batch_size,
        "batch_per_gpu": batch_size // gpus if batch_size else preset.batch_size // preset.ref_gpus,
        "num_gpus": gpus,
        "total_kimg": config["training.kimg"] or preset.kimg,
    }


def _averaging(config: Mapping[str, Value], preset: Preset) -> dict[str, object]:
    """EMA and the pace of the adaptive augmentation: both depend on whether the run counts as a transfer."""
    transfers = config["training.resume"] not in ("noresume", "latest")
    return {
        "ema_kimg": preset.ema_kimg,
        "ema_rampup": None if transfers else preset.ema_rampup,
        "ada_kimg": 100 if transfers else "(loop default 500)",
    }


def _augmentation(config: Mapping[str, Value]) -> dict[str, object]:
    aug = _augmentation_mode(config)
    target = 0.6 if config["training.target"] is None else config["training.target"]
    return {
        "ada_target": target if aug == "ada" else None,
        "fixed_p": config["training.p"],
        "augment": None if aug == "noaug" else dict(PRESETS[config["training.augpipe"] or "bgc"]),
    }


def _optimisation(config: Mapping[str, Value], preset: Preset) -> dict[str, object]:
    gamma = config.get("model.loss_kwargs.r1_gamma")
    return {
        "G_lr": config.get("model.optim.generator.lr", preset.lr),
        "D_lr": config.get("model.optim.discriminator.lr", preset.lr),
        "betas": [0, 0.99],
        "eps": 1e-8,
        "r1_gamma": preset.r1_gamma if gamma is None else gamma,
        "style_mixing_prob": config["model.loss_kwargs.style_mixing_prob"],
        "pl_weight": config["model.loss_kwargs.pl_weight"],
    }


def _networks(config: Mapping[str, Value], preset: Preset) -> dict[str, object]:
    settings: dict[str, object] = {}
    for short, net in (("G", "model.generator"), ("D", "model.discriminator")):
        settings[f"{short}_channel_base"] = int(config.get(f"{net}.fmaps", preset.fmaps) * 32768)
        settings[f"{short}_channel_max"] = config.get(f"{net}.channel_max", 512)
        settings[f"{short}_fp16_resolutions"] = 0 if config["training.fp32"] else 4
    return settings | {
        "conv_clamp": None if config["training.fp32"] else 256,
        "G_mapping_layers": config.get("model.generator.mapping_net_n_layers", preset.mapping_layers),
        "D_mapping_layers": 2,
        "mbstd_group": preset.mbstd_group,
        "freeze_layers": config["training.freezed"] or 0,
    }


def _describe(config: Mapping[str, Value], dataset_name: str) -> str:
    """The name of the run: whatever was given, in a fixed order."""
    words = [dataset_name]
    if config["training.mirror"]:
        words.append("mirror")
    gpus = config["num_gpus"] if config["training.cfg"] == "auto" else ""
    words.append(f"{config['training.cfg']}{gpus}")
    for word, key in (
        ("gamma", "model.loss_kwargs.r1_gamma"),
        ("kimg", "training.kimg"),
        ("batch_size", "training.batch_size"),
        ("", "training.aug"),
        ("p", "training.p"),
        ("target", "training.target"),
        ("freezed", "training.freezed"),
    ):
        value = config.get(key)
        if value is not None:
            words.append(f"{word}{value:g}" if isinstance(value, float) else f"{word}{value}")
    return "-".join(words)
