"""The parts of Mip-NeRF around its network: volumes along rays, encodings, resampling, quadrature, learning rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from fields.radiance.encodings import Volume, cone, cylinder, integrated, octaves
from fields.radiance.rates import delayed_log_decay
from fields.radiance.sampling import resample, stratified
from fields.radiance.volume import optical_depths, see
from tests.conformance.recordings import Recording

CLOSE = {"rtol": 1e-5, "atol": 2e-5}
SHAPES = {"cone": cone, "cylinder": cylinder}


def volumes(shape: str, data: Recording) -> None:
    near, far = data["near"], data["far"]
    cut = partial(SHAPES[shape], data["origins"], data["directions"], data["radii"])
    case = data.group(shape)
    edges = case["t_vals"]
    torch.testing.assert_close(stratified(near, far, edges.shape[1] - 1), edges, **CLOSE)
    found = cut(edges)
    torch.testing.assert_close(found.mean, case["mean"], **CLOSE)
    torch.testing.assert_close(found.variance, case["cov"], **CLOSE)
    recorded = Volume(case["mean"], case["cov"])
    torch.testing.assert_close(integrated(recorded, case["ipe"].shape[-1] // 6), case["ipe"], **CLOSE)

    weights = case["weights_in"]
    again = resample(edges, weights, case["t_resampled"].shape[1] - 1)
    torch.testing.assert_close(again, case["t_resampled"], **CLOSE)
    found = cut(case["t_resampled"])
    torch.testing.assert_close(found.mean, case["mean_resampled"], **CLOSE)
    torch.testing.assert_close(found.variance, case["cov_resampled"], **CLOSE)


def by_disparity(data: Recording) -> None:
    recorded = data["lindisp/t_vals"]
    ours = stratified(data["near"], data["far"], recorded.shape[1] - 1, by_disparity=True)
    torch.testing.assert_close(ours, recorded, **CLOSE)


def positional_encoding(data: Recording) -> None:
    x, y = data["pos_enc/x"], data["pos_enc/y"]
    torch.testing.assert_close(octaves(x, (y.shape[1] // 3 - 1) // 2), y, **CLOSE)


def rendered(background: str, data: Recording) -> None:
    rgb, density = data["render/rgb_in"].requires_grad_(), data["render/density_in"].requires_grad_()
    edges, recorded = data["render/t_vals"], data.group(f"render_{background}")
    seen = see(optical_depths(density[..., 0], edges, data["render/dirs"]), rgb, edges, background)
    torch.testing.assert_close(seen.rgb, recorded["rgb"], **CLOSE)
    torch.testing.assert_close(seen.opacity, recorded["acc"], **CLOSE)
    torch.testing.assert_close(seen.weights, recorded["weights"], **CLOSE)
    # Empty rays end at the near side in the original, by a slip, and at the far side here.
    empty = recorded["acc"] == 0
    assert empty.any() and not empty.all()
    torch.testing.assert_close(seen.depth[~empty], recorded["distance"][~empty], **CLOSE)
    assert torch.equal(recorded["distance"][empty], edges[empty, 0])
    assert torch.equal(seen.depth[empty], edges[empty, -1])
    if "g" in recorded:
        assert_gradients(seen.rgb, recorded["g"], {rgb: recorded["grad_rgb"], density: recorded["grad_density"]})


def assert_gradients(result: Tensor, cotangent: Tensor, recorded: dict[Tensor, Tensor]) -> None:
    found = torch.autograd.grad((result * cotangent).sum(), list(recorded))
    for ours, theirs in zip(found, recorded.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-5)


def learning_rate(data: Recording) -> None:
    ours = torch.tensor([delayed_log_decay(step) for step in data["lr/steps"].tolist()])
    torch.testing.assert_close(ours, data["lr/values"], rtol=2e-6, atol=0)


SECTIONS: dict[str, Callable[[Recording], None]] = {
    "cone": partial(volumes, "cone"),
    "cylinder": partial(volumes, "cylinder"),
    "lindisp": by_disparity,
    "pos_enc": positional_encoding,
    "render_white": partial(rendered, "white"),
    "render_black": partial(rendered, "black"),
    "lr": learning_rate,
}
