"""A snapshot of the original as weights and a model of ours, with a note on where each setting comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from errors import InputError
from stylegan_v.official import networks
from stylegan_v.official.flags import Flags
from stylegan_v.official.inference import tensor_settings
from stylegan_v.official.names import OFFICIAL, is_filter, to_ours
from stylegan_v.official.network_settings import Setting, embedded_settings, join
from stylegan_v.official.snapshot import Snapshot, read_snapshot
from stylegan_v.official.state_file import is_state, read_state
from stylegan_v.official.training_settings import training_settings
from stylegan_v.weights import NETWORKS, Facts, Weights

_FLAGS = {
    "g_conv_clamp": "conv_clamp",
    "d_conv_clamp": "conv_clamp",
    **{name: name for name in ("motion_z_distance", "max_num_frames", "time_conditioning", "mbstd_group_size")},
    **{name: name for name in ("fps", "data")},
}


# What a setting without a value means.
_DERIVED = {"r1_gamma": "0.0002 H W / batch size", "ema_kclips": "10 batch size / 32"}


def in_words(value: Any) -> str:
    """A value of a setting as people write it."""
    if isinstance(value, dict) and "class_path" in value:
        arguments = ", ".join(f"{name} {in_words(given)}" for name, given in value["init_args"].items())
        return f"{str(value['class_path']).rpartition('.')[2]} ({arguments})"
    if isinstance(value, dict):
        return ", ".join(f"{name} {in_words(given)}" for name, given in value.items() if given) or "nothing"
    if isinstance(value, list | tuple):
        return " ".join(map(in_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


@dataclass(frozen=True)
class Notes:
    """What a conversion found out.

    Attributes:
        settings: Every setting by name, with its source.
        num_parameters: Of "G" and "D".
        dropped: What the file has and the weights do not, or have otherwise; one line each.
    """

    settings: dict[str, Setting]
    num_parameters: dict[str, int]
    dropped: tuple[str, ...]

    def assumed(self, names: Collection[str]) -> list[str]:
        """Of these settings those that nothing told, with their values and the flags that change them."""
        return [
            f"{name} {self.shown(name)}" + (f" (--{_FLAGS[name]})" if name in _FLAGS else "")
            for name in names
            if self.settings[name].source == "assumed"
        ]

    def shown(self, name: str) -> str:
        """The value of a setting in words."""
        value = self.settings[name].value
        return _DERIVED.get(name, "none") if value is None else in_words(value)


def is_original(path: Path) -> bool:
    """Whether a file is one of the original's: a snapshot, by its name, or a state file."""
    return path.suffix == ".pkl" or (path.suffix == ".safetensors" and is_state(path))


def read_original(path: str | Path, *, with_moments: bool = False) -> Snapshot:
    """The content of a snapshot (.pkl) or of a state file (.safetensors); nothing in it is executed.

    Args:
        path: The file.
        with_moments: Whether to read the moments of the optimisers; no conversion takes them over.

    Raises:
        InputError: It is neither.
    """
    return read_state(path) if Path(path).suffix == ".safetensors" else read_snapshot(path, with_moments=with_moments)


def convert(
    snapshot: Snapshot, flags: Flags | None = None, wanted: Collection[str] = NETWORKS
) -> tuple[Weights, Notes]:
    """The networks of a snapshot under our names, and the model that they belong to.

    Args:
        snapshot: Of the original; its tensors are taken over without a copy.
        flags: What the user says in place of the file.
        wanted: Names of our networks to hand over; all of them are looked at.

    Raises:
        InputError: The tensors are not those of such networks, or contradict what the file or the user says.
    """
    try:
        return _convert(snapshot, (flags or Flags()).given(), wanted)
    except InputError as error:
        raise InputError(f"{snapshot.path}: {error}") from error


def _convert(snapshot: Snapshot, flags: Mapping[str, Any], wanted: Collection[str]) -> tuple[Weights, Notes]:
    tree = {"config": snapshot.config or {}, "sampling": snapshot.sampling, **snapshot.init_kwargs}
    settings = network_settings(snapshot.networks["G_ema"], snapshot.networks["D"], tree, flags)
    values = {name: setting.value for name, setting in settings.items()}
    training, remarks = training_settings(snapshot, values, flags)
    settings |= training

    states = {name: to_ours(snapshot.networks[official]) for name, official in OFFICIAL.items()}
    nodes = {"generator": networks.generator_node(values), "discriminator": networks.discriminator_node(values)}
    counts = {name: networks.check(nodes[name.removesuffix("_ema")], state) for name, state in states.items()}
    chosen = {name: _in_float32(state, remarks, OFFICIAL[name]) for name, state in states.items() if name in wanted}

    model = model_node(nodes, {name: setting.value for name, setting in settings.items()})
    facts = _facts(snapshot, values["num_frames"], settings)
    notes = Notes(settings, {"G": counts["generator"], "D": counts["discriminator"]}, _dropped(snapshot, remarks))
    return Weights(snapshot.path, "snapshot", chosen, model, facts), notes


