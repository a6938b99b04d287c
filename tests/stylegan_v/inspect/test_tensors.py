from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from stylegan_v.inspect.tensors import by_module, check_plain, pool, row, spread


def test_spread_is_that_of_all_values() -> None:
    tensor = torch.randn(3, 5, 7) * 4 + 100
    found = spread(tensor)
    values = tensor.double()
    assert (found.count, found.not_finite) == (105, 0)
    assert found.mean == pytest.approx(values.mean().item(), rel=1e-12)
    assert found.std == pytest.approx(values.std(correction=0).item(), rel=1e-12)
    assert (found.min, found.max) == (values.min().item(), values.max().item())
    assert found.rms == pytest.approx(math.sqrt((values**2).mean().item()), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_spread_of_other_numbers(dtype: torch.dtype) -> None:
    found = spread(torch.tensor([0, 1, 1, 1]).to(dtype))
    assert (found.mean, found.std, found.min, found.max) == (0.75, pytest.approx(math.sqrt(0.1875)), 0, 1)


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    found = spread(torch.tensor([1.0, math.nan, 3.0, math.inf, -math.inf]))
    assert (found.count, found.not_finite, found.mean, found.std, found.min, found.max) == (5, 3, 2, 1, 1, 3)


@pytest.mark.parametrize("tensor", [torch.empty(0, 3), torch.full((2,), math.nan)])
def test_nothing_finite_has_no_numbers(tensor: torch.Tensor) -> None:
    found = spread(tensor)
    assert (found.count, found.not_finite) == (tensor.numel(), tensor.numel())
    assert found.mean is found.std is found.min is found.max is found.rms is None


def test_pooled_spread_is_that_of_the_values_together() -> None:
    parts = [torch.randn(40) * 3 + 7, torch.randn(2, 3), torch.tensor([math.nan, 50.0]), torch.empty(0)]
    found = pool(map(spread, parts))
    together = spread(torch.cat([part.flatten() for part in parts]))
    assert (found.count, found.not_finite, found.min, found.max) == (48, 1, together.min, 50)
    assert (found.mean, found.std, found.rms) == pytest.approx((together.mean, together.std, together.rms), rel=1e-12)
    assert pool([spread(torch.tensor(math.inf))]).mean is None


@pytest.mark.parametrize(
    "name, module",
    [
        ("synthesis.blocks.b16.convs.0.affine.weight", "synthesis.blocks.b16"),
        ("synthesis.b16.conv0.weight", "synthesis.b16"),
        ("synthesis.motion.conv.0.weight", "synthesis.motion"),
        ("synthesis.const", "synthesis.const"),
        ("mapping.layers.0.weight", "mapping"),
        ("blocks.b32.skip.weight", "blocks.b32"),
        ("b4.fc.weight", "b4"),
        ("conditioning.time_encoder.const_embed.weight", "conditioning"),
        ("mean_path_length", "mean_path_length"),
    ],
)
def test_module_is_the_block_or_the_first_names(name: str, module: str) -> None:
    assert row("generator", name, torch.zeros(1), None).module == module


def test_modules_keep_networks_apart_and_name_the_largest_tensor() -> None:
    small, large = torch.randn(4), torch.randn(2, 9)
    rows = [
        row("generator", "mapping.a", small, True),
        row("generator", "synthesis.b4.c", small, True),
        row("generator", "mapping.b", large, True),
        row("discriminator", "mapping.a", small, True),
    ]
    found = by_module(rows)
    assert [(one.network, one.module, one.num_tensors, one.largest) for one in found] == [
        ("generator", "mapping", 2, (2, 9)),
        ("generator", "synthesis.b4", 1, (4,)),
        ("discriminator", "mapping", 1, (4,)),
    ]
    assert found[0].spread.mean == pytest.approx(torch.cat([small, large.flatten()]).double().mean().item())


@pytest.mark.parametrize(
    "thing, says",
    [
        (torch.zeros(1).expand(10**12), "claims more values"),
        (torch.eye(2).to_sparse(), "no plain tensor"),
        (torch.zeros(2, dtype=torch.complex64), "no plain tensor"),
        (torch.zeros(2, device="meta"), "no plain tensor"),
        ("text", "no plain tensor"),
    ],
)
def test_what_is_no_plain_tensor_is_refused_by_name(thing: object, says: str) -> None:
    with pytest.raises(InputError, match=f"the.name: {says}"):
        check_plain("the.name", thing)


def test_a_view_of_its_own_values_is_plain() -> None:
    view = torch.arange(12).reshape(3, 4).t()
    assert check_plain("view", view) is view
