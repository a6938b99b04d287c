"""What a snapshot says of its training, in our terms; what it does not say is as in the settings the original ships."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from errors import InputError
from stylegan_v.augment.settings import PRESETS, Settings, resolve
from stylegan_v.official.interpolation import MISSING
from stylegan_v.official.network_settings import ABSENT, Setting, Source, find
from stylegan_v.official.settings import derive_settings, frame_sampler_config
from stylegan_v.official.snapshot import Snapshot
from stylegan_v.schedules import default_ema_kclips, default_r1_gamma

# Our setting -> (what the original derives, the keys of its configuration that decide).
_DERIVED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "batch_size": ("batch_size", ("training.batch_size",)),
    "total_kimg": ("total_kimg", ("training.kimg",)),
    "flip": ("xflip", ("training.mirror",)),
    "g_lr": ("G_lr", ("training.cfg", "model.optim.generator.lr")),
    "d_lr": ("D_lr", ("training.cfg", "model.optim.discriminator.lr")),
    "r1_gamma": ("r1_gamma", ("training.cfg", "model.loss_kwargs.r1_gamma")),
    "pl_weight": ("pl_weight", ("model.loss_kwargs.pl_weight",)),
    "style_mixing_prob": ("style_mixing_prob", ("model.loss_kwargs.style_mixing_prob",)),
    "ema_kclips": ("ema_kimg", ("training.cfg",)),
    "ema_rampup": ("ema_rampup", ("training.resume",)),
    "augment": ("augment", ("training.aug", "training.augpipe")),
    "augment_p": ("fixed_p", ("training.p",)),
    "ada_target": ("ada_target", ("training.target", "training.aug")),
    "ada_kclips": ("ada_kimg", ("training.resume",)),
    "freeze_d": ("freeze_layers", ("training.freezed",)),
}
_FURTHER_KEYS = ("num_gpus", "model.discriminator.mbstd_group_size")
_SAMPLING_KEYS = ("total_dists", "max_dist", "dists_between_frames", "max_dist_between_frames")
_LAZY_EVERY = {"g": 4, "d": 16}  # updates between two steps of the regularisers
_LOOP_ADA_KIMG = 500.0
_DEFAULT_FPS = 25.0


def training_settings(
    snapshot: Snapshot, networks: Mapping[str, Any], flags: Mapping[str, Any]
) -> tuple[dict[str, Setting], list[str]]:
    """Settings of the run and its data, with their sources, and remarks on what could not be taken over.

    Args:
        snapshot: Of the original.
        networks: Values of the settings of its networks.
        flags: What the user says: "fps", "data".
    """
    remarks: list[str] = []
    config = snapshot.config or {}
    settings = _derived(config, networks["resolution"], remarks)
    settings |= _optimizers(snapshot)
    settings["frame_sampler"] = _frame_sampler(snapshot, networks, remarks)
    if snapshot.augment is not None:
        settings |= _augmentation(snapshot.augment, remarks)
    elif settings["augment_p"].value is None:
        settings["augment_p"] = Setting(0.0, "assumed")
    settings["augment"] = Setting(augment_node(settings["augment"].value), settings["augment"].source)
    _drop_derivable(settings, networks["resolution"])
    return settings | _data(snapshot, flags) | _precision(snapshot), remarks


def _derived(config: Mapping[str, Any], resolution: int, remarks: list[str]) -> dict[str, Setting]:
    """What the original derives from its configuration."""
    keys = {key for _, decisive in _DERIVED.values() for key in decisive} | set(_FURTHER_KEYS)
    given = {key: value for key in sorted(keys) if _is_known(value := find(config, key))}
    size = f"dataset.resolution={resolution}"
    try:
        derived = derive_settings([size, *(_override(key, value) for key, value in given.items())])
    except InputError as error:
        remarks.append(f"the settings of the training: {error}; those that the original ships are assumed")
        given, derived = {}, derive_settings([size])
    settings = {}
    for name, (key, decisive) in _DERIVED.items():
        source: Source = "embedded" if given.keys() & set(decisive) else "assumed"
        settings[name] = Setting(derived[key], source)
    if not isinstance(settings["ada_kclips"].value, int | float):
        settings["ada_kclips"] = Setting(_LOOP_ADA_KIMG, settings["ada_kclips"].source)
    for name, key in (("betas", "betas"), ("eps", "eps")):
        settings[name] = Setting(derived[key], "assumed")
    return settings


def _override(key: str, value: Any) -> str:
    """An override of the original's configuration, as its command line takes them."""
    if key.endswith("r1_gamma") and _is_number(value):
        value = float(value)
    if isinstance(value, list):
        return f"++{key}=[{','.join(map(str, value))}]"
    return f"++{key}={'null' if value is None else str(value).lower() if isinstance(value, bool) else value}"


