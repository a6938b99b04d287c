from __future__ import annotations

import pytest
import torch

from fields.ffnerv.aggregation import aggregate, blend, warp

FRAMES = torch.arange(2 * 3 * 6 * 8).reshape(2, 3, 6, 8).float().sin()


@pytest.mark.parametrize("flow_size", [(6, 8), (3, 4)])
def test_no_flow_changes_nothing(flow_size: tuple[int, int]) -> None:
    torch.testing.assert_close(warp(FRAMES, torch.zeros(2, 2, *flow_size)), FRAMES)


def test_the_program_moves_pixels_without_flow() -> None:
    row = torch.arange(8.0).expand(1, 1, 6, 8)
    found = warp(row, torch.zeros(1, 2, 6, 8), official=True)[0, 0, 0]
    # Pixel i of n is looked for at i / (n - 1) of the way from the outer edge of the first to that of the last.
    expected = (torch.arange(8.0) / 7 * 8 - 0.5).clamp(0, 7)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("x, y", [(1, 0), (-2, 0), (0, 1), (3, -1)])
def test_whole_flows_move_whole_pixels(x: int, y: int) -> None:
    flow = torch.tensor([x, y]).float()[None, :, None, None].expand(2, 2, 6, 8)
    rows, columns = (torch.arange(6) + y).clamp(0, 5), (torch.arange(8) + x).clamp(0, 7)
    torch.testing.assert_close(warp(FRAMES, flow), FRAMES[:, :, rows][..., columns], atol=1e-5, rtol=0)


def test_flows_count_their_own_pixels() -> None:
    coarse = torch.full((2, 2, 3, 4), 0.75)
    torch.testing.assert_close(warp(FRAMES, coarse), warp(FRAMES, torch.full((2, 2, 6, 8), 1.5)))


def test_flows_between_pixels_are_linear() -> None:
    flow = torch.zeros(2, 2, 6, 8)
    flow[:, 0] = 0.25
    right = FRAMES[..., [1, 2, 3, 4, 5, 6, 7, 7]]
    torch.testing.assert_close(warp(FRAMES, flow), 0.75 * FRAMES + 0.25 * right, atol=1e-5, rtol=0)


def test_each_neighbour_has_its_flow_and_its_weight() -> None:
    neighbours = torch.rand(2, 4, 3, 6, 8)
    head = torch.randn(2, 12, 3, 4)
    moved = [warp(neighbours[:, k], head[:, 2 * k : 2 * k + 2]) for k in range(4)]
    weights = head[:, 8:].softmax(1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = sum(weights[:, k : k + 1] * moved[k] for k in range(4))
    torch.testing.assert_close(aggregate(neighbours, head), expected)


def test_equal_neighbours_give_themselves_without_flow() -> None:
    head = torch.cat((torch.zeros(2, 8, 3, 4), torch.randn(2, 4, 3, 4)), dim=1)
    torch.testing.assert_close(aggregate(FRAMES[:, None].expand(-1, 4, -1, -1, -1), head), FRAMES)


def test_gradients_reach_flows_and_weights() -> None:
    head = torch.randn(2, 12, 3, 4, requires_grad=True)
    aggregate(torch.rand(2, 4, 3, 6, 8), head).square().sum().backward()
    assert (head.grad.abs().amax((0, 2, 3)) > 0).all()


def test_final_frames_are_mixed_by_two_weights() -> None:
    one, other = torch.rand(1, 3, 6, 8), torch.rand(1, 3, 6, 8)
    logits = torch.zeros(1, 2, 6, 8)
    logits[:, 1, 3:] = 50.0
    found = blend(one, other, logits)
    torch.testing.assert_close(found[:, :, :3], (one + other)[:, :, :3] / 2)
    torch.testing.assert_close(found[:, :, 3:], other[:, :, 3:])
