"""The network of pictures: encoding, values, derivatives, and some steps of training by the project's own fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from fields import official
from fields.cam_image import CAMImage
from fields.coords import CAM_IMAGE, mesh
from fields.fitting import PointFitting
from tests.conformance.recordings import Recording

EXACT = {"rtol": 1e-9, "atol": 1e-9}
CASES = ("CAM", "FFN")
SIGMA = 10
MILESTONES = (8, 12)


def official_tensors(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ours, or derivatives by them, under the names of the program and in its shapes; no frequencies."""
    theirs = {}
    for name, value in found.items():
        kind, *rest = name.removeprefix("mlp.").split(".")
        if kind == "last":
            theirs[f"FC_final.linear.{rest[0]}"] = value
        elif kind == "layers":
            theirs[f"FC_{rest[0]}.linear.{rest[1]}"] = value
        elif kind == "modulations" and rest[1] == "gamma":
            pair = torch.cat((value, found[f"mlp.modulations.{rest[0]}.beta.values"]))
            theirs[f"FC_{rest[0]}.affine"] = pair.mT[None]
    return theirs


def tensors(data: Recording, prefix: str) -> dict[str, Tensor]:
    group = data.group(prefix)
    return {name: group[name].double() for name in group}


def assert_same(found: Mapping[str, Tensor], recorded: Mapping[str, Tensor], **tolerance: float) -> None:
    assert found.keys() == recorded.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, recorded[name], **tolerance, msg=lambda m, name=name: f"{name}: {m}")


def places(data: Recording) -> None:
    size = data["mgrid_wh"].tolist()  # the first is that of the first coordinate
    ours = CAM_IMAGE.of(mesh(size), size).flatten(0, 1)
    torch.testing.assert_close(ours, data["mgrid"], rtol=0, atol=2e-7)


def network(name: str, data: Recording) -> None:
    case = data.group(name)
    ours = official.cam_image({"sigma": SIGMA}, tensors(data, f"{name}/param"))
    assert len(ours.mlp.layers) == int(case["num_layers"])
    assert (ours.mlp.modulations is not None) == (name == "CAM")
    points = data["mgrid"].double()
    torch.testing.assert_close(ours.encoding(points), case["enc"][0], **EXACT)
    y = ours(points)
    torch.testing.assert_close(y, case["y"][0], **EXACT)
    parameters = dict(ours.named_parameters())
    found = torch.autograd.grad((y * case["g"][0]).sum(), list(parameters.values()))
    assert_same(official_tensors(dict(zip(parameters, found, strict=True))), tensors(data, f"{name}/grad"), **EXACT)


class InDouble(CAMImage):
    """The field without the rounding of coordinates to single precision."""

    def forward(self, coords: Tensor) -> Tensor:
        return 2 * self.network((coords + 1) / 2) - 1


def training(name: str, data: Recording) -> None:
    """Loss, groups, rates and steps are those of `PointFitting`, in double precision."""
    picture, recorded = data["train/img"].double(), data.group(f"train/{name}")
    num_steps = len(recorded["losses"])
    size = picture.shape[:2]
    field = InDouble(size)
    field.network = official.cam_image({"sigma": SIGMA}, tensors(data, f"train/{name}/param"))
    fit = PointFitting(
        lambda size: field, lr=1e-3, grid_lr=1e-2, milestones=MILESTONES, loss_scale=0.5, total_updates=num_steps
    )
    fit.model = field.train()
    points = mesh(size).double()
    chosen = CAM_IMAGE.of(points, size)[::2, ::2].flatten(0, 1).double()
    torch.testing.assert_close(chosen, data["train/coords_train"][0].double(), rtol=0, atol=2e-7)
    target = rearrange(picture[::2, ::2], "h w c -> (h w) c")
    torch.testing.assert_close(target, data["train/img_train"][0], **EXACT)

    optimizer, losses = fit.configure_optimizers(), []
    coords = 2 * data["train/coords_train"][0].double() - 1  # recorded in single precision
    for update in range(num_steps):
        fit.updates = update
        for group in optimizer.param_groups:
            group["lr"] = fit.rate(fit.rates[group["name"]])
        loss, _ = fit.loss_of(coords, 2 * target - 1, unit=2.0, span=1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    torch.testing.assert_close(torch.tensor(losses, dtype=torch.float64), recorded["losses"], rtol=1e-6, atol=0)
    finals = official_tensors(field.network.state_dict())
    assert_same(finals, tensors(data, f"train/{name}/final"), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        result = ((field(points.flatten(0, 1)) + 1) / 2).clamp(0, 1)
    torch.testing.assert_close(result, recorded["pred"][0].double(), rtol=0, atol=1e-6)
    error = (result - rearrange(picture, "h w c -> (h w) c")).square().mean()
    torch.testing.assert_close(-10 * error.log10(), recorded["test_psnr"].double(), rtol=1e-6, atol=0)


SECTIONS: dict[str, Callable[[Recording], None]] = {"places": places}
SECTIONS |= {name: partial(network, name) for name in CASES}
SECTIONS |= {f"training {name}": partial(training, name) for name in CASES}
