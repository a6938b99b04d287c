"""The table of official names is a bijection, and nothing that does not fit is loaded."""

from __future__ import annotations

import pytest
import torch

from stylegan_v.official import build_generator, discriminator_names, generator_names, infer_config
from tests.conformance.recordings import Recording, files

SNAPSHOTS = files("stylegan_v", "d_logits")


@pytest.mark.parametrize("path", SNAPSHOTS)
def test_names_are_a_bijection_and_filters_are_dropped(path: str) -> None:
    data = Recording(path)
    for prefix, names in (("G_ema", generator_names), ("D", discriminator_names)):
        state = data.group(f"state/{prefix}")
        table = names(state)
        assert len(set(table.values())) == len(table)
        assert {name for name in state if name not in table} == {n for n in state if n.endswith("resample_filter")}


@pytest.mark.parametrize("path", SNAPSHOTS)
def test_missing_unknown_and_misshapen_tensors_are_named(path: str) -> None:
    data = Recording(path)
    state = data.group("state/G_ema")
    config = infer_config(state, data.group("state/D"))
    weight = "synthesis.b8.conv0.weight"
    with pytest.raises(ValueError, match=r"blocks\.b8\.convs\.0\.weight: missing"):
        build_generator(config, {name: tensor for name, tensor in state.items() if name != weight})
    with pytest.raises(ValueError, match=r"synthesis\.extra: not a tensor of this network"):
        build_generator(config, {**state, "synthesis.extra": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"blocks\.b8\.convs\.0\.weight: shape"):
        build_generator(config, {**state, weight: state[weight][:, :, :, :2]})
