"""Perceptrons of one variable that only modulation bends: layers, values and derivatives; the encoding; the target."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from datasets.signal1d import FREQUENCIES, PI
from fields import official
from fields.cam_signal import octaves
from tests.conformance.recordings import Recording

EXACT = {"rtol": 1e-9, "atol": 1e-9}
CASES = ("CAM", "CAM_PE", "PE", "NoEnc")


def network(name: str, data: Recording) -> None:
    case = data.group(name)
    theirs = {key.removeprefix("param/"): case[key].double() for key in case if key.startswith("param/")}
    ours = official.cam_signal({}, theirs)
    mlp, x = ours.mlp, data["x"].requires_grad_()
    layers, modulated = [], []
    hooks = [layer.register_forward_hook(lambda _m, _a, out: layers.append(out)) for layer in mlp.layers]
    hooks += [cam.register_forward_hook(lambda _m, _a, out: modulated.append(out)) for cam in mlp.modulations or ()]
    y = ours(x)
    for hook in hooks:
        hook.remove()
    assert {f"layer{number}_linear_out" for number in range(len(layers))} == {k for k in case if "linear_out" in k}
    for number, (linear, out) in enumerate(zip(layers, modulated or layers, strict=True)):
        torch.testing.assert_close(linear, case[f"layer{number}_linear_out"], **EXACT)
        torch.testing.assert_close(out, case[f"layer{number}_modulated"], **EXACT)
    torch.testing.assert_close(y, case["y"], **EXACT)
    torch.testing.assert_close(ours(data["x_outside"]), case["y_outside"], **EXACT)

    parameters = dict(ours.named_parameters())
    (by_x, *found) = torch.autograd.grad((y * case["g"]).sum(), [x, *parameters.values()])
    by_name = dict(zip(parameters, found, strict=True))
    for key in [key for key in case if key.startswith("grad/")]:
        _, kind, *rest = key.replace(".", "/").split("/")
        if kind == "affine":
            place = f"mlp.modulations.{rest[0]}"
            gradient = torch.cat([by_name.pop(f"{place}.{grid}.values") for grid in ("gamma", "beta")])[None, ..., None]
        else:
            gradient = by_name.pop(f"mlp.layers.{rest[0]}.{rest[1]}" if kind == "net" else f"mlp.last.{rest[0]}")
        torch.testing.assert_close(gradient, case[key], **EXACT)
    assert not by_name
    # On a knot, where x = 0 and 1 lie, the derivative by place is a matter of convention; without grids there is none.
    knots = ours.mlp.modulations[0].gamma.shape[0] if mlp.modulations else 2
    position = data["x"][:, 0] * (knots - 1)
    rows = (position - position.round()).abs() > 1e-6 if mlp.modulations else torch.ones(len(position)).bool()
    torch.testing.assert_close(by_x[rows], case["grad_in/x"][rows], rtol=1e-9, atol=1e-6)


def encoding(data: Recording) -> None:
    x, y = data["enc_x"], data["enc_y"]
    ours = octaves((y.shape[1] - 1) // 2)(x)
    torch.testing.assert_close(ours, y, rtol=1e-9, atol=1e-9)


def target(data: Recording) -> None:
    """Evenly spread, and all of it is ten unit sines of the frequencies that ours has."""
    x, y = data["target/x"].double(), data["target/y"].double()
    torch.testing.assert_close(x, torch.linspace(0, 1, len(x), dtype=torch.float64), rtol=0, atol=1e-7)
    angles = 2 * PI * x[:, None] * torch.tensor(FREQUENCIES, dtype=torch.float64)
    waves = torch.cat((angles.sin(), angles.cos()), dim=1)
    found = torch.linalg.lstsq(waves, y[:, None]).solution
    assert (waves @ found - y[:, None]).abs().max() < 1e-4
    amplitudes = found.reshape(2, -1).square().sum(dim=0).sqrt()
    torch.testing.assert_close(amplitudes, torch.ones_like(amplitudes), rtol=0, atol=1e-4)


SECTIONS: dict[str, Callable[[Recording], None]] = {name: partial(network, name) for name in CASES}
SECTIONS |= {"encoding": encoding, "target": target}
