from __future__ import annotations

import itertools

import torch

from fields.radiance.volume import depth_of, optical_depths, see, weights_of


def test_weights_and_what_passes_make_one() -> None:
    optical = torch.rand(50, 20, dtype=torch.float64) * torch.logspace(-6, 2, 50, dtype=torch.float64)[:, None]
    weights, passing = weights_of(optical)
    torch.testing.assert_close(weights.sum(dim=1) + passing[:, -1], torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(passing[:, -1], (-optical.sum(dim=1)).exp())
    assert (weights >= 0).all() and (passing[:, 0] == 1).all()


def test_even_fog_hides_exponentially_and_more_intervals_change_nothing() -> None:
    """Fog of density 0.5 from 1 to 5: opacity 1 - exp(-2), and mean distance 1 + 2 (1 - 3 e^-2) / (1 - e^-2)."""
    opacity = 1 - torch.exp(torch.tensor(-2.0)).double()
    mean = 1 + 2 * (1 - 3 * (1 - opacity)) / opacity
    errors = []
    for count in (16, 32, 64, 128):
        edges = torch.linspace(1, 5, count + 1, dtype=torch.float64)[None]
        grey = torch.full((1, count, 3), 0.25, dtype=torch.float64)
        seen = see(optical_depths(torch.full((1, count), 0.5, dtype=torch.float64), edges), grey, edges, "white")
        torch.testing.assert_close(seen.opacity[0], opacity)
        torch.testing.assert_close(seen.rgb[0], (0.25 * opacity + 1 - opacity).expand(3))
        errors.append(float((seen.depth[0] - mean).abs()))
    # The middles of intervals stand for their means: doubling the intervals divides the error by four.
    assert errors[-1] < 1e-3
    assert all(3.5 < before / after < 4.5 for before, after in itertools.pairwise(errors))


def test_doubling_intervals_of_a_smooth_scene_converges() -> None:
    def seen(count: int) -> torch.Tensor:
        edges = torch.linspace(0, 4, count + 1, dtype=torch.float64)[None]
        middle = (edges[:, 1:] + edges[:, :-1]) / 2
        density = 3 * torch.exp(-((middle - 2) ** 2) * 4)
        rgb = torch.stack([middle.sin() ** 2, middle.cos() ** 2, middle / 4], dim=-1)
        return see(optical_depths(density, edges), rgb, edges).rgb

    steps = [float((seen(count) - seen(2 * count)).abs().max()) for count in (16, 32, 64)]
    assert steps[0] > 3 * steps[1] > 9 * steps[2]


def test_lengths_of_directions_count() -> None:
    density, edges = torch.rand(3, 5), torch.rand(3, 6).cumsum(dim=1)
    directions = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 4.0], [0.0, 0.0, 1.0]])
    ours, unit = optical_depths(density, edges, directions), optical_depths(density, edges)
    torch.testing.assert_close(ours, unit * torch.tensor([[2.0], [5.0], [1.0]]))


def test_a_wall_hides_everything_behind() -> None:
    edges = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]])
    seen = see(torch.tensor([[0.0, 0.0, 1e4, 5.0]]), torch.eye(4, 3)[None], edges, "black")
    torch.testing.assert_close(seen.rgb, torch.tensor([[0.0, 0.0, 1.0]]))
    torch.testing.assert_close(seen.weights, torch.tensor([[0.0, 0.0, 1.0, 0.0]]))
    torch.testing.assert_close(seen.depth, torch.tensor([2.5]))


def test_empty_rays_show_the_background_end_at_the_far_side_and_have_finite_gradients() -> None:
    optical, rgb = torch.zeros(2, 4, requires_grad=True), torch.rand(2, 4, 3, requires_grad=True)
    edges = torch.tensor([[2.0, 3.0, 4.0, 5.0, 6.0]]).expand(2, 5)
    white, black = see(optical, rgb, edges, "white"), see(optical, rgb, edges, "black")
    assert (white.rgb == 1).all() and (black.rgb == 0).all() and (white.opacity == 0).all()
    assert (white.depth == 6).all()
    by_optical, by_rgb = torch.autograd.grad(white.rgb.sum() + white.depth.sum(), (optical, rgb))
    torch.testing.assert_close(by_optical, rgb.detach().sum(dim=-1) - 3)
    assert (by_rgb == 0).all()


def test_depths_lie_between_the_edges() -> None:
    edges = torch.tensor([[2.0, 2.1, 5.0]])
    for faint in (1e-12, 1e-9, 1e-3, 1.0):
        found = depth_of(torch.full((1, 2), faint), edges)
        assert 2 <= float(found) <= 5
    torch.testing.assert_close(depth_of(torch.tensor([[0.5, 0.5]]), edges), torch.tensor([(2.05 + 3.55) / 2]))
