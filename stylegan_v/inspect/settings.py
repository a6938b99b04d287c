"""The settings of a model that people ask for, out of its config and of the networks that this config builds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from errors import InputError
from stylegan_v.checkpoints import build
from stylegan_v.inspect.contents import Contents
from stylegan_v.networks import Discriminator, Generator, MotionEncoder
from stylegan_v.schedules import default_ema_kclips, default_r1_gamma

Settings = dict[str, Any]


def built(contents: Contents) -> dict[str, nn.Module]:
    """Generator and discriminator as their config builds them, without memory for their tensors; those that it can.

    Args:
        contents: Its `notes` say what could not be built.
    """
    modules = {}
    for name, made in (("generator", Generator), ("discriminator", Discriminator)):
        node = contents.weights.model["init_args"].get(name) if contents.weights else None
        if node is None:
            continue
        try:
            with torch.device("meta"):
                module = build(node)
        except InputError as error:
            contents.notes.append(f"{name} cannot be built: {error}")
            continue
        if isinstance(module, made):
            modules[name] = module
    return modules


def generator_settings(generator: Generator, state: Mapping[str, Tensor]) -> Settings:
    """What decides what a generator draws.

    Args:
        generator: As built; the values of its tensors are not looked at.
        state: Its tensors; empty where they are not there.
    """
    conv = generator.synthesis.blocks[f"b{generator.synthesis.levels[0].name}"].convs[0]
    modulation = generator.synthesis.temporal_modulation
    modulated = {} if modulation is None else {"num_knots": modulation.num_knots, "rank": modulation.rank}
    decoder = generator.decoder
    decoded = {} if decoder is None else {"class": type(decoder).__name__, "mode": decoder.mode}
    return {
        "resolution": list(generator.resolution),
        "z_dim": generator.z_dim,
        "w_dim": generator.w_dim,
        "c_dim": generator.c_dim,
        "num_ws": generator.num_ws,
        "mapping_layers": len(generator.mapping.layers),
        "channels": {f"b{level.name}": level.channels for level in generator.synthesis.levels},
        "conv_clamp": conv.conv_clamp,
        "noise_inputs": conv.noise_size is not None,
        "time_conditioning": generator.synthesis.time_conditioning,
        "motion": _motion(generator.synthesis.motion, state),
    } | {name: one for name, one in (("temporal_modulation", modulated), ("decoder", decoded)) if one}


def _motion(motion: nn.Module, state: Mapping[str, Tensor]) -> Settings:
    known = ("z_dim", "out_dim", "distance", "max_num_frames")
    settings = {"class": type(motion).__name__} | {
        name: getattr(motion, name) for name in known if hasattr(motion, name)
    }
    if isinstance(motion, MotionEncoder):
        v_dim, _, kernel_size = motion.conv[1].weight.shape
        settings |= {"v_dim": v_dim, "kernel_size": kernel_size, "encoding": type(motion.time_encoder).__name__}
    freqs = state.get("synthesis.motion.time_encoder.freqs")
    if freqs is not None and freqs.numel():  # the tensor decides, whatever the config says
        periods = 2 * math.pi / freqs.double()
        settings |= {
            "num_frequencies": freqs.numel(),
            "min_period": round(periods.min().item(), 3),
            "max_period": round(periods.max().item(), 3),
        }
    return settings


def discriminator_settings(discriminator: Discriminator) -> Settings:
    """What decides how a discriminator looks at clips."""
    conditioning = discriminator.conditioning
    encoder = conditioning.time_encoder
    return {
        "resolution": list(discriminator.resolution),
        "num_frames": discriminator.num_frames,
        "c_dim": discriminator.c_dim,
        "conditioning": type(conditioning).__name__,
        "condition_dim": conditioning.dim,
        "max_num_frames": None if encoder is None else encoder.const_embed.num_embeddings,
        "channels": {f"b{level.name}": level.channels for level in discriminator.levels},
        "concat_res": discriminator.join_at,
        "mbstd_group_size": discriminator.mbstd_group_size,
        "conv_clamp": discriminator.fromrgb.conv_clamp,
    }


def training_settings(config: Mapping[str, Any]) -> Settings:
    """What decides how a run trains, as numbers that act: R1 weight and EMA left open are those of its batch and frame.

    Args:
        config: The run's; what it does not say is left out.
    """
    model, data = _arguments(config.get("model")), _arguments(config.get("data"))
    known = ("r1_gamma", "r1_every", "ema_kclips", "ema_rampup", "total_kimg", "num_micro_batches", "freeze_d")
    settings: Settings = {name: model[name] for name in (*known, "init_from") if name in model}
    batch, sides = data.get("batch_size"), _sides(_arguments(model.get("generator")).get("resolution"))
    if _is_count(batch):
        settings["batch_size"] = batch
        if settings.get("ema_kclips", ...) is None:
            settings["ema_kclips"] = default_ema_kclips(batch)
        if settings.get("r1_gamma", ...) is None and sides:
            settings["r1_gamma"] = default_r1_gamma(sides, batch)
    optimizer = ("lr", "betas")
    parts = {"augment": ("preset",), "ada": ("target", "ada_kclips", "p")}
    parts |= {"g_optimizer": optimizer, "d_optimizer": optimizer}
    for key, names in parts.items():
        arguments = _arguments(model.get(key))
        settings |= {f"{key}.{name}": arguments[name] for name in names if name in arguments}
    return settings


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _sides(resolution: Any) -> tuple[int, int] | None:
    """Height and width of a config's resolution; None where it is none."""
    sides = resolution if isinstance(resolution, list) else [resolution, resolution]
    return tuple(sides) if len(sides) == 2 and all(map(_is_count, sides)) else None


def data_settings(config: Mapping[str, Any]) -> Settings:
    """The data of a run: class, place, and how clips are drawn."""
    node = config.get("data")
    if not isinstance(node, Mapping) or "class_path" not in node:
        return {}
    arguments = _arguments(node)
    settings = {"class": node["class_path"]}
    settings |= {name: arguments[name] for name in ("root", "resolution", "labels", "batch_size") if name in arguments}
    sampler = arguments.get("frame_sampler")
    if isinstance(sampler, Mapping) and "class_path" in sampler:
        settings["frame_sampler"] = {"class": sampler["class_path"], **_arguments(sampler)}
    return settings


def _arguments(node: Any) -> Mapping[str, Any]:
    """The arguments of a config node; none where there is no node."""
    found = node.get("init_args") if isinstance(node, Mapping) else None
    return found if isinstance(found, Mapping) else {}
