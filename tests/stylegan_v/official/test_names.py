"""The table of names is a bijection; state dicts of the original go in and out without a change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning, MotionEncoder
from stylegan_v.official.names import (
    discriminator_names,
    filter_1331,
    generator_names,
    in_order,
    is_filter,
    official_names,
    to_official,
    to_ours,
)
from tests.stylegan_v.official.converted import RECORDED

STATES = [
    (path, prefix)
    for path in sorted(RECORDED.glob("*.npz"))
    for prefix in ("G", "D", "state/G", "state/D", "state/G_ema")
    if any(key.startswith(f"{prefix}/") for key in np.load(path, allow_pickle=False).files)
]


def recorded(path: Path, prefix: str) -> dict[str, Tensor]:
    """A state dict in its recorded order."""
    arrays = np.load(path, allow_pickle=False)
    names = [key for key in arrays.files if key.startswith(f"{prefix}/") and not key.endswith("_json")]
    return {name.removeprefix(f"{prefix}/"): torch.from_numpy(np.array(arrays[name])) for name in names}


def official_256(net: str) -> dict[str, Tensor]:
    """The recorded table of the full-size network, without memory."""
    rows = json.loads((RECORDED / "official_256_parameters.json").read_text())[net]
    empty = {row["name"]: torch.empty(row["shape"], device="meta") for row in rows}
    return {name: filter_1331() if is_filter(name) else tensor for name, tensor in empty.items()}


@pytest.mark.parametrize(("path", "prefix"), STATES, ids=lambda value: getattr(value, "stem", value))
def test_state_dict_goes_in_and_out_bit_for_bit_in_its_order(path: Path, prefix: str) -> None:
    state = recorded(path, prefix)
    there = to_ours(state)
    back = to_official(there)
    assert list(back) == list(state)
    for name, tensor in state.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor), name
    assert {name: there[ours].data_ptr() for ours, name in official_names(there).items()} == {
        name: tensor.data_ptr() for name, tensor in state.items() if not is_filter(name)
    }  # no tensor is copied


@pytest.mark.parametrize("net", ["G", "D"])
def test_names_of_the_full_size_networks_are_a_bijection_that_leaves_out_only_filters(net: str) -> None:
    state = official_256(net)
    table = (generator_names if net == "G" else discriminator_names)(state)
    assert len(set(table.values())) == len(table)
    assert state.keys() - table.keys() == {name for name in state if name.endswith("resample_filter")}
    ours = to_ours(state)
    assert {ours_name: name for name, ours_name in table.items()} == official_names(ours)
    assert list(to_official(ours)) == list(state)


def test_order_does_not_depend_on_the_order_of_what_comes_in() -> None:
    for net in ("G", "D"):
        names = list(official_256(net))
        assert in_order(reversed(names)) == names


def test_constant_without_time_is_stored_bare() -> None:
    with torch.device("meta"):
        motion = MotionEncoder(z_dim=4, v_dim=4, num_frequencies=4)
        network = Generator(16, w_dim=8, z_dim=8, motion=motion, time_conditioning="sum_w", channel_max=8)
    state = {name: torch.empty(tensor.shape) for name, tensor in network.state_dict().items()}
    official = to_official(state)
    assert official["synthesis.b4.input.input"].shape == (8, 4, 4)
    assert "synthesis.b4.input.input.const" not in official
    back = to_ours(official)
    assert back.keys() == state.keys()
    assert back["synthesis.const"].shape == state["synthesis.const"].shape == (1, 8, 4, 4)


def test_what_the_other_side_does_not_have_is_refused_by_name() -> None:
    state = recorded(*STATES[0])
    with pytest.raises(InputError, match=r"synthesis\.extra: not a tensor of this network"):
        to_ours({**state, "synthesis.extra": torch.zeros(1)})
    with pytest.raises(InputError, match="two tensors of the file are the same"):
        to_ours({**state, "synthesis.b4.input.input": torch.zeros(1, 4, 4)})
    with pytest.raises(InputError, match=r"synthesis\.b4\.resample_filter: not the filter"):
        to_ours({**state, "synthesis.b4.resample_filter": torch.ones(4, 4) / 16})
    with torch.device("meta"):
        hyper = Discriminator(32, conditioning=HypernetworkConditioning(dim=8), channel_max=8)
    with pytest.raises(InputError, match=r"not a tensor of the original"):
        official_names(hyper.state_dict())
