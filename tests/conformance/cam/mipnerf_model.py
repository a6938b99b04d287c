"""A whole small Mip-NeRF with CAM: both levels, and the gradients of their colours."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fields import official
from fields.radiance.mipnerf import MipNeRF
from fields.radiance.rays import Rays
from tests.conformance.recordings import Recording, relative_error

CLOSE = {"rtol": 1e-5, "atol": 2e-5}
GRADIENTS = 1e-4  # of the largest of a tensor
NUM_SAMPLES, SKIP = 10, 2  # what no tensor of the file shows


def settings(state: dict[str, torch.Tensor]) -> dict[str, object]:
    depth = sum(name.endswith("gamma") for name in state)
    shapes = [state[f"params/MLP_0/Dense_Q_{number}/kernel"].shape for number in range(depth + 3)]
    width, colour_width = shapes[0][1], shapes[-1][1]
    return {
        "num_samples": NUM_SAMPLES,
        "num_levels": 2,
        "skip_layer": SKIP,
        "net_depth": depth,
        "net_width": width,
        "net_width_condition": colour_width,
        "max_deg_point": shapes[0][0] // 6,
        "deg_view": ((shapes[-1][0] - width) // 3 - 1) // 2,
    }


def recorded_model(data: Recording) -> MipNeRF:
    state = dict(data.group("param").items())
    return official.mipnerf(settings(state), state)


def rays_of(data: Recording) -> Rays:
    names = ("origins", "directions", "viewdirs", "radii", "near", "far")
    assert (data["rays/lossmult"] == 1).all()  # weights of rays of other sizes, which only multi-scale pictures have
    return Rays(**{name: data[f"rays/{name}"] for name in names})


def levels(data: Recording) -> None:
    seen = recorded_model(data).render_rays(rays_of(data))
    assert len(seen) == 2
    for number, level in enumerate(seen):
        torch.testing.assert_close(level.rgb, data[f"level{number}/rgb"], **CLOSE)
        torch.testing.assert_close(level.depth, data[f"level{number}/distance"], **CLOSE)
        torch.testing.assert_close(level.opacity, data[f"level{number}/acc"], **CLOSE)


def gradients(data: Recording) -> None:
    model = recorded_model(data)
    coarse, fine = model.render_rays(rays_of(data))
    ((fine.rgb * data["g"]).sum() + 0.1 * (coarse.rgb * data["g"]).sum()).backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    recorded = data.group("grad")
    assert len(found) == len(recorded)
    depth = len(model.network.trunk.layers)
    for theirs, gradient in recorded.items():
        _, _, layer, kind = theirs.split("/")
        number = int(layer.rpartition("_")[2])
        if layer.startswith("affine"):
            ours = found[f"network.trunk.modulations.{number}.{kind}.values"][0]
        else:
            name = (
                f"trunk.layers.{number}"
                if number < depth
                else ("density", "bottleneck", "colour", "rgb")[number - depth]
            )
            ours = found[f"network.{name}.{'weight' if kind == 'kernel' else 'bias'}"]
            ours = ours.T if kind == "kernel" else ours
        assert relative_error(ours, gradient) <= GRADIENTS, theirs


SECTIONS: dict[str, Callable[[Recording], None]] = {"levels": levels, "gradients": gradients}
