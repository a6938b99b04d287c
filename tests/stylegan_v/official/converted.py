"""The recorded snapshot, and networks of ours under the original's names, for tests of the conversion."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegan_v.checkpoints import build
from stylegan_v.official.names import to_official
from stylegan_v.official.networks import discriminator_node, generator_node
from stylegan_v.official.snapshot import Snapshot, read_snapshot
from stylegan_v.weights import Weights

RECORDED = Path(__file__).parents[2] / "conformance" / "data" / "stylegan_v"
SAMPLE = RECORDED / "official_style_small.pkl"
SMALL = {
    **{"resolution": 32, "c_dim": 0, "z_dim": 6, "w_dim": 10, "g_mapping_layers": 2},
    **{"motion_z_dim": 4, "motion_v_dim": 5, "kernel_size": 3, "num_frequencies": 4},
    **{"min_period": 8, "max_period": 64, "motion_z_distance": 8, "max_num_frames": 32},
    **{"time_conditioning": "concat_const", "motion_input": True, "noise_inputs": False},
    **{"g_channel_base": 128, "g_channel_max": 8, "g_conv_clamp": 256.0},
    **{"num_frames": 3, "concat_res": 16, "num_frames_div_factor": 2, "uniform_spacing": False},
    **{"condition_dim": 8, "condition_ignored": False, "d_mapping_layers": 2},
    **{"d_channel_base": 128, "d_channel_max": 8, "d_conv_clamp": 256.0, "mbstd_group_size": 2},
}


@lru_cache(maxsize=1)
def sample() -> Snapshot:
    return read_snapshot(SAMPLE)


def changed(**sections: Any) -> Snapshot:
    """The recorded snapshot with other attributes."""
    return replace(sample(), **sections)


def with_config(**values: Any) -> Snapshot:
    """The recorded snapshot with other settings of its run, "section__key" for nested ones."""
    config = dict(sample().config)
    for path, value in values.items():
        node, (*sections, key) = config, path.split("__")
        for section in sections:
            node[section] = dict(node[section])
            node = node[section]
        node[key] = value
    return changed(config=config)


def official_states(**settings: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random networks of these settings: generator and discriminator by official names."""
    settings = {**SMALL, **settings}
    networks = build(generator_node(settings)), build(discriminator_node(settings))
    generator, discriminator = (to_official(network.state_dict()) for network in networks)
    return generator, discriminator


def our_weights(path: Path = Path("run"), **settings: Any) -> Weights:
    """Random networks of these settings as weights of ours."""
    settings = {**SMALL, **settings}
    nodes = {"generator": generator_node(settings), "discriminator": discriminator_node(settings)}
    networks = {name: build(nodes[name.removesuffix("_ema")]).state_dict() for name in (*nodes, "generator_ema")}
    facts = {"num_frames": 1200, "num_clips": 400, "updates": 25, "fps": 12.5}
    return Weights(path, "model", networks, {"class_path": "stylegan_v.gan.VideoGAN", "init_args": nodes}, facts)


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two state dicts are the same bit for bit, in names, order and number types."""
    same = list(one) == list(other) and all(one[name].dtype == other[name].dtype for name in one)
    return same and all(torch.equal(one[name], other[name]) for name in one)