def _optimizers(snapshot: Snapshot) -> dict[str, Setting]:
    """Learning rates and betas as they were before the correction for lazy regularisation, lr q and beta^q."""
    settings: dict[str, Setting] = {}
    for net, every in _LAZY_EVERY.items():
        stored = snapshot.optimizers.get(f"{net.upper()}_opt")
        if stored is None:
            continue
        q = every / (every + 1)
        lr, betas, eps = (stored.settings.get(name) for name in ("lr", "betas", "eps"))
        if _is_number(lr):
            settings[f"{net}_lr"] = Setting(_rounded(lr / q), "embedded")
        if isinstance(betas, list | tuple) and len(betas) == 2 and all(_is_number(b) and 0 <= b < 1 for b in betas):
            settings["betas"] = Setting([_rounded(beta ** (1 / q)) for beta in betas], "embedded")
        if _is_number(eps):
            settings["eps"] = Setting(float(eps), "embedded")
    return settings


def _frame_sampler(snapshot: Snapshot, networks: Mapping[str, Any], remarks: list[str]) -> Setting:
    """The config node of the frame sampler."""
    embedded = snapshot.sampling or find(snapshot.config or {}, "sampling")
    embedded = embedded if isinstance(embedded, Mapping) else {}
    kind = "uniform" if networks["uniform_spacing"] else "random"
    told = {key: embedded[key] for key in _SAMPLING_KEYS if key in embedded}
    counts = {"sampling.num_frames_per_video": networks["num_frames"]}
    counts["dataset.max_num_frames"] = networks["max_num_frames"]
    overrides = [f"sampling={kind}", *(_override(key, value) for key, value in counts.items())]
    if told and not all(_is_number(n) and n >= 0 for value in told.values() for n in _listed(value)):
        remarks.append("sampling: its distances are no numbers; those that the original ships are assumed")
        told = {}
    overrides += [_override(f"sampling.{key}", value) for key, value in told.items()]
    return Setting(frame_sampler_config(overrides), "embedded" if told else "assumed")


def _augmentation(pipe: Mapping[str, Any], remarks: list[str]) -> dict[str, Setting]:
    """Members of the augmentation pipe, and the probability that training had reached; the original's has no bound."""
    p = float(pipe.get("p", 0.0))
    if not 0 <= p <= 1:
        remarks.append(f"augmentation probability {p:g}: outside of 0 to 1, brought there")
        p = min(max(p, 0.0), 1.0) if math.isfinite(p) else 0.0
    members = {name: value for name, value in pipe.items() if name in Settings.__dataclass_fields__}
    return {"augment": Setting(members, "embedded"), "augment_p": Setting(p, "embedded")}


def _drop_derivable(settings: dict[str, Setting], resolution: int) -> None:
    """Leaves to our defaults what they derive in the same way, so that it follows a change of the batch size."""
    batch_size = settings["batch_size"].value
    defaults = {
        "r1_gamma": default_r1_gamma((resolution, resolution), batch_size),
        "ema_kclips": default_ema_kclips(batch_size),
    }
    for name, default in defaults.items():
        if math.isclose(settings[name].value, default, rel_tol=1e-9):
            settings[name] = Setting(None, settings[name].source)


def _data(snapshot: Snapshot, flags: Mapping[str, Any]) -> dict[str, Setting]:
    config = snapshot.config or {}
    fps = next((n for key in ("dataset.fps", "sampling.fps") if _is_number(n := find(config, key)) and n > 0), None)
    path = snapshot.training_set.get("path") or find(config, "dataset.path")
    name = re.split(r"[/\\]", path)[-1].strip(". ") if isinstance(path, str) and _is_known(path) else ""
    settings = {
        "fps": Setting(_DEFAULT_FPS, "assumed") if fps is None else Setting(float(fps), "embedded"),
        # Only the last part: the rest is a place on somebody's machine.
        "data": Setting(f"data/{name}", "embedded") if name else Setting("data/videos", "assumed"),
    }
    return settings | {key: Setting(flags[key], "flag") for key in settings.keys() & flags.keys()}


def _precision(snapshot: Snapshot) -> dict[str, Setting]:
    """Half precision as autocast has it, where some of the original's blocks had it."""
    blocks = find(snapshot.init_kwargs.get("G", {}), "synthesis_kwargs.num_fp16_res")
    if isinstance(blocks, int):
        return {"precision": Setting("bf16-mixed" if blocks else "32-true", "embedded")}
    return {"precision": Setting("bf16-mixed", "assumed")}


def augment_node(members: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The node of the augmentation pipe: a preset where one is the same, else every member by name."""
    if members is None:
        return None
    wanted = resolve("none", members)
    same = [name for name in PRESETS if resolve(name, {}) == wanted]
    arguments = {"preset": same[0]} if same else {"preset": "none", "overrides": dict(members)}
    return {"class_path": "stylegan_v.augment.AugmentPipe", "init_args": arguments}


def _is_known(value: Any) -> bool:
    """Whether a setting is there, was given a value, and does not refer to something that is not there."""
    return value is not ABSENT and value != MISSING and not (isinstance(value, str) and "${" in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rounded(value: float) -> float:
    return float(f"{value:.10g}")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [0 if value is None else value]
