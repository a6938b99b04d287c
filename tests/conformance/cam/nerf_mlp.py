"""NerfAcc's networks with CAM: the trunk alone with each kind of grid, a static field, a moving field, encoders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from fields import official
from fields.coord_grid import CoordGrid
from fields.modulation import CAM
from fields.radiance.encodings import octaves
from fields.radiance.network import Trunk
from fields.radiance.tnerf import TNeRF
from tests.conformance.recordings import Recording

EXACT = {"rtol": 1e-9, "atol": 1e-9}
SKIP = 2  # what no tensor shows
PLANES = ((0, 1), (0, 2), (1, 2))


class PlaneProducts(nn.Module):
    """The modulation that CAM's program has for static fields: products of planes over pairs of axes.

    Only here: where the planes of the shift start at zero, none of them ever gets a gradient.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.gamma, self.beta = (nn.ModuleList(CoordGrid(shape, padding="zeros") for _ in PLANES) for _ in range(2))

    def forward(self, features: Tensor, coords: Tensor) -> Tensor:
        at = [coords[:, [second, first]] for first, second in PLANES]
        gamma, beta = (
            torch.stack([grid(place) for grid, place in zip(grids, at, strict=True)]).prod(dim=0)
            for grids in (self.gamma, self.beta)
        )
        return gamma * features + beta


def grids_of(modulation: nn.Module) -> list[nn.Parameter]:
    """Its grids in the recorded order: scales first."""
    return [parameter for name in ("gamma", "beta") for parameter in getattr(modulation, name).parameters()]


def modulation_for(affine: Tensor) -> Callable[[], nn.Module]:
    if len(affine) > 1:
        return partial(PlaneProducts, affine.shape[2:])
    shape = affine.shape[2:3] if affine.shape[3] == 1 else affine.shape[2:]
    return partial(CAM, shape, padding="zeros")


class Network(nn.Module):
    """The trunk and its output."""

    def __init__(self, case: dict[str, Tensor]) -> None:
        super().__init__()
        depth = sum(name.startswith("param/hidden_layers") and name.endswith("weight") for name in case)
        width, in_dim = case["param/hidden_layers.0.weight"].shape
        affine = case.get("param/affines.0")
        self.trunk = Trunk(in_dim, width, depth, SKIP, None if affine is None else modulation_for(affine))
        self.output = nn.Linear(self.trunk.out_dim, len(case["param/output_layer.bias"]))
        self.double()
        for name, parameter in self.recorded_names().items():
            with torch.no_grad():
                parameter.copy_(case[f"param/{name}"].reshape(parameter.shape))
        for number, modulation in enumerate(self.trunk.modulations):
            values = case[f"param/affines.{number}"].flatten(0, 1)
            for grid, value in zip(grids_of(modulation), values, strict=True):
                with torch.no_grad():
                    grid.copy_(value.reshape(grid.shape))

    def recorded_names(self) -> dict[str, nn.Parameter]:
        layers = {f"hidden_layers.{number}": layer for number, layer in enumerate(self.trunk.layers)}
        layers["output_layer"] = self.output
        return {f"{name}.{kind}": getattr(layer, kind) for name, layer in layers.items() for kind in ("weight", "bias")}

    def forward(self, x: Tensor, coords: Tensor | None) -> Tensor:
        return self.output(self.trunk(x, coords))


def trunk(name: str, data: Recording) -> None:
    case = data.group(name)
    network = Network(case)
    x = case["x"].requires_grad_()
    coords = None
    if "coord" in case:
        # Recorded coordinates run over the last axis of a grid first; planes take them in pairs.
        coords = case["coord"] if case["coord"].shape[1] == 3 else case["coord"].flip(-1)
    y = network(x, coords)
    torch.testing.assert_close(y, case["y"], **EXACT)
    (y * case["g"]).sum().backward()
    torch.testing.assert_close(x.grad, case["grad_in/x"], **EXACT)
    for theirs, parameter in network.recorded_names().items():
        torch.testing.assert_close(parameter.grad, case[f"grad/{theirs}"], **EXACT)
    for number, modulation in enumerate(network.trunk.modulations):
        recorded = case[f"grad/affines.{number}"]
        found = torch.cat([grid.grad.flatten() for grid in grids_of(modulation)])
        torch.testing.assert_close(found, recorded.flatten(), **EXACT)


