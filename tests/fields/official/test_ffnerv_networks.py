"""FFNeRV from tensors of its program: names both ways, and what is refused."""

from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields import official
from tests.fields.ffnerv.small_fields import small_network

CONFIG = {
    "fc_hw_dim": "2_3_8",
    "t_dim": [3, 6],
    "strides": [2, 2, 2],
    "lower_width": 8,
    "mod_dim": 4,
    "wbit": 6,
    "conv_type": "compact",
}


def theirs() -> tuple[dict[str, torch.Tensor], torch.nn.Module]:
    """Tensors by the program's names, written down here once more."""
    network = small_network(bits=6, convolution="compact")
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours = network.state_dict()
    state = {f"video_grid.{k}": ours[f"latents.levels.{k}.values"] for k in range(2)}
    for stage in range(3):
        for k, kind in enumerate(("gamma", "beta")):
            knots = ours[f"blocks.{stage}.cam.{kind}.values"]
            state[f"layers.{stage}.norm.mod_grid.{k}"] = knots.t()[:, :, None, None]
        for k, kind in ((k, kind) for k in range(2) for kind in ("weight", "bias")):
            state[f"layers.{stage}.conv.conv{k + 1}.{kind}"] = ours[f"blocks.{stage}.conv.{k}.{kind}"]
    for stage, head in ((0, "flow_head"), (2, "frame_head")):
        state |= {f"head_layers.{stage}.{kind}": ours[f"{head}.{kind}"] for kind in ("weight", "bias")}
    return state, network


def test_names_and_settings_are_translated() -> None:
    state, network = theirs()
    found = official.ffnerv(CONFIG, state)
    t = torch.tensor([0.0, 0.6])
    for one, other in zip(found(t), network(t), strict=True):
        assert torch.equal(one, other)


def test_the_state_is_copied() -> None:
    state, _ = theirs()
    found = official.ffnerv(CONFIG, state)
    before = found.latents.levels[0].values.clone()
    state["video_grid.0"].zero_()
    assert torch.equal(found.latents.levels[0].values, before)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"fc_hw_dim": "2_3"}, "fc_hw_dim '2_3'"),
        ({"conv_type": "round"}, "conv_type 'round'"),
        ({"act": "relu"}, "gelu and 4 neighbours"),
        ({"strides": 5}, "strides '5'"),
        ({"strides": [2, 2]}, "3 or more"),
        ({"wbit": "six"}, "wbit 'six'"),
        ({"mod_dim": 5}, "cam.beta.values"),
        ({"mod_dim": 0}, "the settings ask missing"),
        ({"t_dim": [3, 7]}, "latents.levels.1.values"),
    ],
)
def test_other_settings_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        official.ffnerv({**CONFIG, **change}, theirs()[0])


def test_other_tensors_are_refused() -> None:
    state, _ = theirs()
    with pytest.raises(InputError, match=r"'stem\.0\.weight' is no tensor of FFNeRV"):
        official.ffnerv(CONFIG, {**state, "stem.0.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"mod_grid.0' is \(4, 8\)"):
        official.ffnerv(CONFIG, {**state, "layers.0.norm.mod_grid.0": torch.zeros(4, 8)})
    del state["head_layers.2.bias"]
    with pytest.raises(InputError, match="more parameters than the 23"):
        official.ffnerv(CONFIG, state)
