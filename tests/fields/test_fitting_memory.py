"""Fields too large for memory are refused before any of it is taken."""

from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.ffn import FFN
from fields.fitting_memory import built_within_memory, bytes_to_fit
from fields.nvp import NVP
from fields.siren_video import SirenVideo

SIZE = (4, 6, 8)


def test_parameters_count_five_times_and_buffers_once() -> None:
    field = FFN(SIZE, 8, (1.0, 1.0, 1.0), (5,))
    assert bytes_to_fit(field) == 4 * (5 * (16 * 5 + 5 + 5 * 3 + 3) + 3 * 8)


def test_it_is_built_where_it_just_fits() -> None:
    needed = bytes_to_fit(SirenVideo(SIZE, (8,)))
    field = built_within_memory(lambda size: SirenVideo(size, (8,)), SIZE, needed)
    assert not field.network.state_dict()[next(iter(field.network.state_dict()))].is_meta
    with pytest.raises(InputError, match=r"4 frames of 6x8 takes .* give smaller grids"):
        built_within_memory(lambda size: SirenVideo(size, (8,)), SIZE, needed - 1)


def test_the_largest_nvp_is_weighed_without_memory() -> None:
    made = []
    with pytest.raises(InputError, match=r"takes 5\.06 GiB"):
        built_within_memory(
            lambda size: made.append(NVP(size, features=4, sparse_features=4)) or made[-1], (600, 1080, 1920), 2**30
        )
    assert len(made) == 1 and all(parameter.is_meta for parameter in made[0].parameters())
    assert torch.zeros(1).device.type == "cpu"
