from __future__ import annotations

import pytest
import torch

from stylegan_v.transfer.inputs import Inputs, held, joined, labels, same, scaled, shares, unrelated


@pytest.mark.parametrize(("old", "new"), [(1, 1), (1, 3), (3, 1), (2, 3), (3, 2), (3, 5), (4, 8), (16, 3)])
def test_old_frames_are_means_of_new_ones_and_all_count_alike(old: int, new: int) -> None:
    matrix = shares(old, new)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(old))
    torch.testing.assert_close(matrix.sum(dim=0), torch.full((new,), old / new))
    assert torch.equal(matrix.flip(0, 1), matrix)  # forwards and backwards are the same
    assert torch.equal(shares(old, old), torch.eye(old))


def test_shares_of_a_clip() -> None:
    torch.testing.assert_close(shares(3, 2), torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]))
    torch.testing.assert_close(shares(1, 3), torch.full((1, 3), 1 / 3))
    torch.testing.assert_close(shares(2, 4), torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]))


def test_a_layer_on_new_inputs_says_what_it_said_of_the_old() -> None:
    matrix, rest = torch.randn(4, 6), torch.randn(4)
    inputs, weight, x = Inputs(matrix, rest), torch.randn(3, 4), torch.randn(6)
    expected = weight @ (matrix @ x + rest)
    torch.testing.assert_close(inputs.columns(weight) @ x + inputs.offset(weight), expected)


def test_the_offset_of_a_kernel_counts_all_of_its_taps() -> None:
    weight, rest = torch.randn(3, 2, 5), torch.tensor([0.5, -2.0])
    x = rest[None, :, None].expand(1, 2, 5)
    expected = torch.nn.functional.conv1d(x, weight).flatten()
    torch.testing.assert_close(Inputs(torch.zeros(2, 0), rest).offset(weight), expected)


def test_classes() -> None:
    assert labels(3, 3).unchanged
    more = labels(2, 4)
    assert torch.equal(more.matrix, torch.tensor([[1.0, 0, 0.5, 0.5], [0, 1.0, 0.5, 0.5]]))
    fewer = labels(4, 2)
    assert torch.equal(fewer.matrix, torch.eye(4, 2))
    none = labels(4, 0)
    assert none.matrix.shape == (4, 0) and torch.equal(none.rest, torch.full((4,), 0.25))
    first = labels(0, 3)
    assert first.matrix.shape == (0, 3)
    assert not any(inputs.rest.any() for inputs in (more, fewer, first))


def test_inputs_joined_and_repeated() -> None:
    parts = joined(same(2), unrelated(1, 2, "a"), held(torch.tensor([5.0]), "b"))
    expected = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert torch.equal(parts.matrix, expected)
    assert parts.rest.tolist() == [0, 0, 0, 5]
    assert parts.how == "a, b"
    twice = Inputs(torch.tensor([[2.0]]), torch.tensor([1.0])).per_frame(shares(2, 1))
    assert torch.equal(twice.matrix, torch.tensor([[2.0], [2.0]])) and twice.rest.tolist() == [1, 1]


def test_what_counts_as_unchanged() -> None:
    assert same(3).unchanged and same(0).unchanged
    assert not unrelated(2, 2).unchanged
    assert not scaled(torch.tensor([1.0, 2.0]), "").unchanged
    assert not Inputs(torch.eye(2), torch.ones(2)).unchanged
    assert torch.equal(scaled(torch.tensor([2.0]), "").matrix, torch.tensor([[0.5]]))


def test_values_of_inputs_that_stand_for_several_or_none() -> None:
    inputs = Inputs(torch.tensor([[0.5, 0, 0.0], [0.5, 1, 0.0]]), torch.zeros(2))
    found = inputs.shared(torch.tensor([[2.0, 0.0], [4.0, 8.0]]), torch.full((3, 2), -1.0))
    assert torch.equal(found, torch.tensor([[3.0, 4.0], [4.0, 8.0], [-1.0, -1.0]]))
