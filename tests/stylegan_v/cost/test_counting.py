from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from stylegan_v.cost import LiveTensors, StillMotion, Work, tensors_in, worked


def test_a_product_counts_what_it_multiplies_and_moves() -> None:
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    work = worked(lambda: a @ b)
    assert (work.multiply_adds, work.bytes(4)) == (3 * 4 * 5, 4 * (12 + 20 + 15))


def test_a_floor_is_the_slower_of_the_two_for_each_operation() -> None:
    work = Work([(10**12, 10**9), (10**6, 10**12)], words=10**12)
    # The first is bound by its operations, the second by its bytes, as are the values beside them.
    expected = 2 * 1e12 / 1e15 + 2 * 1e12 / 4e12 + 4 * 1e12 / 4e12
    assert work.seconds(teraflops=1000.0, terabytes=4.0, width=2) == pytest.approx(expected)


def test_only_new_tensors_that_are_alive_count_and_each_once() -> None:
    before = torch.zeros(100_000)
    with LiveTensors() as live:
        kept = torch.zeros(1000)
        kept.view(10, 100).add_(1)
        before.mul_(2).view(100, 1000)
        for _ in range(3):
            torch.zeros(500)
        torch.zeros(200)
    assert kept.sum() == 1000
    assert live.peak == 4 * (1000 + 500)


def test_without_memory_the_same_is_alive() -> None:
    def call() -> None:
        x = torch.randn(8, 3, 16, 16, requires_grad=True)
        torch.nn.functional.conv2d(x, torch.ones(4, 3, 3, 3)).relu().square().sum().backward()

    with LiveTensors() as real:
        call()
    with FakeTensorMode(), LiveTensors() as fake:
        call()
    assert real.peak == fake.peak > 4 * 8 * (3 * 256 + 4 * 196)


def test_tensors_are_found_in_what_is_nested() -> None:
    a, b, c = (torch.zeros(n) for n in (1, 2, 3))
    assert [len(one) for one in tensors_in([a, {"x": (b, "words", None), "y": 3}, c])] == [1, 2, 3]


def test_a_still_motion_has_the_shape_of_what_it_stands_for() -> None:
    assert StillMotion(5, 3)(torch.zeros(2, 4)).shape == (2, 4, 8)