def network_settings(
    generator: Mapping[str, Tensor],
    discriminator: Mapping[str, Tensor],
    tree: Mapping[str, Any],
    flags: Mapping[str, Any],
) -> dict[str, Setting]:
    """Every setting of the networks, with its source.

    Args:
        generator: Tensors by official names.
        discriminator: The same.
        tree: What the file says beside them, as `embedded_settings` takes it.
        flags: What the user says, by the names of settings.

    Raises:
        InputError: The tensors are not those of such networks, or contradict what the file or the user says.
    """
    embedded = embedded_settings(tree)
    tensors = tensor_settings(generator, discriminator, embedded | dict(flags))
    joined = join(tensors, embedded, {name: flags[name] for name in flags if name in networks.NETWORK_SETTINGS})
    return {name: joined[name] for name in networks.NETWORK_SETTINGS}


def model_node(nodes: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The `VideoGAN` of these networks as a config has it.

    Args:
        nodes: Of "generator" and "discriminator".
        settings: Values of the settings of training.
    """
    adaptive = {"target": settings["ada_target"], "ada_kclips": settings["ada_kclips"], "p": settings["augment_p"]}
    augment = settings["augment"]
    arguments: dict[str, Any] = {
        **nodes,
        "g_optimizer": _adam(settings, "g_lr"),
        "d_optimizer": _adam(settings, "d_lr"),
        "augment": augment,
        "ada": augment and {"class_path": "stylegan_v.augment.AdaptiveProbability", "init_args": adaptive},
        "r1_gamma": settings["r1_gamma"],
        "ema_kclips": settings["ema_kclips"],
        "ema_rampup": settings["ema_rampup"],
        "total_kimg": settings["total_kimg"],
        "freeze_d": settings["freeze_d"],
    }
    if settings["pl_weight"] or settings["style_mixing_prob"]:
        given = {name: settings[name] for name in ("pl_weight", "style_mixing_prob")}
        arguments["generator_regularization"] = given
    return {"class_path": "stylegan_v.gan.VideoGAN", "init_args": arguments}


def _adam(settings: Mapping[str, Any], lr: str) -> dict[str, Any]:
    arguments = {"lr": settings[lr], "betas": [float(beta) for beta in settings["betas"]], "eps": settings["eps"]}
    return {"class_path": "torch.optim.Adam", "init_args": {**arguments, "fused": True}}


def _facts(snapshot: Snapshot, num_frames: int, settings: Mapping[str, Setting]) -> Facts:
    """What is known of the run: the original counts frames."""
    facts: Facts = {}
    if "cur_nimg" in snapshot.stats:
        frames = snapshot.stats["cur_nimg"]
        facts |= {"num_frames": frames, "num_clips": frames // num_frames}
    if "batch_idx" in snapshot.stats:
        facts["updates"] = snapshot.stats["batch_idx"]
    known = {"fps": "fps", "augment_p": "augment_p"}
    return facts | {fact: settings[name].value for fact, name in known.items() if settings[name].source != "assumed"}


def _in_float32(state: dict[str, Tensor], remarks: list[str], network: str) -> dict[str, Tensor]:
    """A state dict in the number type of our networks."""
    others = {str(tensor.dtype).removeprefix("torch.") for tensor in state.values() if tensor.dtype != torch.float32}
    if others:
        remarks.append(f"{network}: tensors in {', '.join(sorted(others))}, brought to float32")
    return {name: tensor.float() for name, tensor in state.items()}


def _dropped(snapshot: Snapshot, remarks: list[str]) -> tuple[str, ...]:
    filters = sum(is_filter(name) for state in snapshot.networks.values() for name in state)
    lines = [f"{filters} copies of the resampling filter [1, 3, 3, 1]: ours has it once, in the code"]
    if snapshot.optimizers:
        names = ", ".join(snapshot.optimizers)
        lines.append(f"moments of {names}: a new run starts its optimisers anew, with their settings")
    kwargs = snapshot.init_kwargs.get("G", {}).get("synthesis_kwargs")
    if isinstance(kwargs, dict) and kwargs.get("num_fp16_res"):
        lines.append("which blocks ran in half precision: autocast decides (trainer.precision)")
    return (*lines, *remarks, *snapshot.skipped)
