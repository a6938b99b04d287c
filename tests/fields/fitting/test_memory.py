"""Fields too large for memory are refused before any of it is taken."""

from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.ffn import FFN
from fields.fitting.memory import built_within_memory, bytes_to_fit
from fields.nvp import NVP
from fields.siren_video import SirenVideo

SIZE = (4, 6, 8)


def test_parameters_count_five_times_and_buffers_once() -> None:
    field = FFN(SIZE, 8, (1.0, 1.0, 1.0), (5,))
    assert bytes_to_fit(field) == 4 * (5 * (16 * 5 + 5 + 5 * 3 + 3) + 3 * 8)


def test_it_is_built_where_it_just_fits() -> None:
    needed = bytes_to_fit(SirenVideo(SIZE, (8,)))
    field = built_within_memory(lambda: SirenVideo(SIZE, (8,)), "a thing", available=needed)
    assert not field.network.state_dict()[next(iter(field.network.state_dict()))].is_meta
    with pytest.raises(InputError, match=r"a thing takes .* left \(cpu\): buy more"):
        built_within_memory(lambda: SirenVideo(SIZE, (8,)), "a thing", "buy more", needed - 1)


def test_the_largest_nvp_is_weighed_without_memory() -> None:
    made = []
    with pytest.raises(InputError, match=r"takes 5\.06 GiB"):
        size = (600, 1080, 1920)
        built_within_memory(
            lambda: made.append(NVP(size, features=4, sparse_features=4)) or made[-1], "a film", available=2**30
        )
    assert len(made) == 1 and all(parameter.is_meta for parameter in made[0].parameters())
    assert torch.zeros(1).device.type == "cpu"
