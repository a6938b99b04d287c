from __future__ import annotations

import pytest
import torch

from fields.radiance.sampling import invert, resample, stratified

NEAR, FAR = torch.tensor([[2.0], [1.0]]), torch.tensor([[6.0], [4.0]])


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_equal_intervals_by_distance_and_by_disparity() -> None:
    torch.testing.assert_close(stratified(NEAR, FAR, 4)[0], torch.tensor([2.0, 3.0, 4.0, 5.0, 6.0]))
    near = stratified(NEAR, FAR, 4, by_disparity=True)
    torch.testing.assert_close((1 / near).diff(dim=1), ((1 / FAR - 1 / NEAR) / 4).expand(2, 4))


@pytest.mark.parametrize("by_disparity", [False, True])
def test_drawn_edges_stay_between_the_middles(by_disparity: bool) -> None:
    equal = stratified(NEAR, FAR, 6, by_disparity=by_disparity)
    drawn = stratified(NEAR, FAR, 6, seeded(), by_disparity)
    middles = (equal[:, 1:] + equal[:, :-1]) / 2
    assert (drawn[:, 1:] >= middles).all() and (drawn[:, :-1] <= middles).all()
    assert (drawn >= NEAR).all() and (drawn <= FAR).all() and not torch.equal(drawn, equal)
    assert torch.equal(drawn, stratified(NEAR, FAR, 6, seeded(), by_disparity))


def test_shares_of_weight_are_inverted() -> None:
    edges, weights = torch.tensor([[0.0, 1.0, 3.0, 4.0]]), torch.tensor([[1.0, 2.0, 1.0]])
    places = torch.tensor([[0.0, 0.125, 0.25, 0.5, 0.75, 0.875]])
    torch.testing.assert_close(invert(edges, weights, places), torch.tensor([[0.0, 0.5, 1.0, 2.0, 3.0, 3.5]]))


def test_intervals_without_weight_are_stepped_over() -> None:
    edges, weights = torch.tensor([[0.0, 1.0, 2.0, 3.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    found = invert(edges, weights, torch.tensor([[0.499, 0.501]]))
    assert found[0, 0] < 1 and found[0, 1] > 2


def test_rays_without_weight_are_read_evenly() -> None:
    found = invert(torch.tensor([[0.0, 1.0, 2.0]]), torch.zeros(1, 2), torch.tensor([[0.0, 0.25, 0.5, 0.75]]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.5, 1.0, 1.5]]))


def test_new_edges_gather_where_the_weight_is_without_gradient() -> None:
    edges = stratified(NEAR, FAR, 8)
    weights = torch.zeros(2, 8, requires_grad=True)
    with torch.no_grad():
        weights[:, 5] = 1.0
    found = resample(edges, weights, 16)
    assert not found.requires_grad and found.shape == (2, 17)
    assert (found.diff(dim=1) >= 0).all()
    within = (found >= edges[:, 4:5]) & (found <= edges[:, 7:8])
    # Widened to half of the neighbours on either side: 2 of 2.16 shares of padded weight.
    assert (within.float().mean(dim=1) > 0.8).all()
    torch.testing.assert_close(found[:, :1], NEAR)
    torch.testing.assert_close(found[:, -1:], FAR, rtol=0, atol=1e-3)


def test_even_weights_leave_edges_equal() -> None:
    edges = stratified(NEAR, FAR, 8)
    torch.testing.assert_close(resample(edges, torch.full((2, 8), 0.1), 8), edges, rtol=1e-5, atol=1e-5)


def test_drawn_new_edges_increase_and_repeat_with_their_seed() -> None:
    edges, weights = stratified(NEAR, FAR, 8), torch.rand(2, 8)
    found = resample(edges, weights, 32, seeded())
    assert (found.diff(dim=1) >= 0).all() and (found >= NEAR).all() and (found <= FAR).all()
    assert torch.equal(found, resample(edges, weights, 32, seeded()))
    assert not torch.equal(found, resample(edges, weights, 32, seeded(4)))