def sizes_of(state: dict[str, Tensor], prefix: str) -> dict[str, int]:
    base = f"{prefix}mlp.base.hidden_layers."
    return {
        "net_depth": sum(name.startswith(base) and name.endswith("weight") for name in state),
        "net_width": len(state[f"{base}0.bias"]),
        "net_width_condition": len(state[f"{prefix}mlp.rgb_layer.hidden_layers.0.bias"]),
        "skip_layer": SKIP,
    }


def static_field(data: Recording) -> None:
    case, state = data.group("nerf"), dict(data.group("nerf/param").items())
    model = official.nerf(sizes_of(state, ""), state).double()
    rgb, density = model(case["pos"][:, None], case["dir"])
    torch.testing.assert_close(rgb[:, 0], case["rgb"], **EXACT)
    torch.testing.assert_close(density, case["sigma"], **EXACT)


def moving_field(data: Recording) -> None:
    case, state = data.group("tnerf"), dict(data.group("tnerf/param").items())
    warp = {
        "warp_depth": sum(name.startswith("warp.hidden_layers") and name.endswith("weight") for name in state),
        "warp_width": len(state["warp.hidden_layers.0.bias"]),
    }
    model = official.tnerf(sizes_of(state, "nerf.") | warp, state).double()
    rgb, density = model(case["pos"][:, None], case["dir"], case["t"][:, 0])
    torch.testing.assert_close(rgb[:, 0], case["rgb"], **EXACT)
    torch.testing.assert_close(density, case["sigma"], **EXACT)

    ((rgb[:, 0] * case["g_rgb"]).sum() + (density * case["g_sigma"]).sum()).backward()
    recorded = dict(data.group("tnerf/grad").items())
    named = {name: recorded.get(name, value) for name, value in state.items()}
    assert {name for name in state if not name.endswith("scales")} == set(recorded)
    expected = official.tnerf(sizes_of(state, "nerf.") | warp, named).state_dict()  # gradients under our names
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].double(), **EXACT)


def encoder(name: str, data: Recording) -> None:
    x, y = data[f"{name}/x"], data[f"{name}/y"]
    torch.testing.assert_close(octaves(x, (y.shape[1] // 3 - 1) // 2), y, **EXACT)


def full_size(data: Recording) -> None:
    with torch.device("meta"):
        field, plain = TNeRF(), TNeRF(time_knots=None)
    total, without = (sum(parameter.numel() for parameter in model.parameters()) for model in (field, plain))
    assert total == int(data["full_size/tnerf_params"])
    assert total - without == int(data["full_size/tnerf_affine_params"])
    # Planes of 512 x 512, three for the scale and three for the shift of each of 8 layers, beside the field at rest.
    planes = 8 * 6 * 512 * 512
    at_rest = sum(parameter.numel() for parameter in plain.radiance.parameters())
    assert at_rest + planes == int(data["full_size/nerf_triplane_params"])


def products_cannot_learn_shifts(data: Recording) -> None:
    """Why planes are left out: products of planes that are zero have no gradient."""
    assert float(data["triplane_init/beta_grad_absmax"]) == 0 < float(data["triplane_init/gamma_grad_absmax"])
    planes = PlaneProducts((4, 4))
    for grid in planes.gamma:
        nn.init.ones_(grid.values)
    planes(torch.randn(9, 5), torch.rand(9, 3)).square().sum().backward()
    assert all((grid.values.grad == 0).all() for grid in planes.beta)
    assert all((grid.values.grad != 0).any() for grid in planes.gamma)


TRUNKS = ("mlp_plain", "mlp_t", "mlp_view", "mlp_view_rect", "mlp_triplane", "mlp_t_outside")
SECTIONS: dict[str, Callable[[Recording], None]] = {
    **{name: partial(trunk, name) for name in TRUNKS},
    "nerf": static_field,
    "tnerf": moving_field,
    "enc10": partial(encoder, "enc10"),
    "enc4": partial(encoder, "enc4"),
    "full_size": full_size,
    "triplane_init": products_cannot_learn_shifts,
}
