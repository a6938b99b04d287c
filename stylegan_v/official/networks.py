"""Networks of the original StyleGAN-V rebuilt from its settings and tensors: one name table, both directions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from stylegan_v.networks import Discriminator, Generator, LSTMMotion, MotionEncoder, ProjectionConditioning

# (pattern of the official name, our name); the first that matches counts, and each line reads in both directions.
_GENERATOR_NAMES = (
    (r"mapping\.w_avg", r"mapping.w_avg"),
    (r"mapping\.fc(\d+)\.(\w+)", r"mapping.layers.\1.\2"),
    (r"mapping\.embed\.(\w+)", r"mapping.embed.\1"),
    (r"synthesis\.motion_encoder\.mapping\.fc(\d+)\.(\w+)", r"synthesis.motion.mapping.layers.\1.\2"),
    (r"synthesis\.motion_encoder\.(.+)", r"synthesis.motion.\1"),
    (r"synthesis\.b\d+\.input\.input(?:\.const)?", r"synthesis.const"),
    (r"synthesis\.b(\d+)\.conv([01])\.(.+)", r"synthesis.blocks.b\1.convs.\2.\3"),
    (r"synthesis\.b(\d+)\.torgb\.(.+)", r"synthesis.blocks.b\1.torgb.\2"),
)
_DISCRIMINATOR_NAMES = (
    (r"time_encoder\.const_embed\.weight", r"conditioning.time_encoder.const_embed.weight"),
    (r"time_encoder\.time_encoder\.fourier_coefs", r"conditioning.time_encoder.fourier_coefs"),
    (r"mapping\.fc(\d+)\.(\w+)", r"conditioning.mapping.layers.\1.\2"),
    (r"mapping\.embed\.(\w+)", r"conditioning.mapping.embed.\1"),
    (r"b\d+\.fromrgb\.(\w+)", r"fromrgb.\1"),
    (r"b(\d+)\.(conv[01]|skip)\.(\w+)", r"blocks.b\1.\2.\3"),
    (r"b\d+\.(conv|fc)\.(\w+)", r"epilogue.\1.\2"),
    (r"b\d+\.out\.(\w+)", r"head.out.\1"),
)
# Constants of the [1, 3, 3, 1] filter, stored with every layer by the original; ours has it once, in the code.
_DROPPED = re.compile(r"(.*\.)?resample_filter")


def _translate(name: str, table: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in table:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(replacement)
    raise ValueError(f"{name}: not a tensor of this network")


def _generator_name(name: str, first_block: str) -> str:
    # The first block has one convolution; the original numbers it 1, ours 0.
    return _translate(
        name.replace(f"synthesis.{first_block}.conv1.", f"synthesis.{first_block}.conv0."), _GENERATOR_NAMES
    )


def generator_names(state: Mapping[str, Any]) -> dict[str, str]:
    """Official name -> our name for every tensor of a generator that is kept; resample filters are dropped.

    Raises:
        ValueError: If a name is not one of this network.
    """
    blocks = [int(m.group(1)) for m in (re.match(r"synthesis\.b(\d+)\.", name) for name in state) if m]
    first = f"b{min(blocks, default=4)}"
    return {name: _generator_name(name, first) for name in state if not _DROPPED.fullmatch(name)}


def discriminator_names(state: Mapping[str, Any]) -> dict[str, str]:
    """Official name -> our name for every tensor of a discriminator that is kept; resample filters are dropped.

    Raises:
        ValueError: If a name is not one of this network.
    """
    return {name: _translate(name, _DISCRIMINATOR_NAMES) for name in state if not _DROPPED.fullmatch(name)}


def build_generator(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Generator:
    """A generator with the original's weights, in evaluation mode.

    Args:
        config: Settings of the original: ``model``, ``derived``, ``resolution``, ``c_dim``, ...
        state: Tensors by their official names.

    Raises:
        ValueError: If a tensor is missing, unknown or of another shape.
    """
    model, c_dim = config["model"]["generator"], config["c_dim"]
    derived = config["derived"]["G_kwargs"]
    motion = _build_motion(model, c_dim)
    first = min(int(name.split(".")[1][1:]) for name in state if re.match(r"synthesis\.b\d+\.", name))
    const = next(
        tensor for name, tensor in state.items() if re.fullmatch(r"synthesis\.b\d+\.input\.input(\.const)?", name)
    )
    generator = Generator(
        config["resolution"],
        z_dim=model["z_dim"],
        w_dim=model["w_dim"],
        c_dim=c_dim,
        num_mapping_layers=derived["mapping_kwargs"]["num_layers"],
        motion=motion,
        time_conditioning=model["time_enc"].get("cond_type", "concat_const"),
        # Whether time is joined to the constant shows in the width of the first convolution.
        motion_input=state[f"synthesis.b{first}.conv1.weight"].shape[1] > const.shape[-3],
        channel_base=derived["synthesis_kwargs"]["channel_base"],
        channel_max=derived["synthesis_kwargs"]["channel_max"],
        conv_clamp=derived["synthesis_kwargs"]["conv_clamp"],
        noise_inputs=bool(model.get("use_noise", False)),
    )
    _load(generator, state, generator_names(state))
    return generator.eval()


def _build_motion(model: Mapping[str, Any], c_dim: int) -> MotionEncoder | LSTMMotion:
    motion, time_enc = model["motion"], model["time_enc"]
    shared = {
        "z_dim": motion["z_dim"],
        "v_dim": motion["v_dim"],
        "c_dim": c_dim,
        "distance": motion["motion_z_distance"],
        "max_num_frames": model["sampling"]["max_num_frames"],
    }
    if motion.get("gen_strategy", "conv") == "autoregressive":
        return LSTMMotion(**shared)
    return MotionEncoder(
        **shared,
        num_frequencies=time_enc["dim"],
        kernel_size=motion["kernel_size"],
        min_period=time_enc["min_period_len"],
        max_period=time_enc["max_period_len"],
    )


def build_discriminator(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Discriminator:
    """A discriminator with the original's weights, in evaluation mode. Arguments and errors as `build_generator`."""
    model, derived = config["model"]["discriminator"], config["derived"]["D_kwargs"]
    num_frames = config["num_frames_per_video"]
    conditioning = ProjectionConditioning(
        num_frames,
        config["c_dim"],
        dim=len(state["mapping.fc0.bias"]) if "mapping.fc0.bias" in state else 512,
        num_layers=derived["mapping_kwargs"]["num_layers"],
        max_num_frames=model["sampling"]["max_num_frames"],
        uniform_spacing=model["sampling"].get("type") == "uniform",
        ignored=bool(model.get("dummy_c", False)),
    )
    discriminator = Discriminator(
        config["resolution"],
        conditioning=conditioning,
        channel_base=derived["channel_base"],
        channel_max=derived["channel_max"],
        conv_clamp=derived["conv_clamp"],
        mbstd_group_size=derived["epilogue_kwargs"]["mbstd_group_size"],
        concat_res=model["concat_res"],
        num_frames_div_factor=model["num_frames_div_factor"],
    )
    _load(discriminator, state, discriminator_names(state))
    return discriminator.eval()


def _load(network: nn.Module, state: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    """Fills every tensor of ``network``; nothing may be missing or left over."""
    ours = network.state_dict()
    renamed = {ours_name: state[name] for name, ours_name in names.items()}
    for name in sorted(ours.keys() ^ renamed.keys()):
        raise ValueError(
            f"{name}: {'missing from the file' if name in ours else 'not in the network of these settings'}"
        )
    if "synthesis.const" in renamed:  # stored without the leading axis where time does not enter it
        renamed["synthesis.const"] = renamed["synthesis.const"].reshape(ours["synthesis.const"].shape)
    for name, tensor in renamed.items():
        if tensor.shape != ours[name].shape:
            raise ValueError(
                f"{name}: shape {tuple(tensor.shape)} in the file, {tuple(ours[name].shape)} in the network"
            )
    network.load_state_dict(renamed)
