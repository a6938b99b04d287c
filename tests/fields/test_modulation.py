from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from errors import InputError
from fields.interface import parameter_groups
from fields.modulation import CAM, LatentModulator, standardise
from fields.quantisers import TanhFloor


@pytest.mark.parametrize("dims", [(-1,), (1, 2), (0,), (0, 2), (2, 3)])
def test_standardised_features_have_no_mean_and_unit_variance(dims: tuple[int, ...]) -> None:
    x = torch.randn(4, 6, 5, 3, dtype=torch.float64) * 3 + 2
    mean, variance = x.mean(dims, keepdim=True), x.var(dims, correction=0, keepdim=True)
    torch.testing.assert_close(standardise(x, dims, eps=0.5), (x - mean) / (variance + 0.5).sqrt())


def test_standardising_is_differentiated_twice() -> None:
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    for dims in ((-1,), (1, 2), (0,)):
        assert torch.autograd.gradgradcheck(lambda x, dims=dims: standardise(x, dims), (x,))


def test_a_factor_is_a_layer_of_the_one_before_and_the_latent() -> None:
    modulator, latent = LatentModulator(3, (5, 4)), torch.randn(6, 3)
    first, second = modulator(latent)
    torch.testing.assert_close(first, F.leaky_relu(modulator.layers[0](latent), 0.01))
    torch.testing.assert_close(second, F.leaky_relu(modulator.layers[1](torch.cat((first, latent), 1)), 0.01))


LAYOUTS = {"points": (9, 6), "rays": (9, 4, 6), "frames": (9, 6, 3, 5)}
# What each norm does in each layout, by torch's own functions.
NORMALISED = {
    ("layer", "points"): lambda x: F.layer_norm(x, x.shape[-1:]),
    ("layer", "rays"): lambda x: F.layer_norm(x, x.shape[-1:]),
    ("layer", "frames"): lambda x: F.layer_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1),
    ("ray", "rays"): lambda x: F.layer_norm(x, x.shape[-2:]),
    ("instance", "frames"): F.instance_norm,
}


def perturbed(layer: CAM) -> CAM:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter))
    return layer


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(5,), (4, 7), (2, 3, 4)])
@pytest.mark.parametrize("num_channels", [1, 6])
def test_the_layer_starts_as_the_identity_and_its_grids_are_marked(
    layout: str, shape: tuple[int, ...], num_channels: int
) -> None:
    layer, x = CAM(shape, num_channels), torch.randn(LAYOUTS[layout])
    torch.testing.assert_close(layer(x, torch.rand(9, len(shape)) * 2 - 1), x, rtol=0, atol=1e-6)
    assert [group["name"] for group in parameter_groups(layer)] == ["grids"]


@pytest.mark.parametrize("norm, layout", NORMALISED)
def test_with_a_norm_it_starts_as_the_norm(norm: str, layout: str) -> None:
    x = torch.randn(LAYOUTS[layout]) * 3 + 1
    found = CAM((4,), norm=norm)(x, torch.rand(9, 1))
    torch.testing.assert_close(found, NORMALISED[norm, layout](x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm, layout", [("none", "points"), ("none", "rays"), ("none", "frames"), *NORMALISED])
@pytest.mark.parametrize("num_channels", [1, 6])
def test_scale_and_shift_by_place(norm: str, layout: str, num_channels: int) -> None:
    layer, x, coords = perturbed(CAM((3, 4), num_channels, norm)), torch.randn(LAYOUTS[layout]), torch.rand(9, 2)
    gamma, beta = (grid(coords) for grid in (layer.gamma, layer.beta))
    h = NORMALISED.get((norm, layout), lambda x: x)(x)
    across = {"points": (...,), "rays": (slice(None), None), "frames": (..., None, None)}[layout]
    torch.testing.assert_close(layer(x, coords), gamma[across] * h + beta[across], rtol=0, atol=2e-5)


def test_statistics_are_of_the_present_tensor_while_training_and_after() -> None:
    layer, x, coords = perturbed(CAM((4,), 6, "instance")), torch.randn(9, 6, 3, 5), torch.rand(9, 1)
    whole = layer.train()(x, coords)
    assert not list(layer.buffers())
    torch.testing.assert_close(layer.eval()(x[2:4], coords[2:4]), whole[2:4], rtol=0, atol=1e-6)


def test_points_with_any_number_of_leading_axes() -> None:
    layer, x, coords = perturbed(CAM((4, 4), norm="layer")), torch.randn(2, 3, 5, 6), torch.rand(2, 3, 5, 2)
    flat = layer(x.flatten(0, 2), coords.flatten(0, 2))
    torch.testing.assert_close(layer(x, coords).flatten(0, 2), flat)


def test_features_in_half_precision_stay_so_and_grids_do_not() -> None:
    layer, x, coords = perturbed(CAM((4,))), torch.randn(9, 6), torch.rand(9, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x.bfloat16(), coords)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, layer(x.bfloat16().float(), coords).bfloat16())


def test_gradients_of_gradients_reach_features_grids_and_coordinates() -> None:
    layer = perturbed(CAM((3, 4), 2, "layer")).double()
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    coords = (torch.rand(4, 2, dtype=torch.float64) * 1.6 - 0.8).requires_grad_()
    grids = [grid.values.detach().clone().requires_grad_() for grid in (layer.gamma, layer.beta)]

    def modulated(x: Tensor, coords: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"gamma.values": gamma, "beta.values": beta}, (x, coords)).tanh()

    assert torch.autograd.gradgradcheck(modulated, (x, coords, *grids))


def test_grids_are_quantised_each_alone() -> None:
    layer = perturbed(CAM((30,), quantiser=TanhFloor(3)))
    gamma, beta = layer.read(torch.linspace(-1, 1, 30)[:, None])
    for found, grid in ((gamma, layer.gamma), (beta, layer.beta)):
        torch.testing.assert_close(found[:, 0] * 3, (grid.values[0].tanh() * 3).trunc(), rtol=0, atol=1e-4)
    assert [name for name, _ in layer.named_parameters()] == ["gamma.values", "beta.values"]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="norm 'ray' for points"):
        CAM((3,), norm="ray")(torch.randn(4, 2), torch.rand(4, 1))
    with pytest.raises(InputError, match="norm 'instance' for rays"):
        CAM((3,), norm="instance")(torch.randn(4, 2, 5), torch.rand(4, 1))
    with pytest.raises(InputError, match=r"features \(4, 2\) with coordinates \(3, 1\)"):
        CAM((3,))(torch.randn(4, 2), torch.rand(3, 1))
    with pytest.raises(InputError, match="2 channels of features: these grids are for 3"):
        CAM((3,), 3)(torch.randn(4, 2), torch.rand(4, 1))
    with pytest.raises(InputError, match="NaN or infinite"):
        CAM((3,))(torch.randn(4, 2), torch.full((4, 1), torch.nan))
