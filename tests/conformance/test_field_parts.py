"""Coordinates, sines, encodings and modulations against recordings of the systems that they are parts of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from fields.coords import NVP_DECODER_TIME, NVP_GRIDS, mesh, times
from fields.encodings import FourierFeatures, PositionalEncoding
from fields.mlp import MLP
from fields.modulation import GridModulation, LatentModulator, standardise
from fields.siren import Siren
from tests.conformance.recordings import Recording, files

KINDS = ("weight", "bias")


@pytest.mark.parametrize("path", files("video_fields", "temporal_steps"))
def test_nvp_coordinates(path: Path) -> None:
    data = Recording(path)
    about = data.json("meta")
    frames, size = about["frames"], (about["height"], about["width"])
    finer = tuple(about["s_interp"] * n for n in size)
    close = {"rtol": 0, "atol": 3e-7}
    torch.testing.assert_close(NVP_GRIDS.of(mesh(size), size).flatten(0, 1), data["mgrid"], **close)
    torch.testing.assert_close(NVP_GRIDS.of(mesh(finer), finer).flatten(0, 1), data["s_interp.mgrid"], **close)
    moments = times(frames)[:, None]
    torch.testing.assert_close(NVP_GRIDS.of(moments, (frames,))[:, 0], data["temporal_coords"], **close)
    torch.testing.assert_close(NVP_DECODER_TIME.of(moments, (frames,))[:, 0], data["temporal_steps"], **close)
    more = about["t_interp"] * frames
    found = NVP_GRIDS.of(times(more)[:, None], (more,))[:, 0]
    torch.testing.assert_close(found, data["t_interp.temporal_coords"], **close)
    back = NVP_GRIDS.back(data["mgrid"], size)
    torch.testing.assert_close(back, mesh(size).flatten(0, 1), **close)


def layers_of(group: dict[str, Tensor], prefix: str, count: int, suffix: str = "") -> dict[str, Tensor]:
    """Recorded linear layers under our names."""
    names = [(k, kind) for k in range(count) for kind in KINDS]
    return {f"layers.{k}.{kind}": group[f"{prefix}.{k}{suffix}.{kind}"] for k, kind in names}


def under(data: Recording, case: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{case}."): data[key] for key in data.keys if key.startswith(f"{case}.")}


@pytest.mark.parametrize("path", files("video_fields", "sine.coords"))
def test_siren(path: Path) -> None:
    data = Recording(path)
    case, about = under(data, "sine"), data.json("meta")["sine"]
    num_sines = about["num_hidden_layers"] + 1
    coords = case["coords"].requires_grad_()
    siren = Siren(coords.shape[1], case["out"].shape[1], (about["hidden_features"],) * num_sines, omega=about["omega"])
    last = {f"last.{kind}": case[f"w.net.net.{num_sines}.0.{kind}"] for kind in KINDS}
    siren.load_state_dict(layers_of(case, "w.net.net", num_sines, ".0") | last)
    out = siren(coords)
    torch.testing.assert_close(out, case["out"], rtol=0, atol=1e-6)
    (gradient,) = torch.autograd.grad(out.sum(), coords)
    torch.testing.assert_close(gradient, case["grad_sum_out_wrt_coords"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("path", files("video_fields", "relu_nerf_pe.coords"))
def test_positional_encoding_before_a_perceptron(path: Path) -> None:
    data = Recording(path)
    case, about = under(data, "relu_nerf_pe"), data.json("meta")["relu_nerf_pe"]
    coords, num_hidden = case["coords"].requires_grad_(), about["num_hidden_layers"] + 1
    num_octaves = (case["w.net.net.0.0.weight"].shape[1] // coords.shape[1] - 1) // 2
    encoding = PositionalEncoding(coords.shape[1], num_octaves, layout="octave axis wave")
    mlp = MLP(encoding.out_dim, case["out"].shape[1], (about["hidden_features"],) * num_hidden)
    layers = [(k, kind) for k in range(num_hidden + 1) for kind in KINDS]
    mlp.load_state_dict({f"layers.{2 * k}.{kind}": case[f"w.net.net.{k}.0.{kind}"] for k, kind in layers})
    out = mlp(encoding(coords))
    torch.testing.assert_close(out, case["out"], rtol=0, atol=1e-5)
    (gradient,) = torch.autograd.grad(out.sum(), coords)
    torch.testing.assert_close(gradient, case["grad_sum_out_wrt_coords"], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("path", files("video_fields", "gauss3d.B"))
def test_fourier_features_before_a_perceptron(path: Path) -> None:
    data = Recording(path)
    for name, about in data.json("meta").items():
        case = under(data, name)
        features = FourierFeatures(about["in_dims"], about["mapping_size"], about["sigma"])
        features.frequencies.copy_(case["B"])
        encoded = features(case["coords"])
        torch.testing.assert_close(encoded, case["features"], rtol=0, atol=1e-5)
        mlp = MLP(features.out_dim, case["out"].shape[1], (about["hidden"],) * (about["layers"] - 1))
        layers = [(k, short, kind) for k in range(about["layers"]) for short, kind in zip("wb", KINDS, strict=True)]
        mlp.load_state_dict({f"layers.{2 * k}.{kind}": case[f"{short}{k}"] for k, short, kind in layers})
        torch.testing.assert_close(mlp(encoded).sigmoid(), case["out"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", files("video_fields", "small.latent"))
def test_sines_modulated_by_latents(path: Path) -> None:
    data = Recording(path)
    for name, about in data.json("meta").items():
        if not isinstance(about, dict) or "latent_dim" not in about:
            continue
        case, count = under(data, name), about["num_layers"]
        hidden = (about["hidden"],) * count
        modulator = LatentModulator(about["latent_dim"], hidden)
        modulator.load_state_dict(layers_of(case, "w.modulator.layers", count, ".0"))
        siren = Siren(1, 3, hidden, about["w0_initial"], about["w0"], bias_like_weights=True)
        last = {f"last.{kind}": case[f"w.net.last_layer.{kind}"] for kind in KINDS}
        siren.load_state_dict(layers_of(case, "w.net.layers", count) | last)
        latent = case["latent"].requires_grad_()
        factors = modulator(latent)
        for k, factor in enumerate(factors):
            torch.testing.assert_close(factor, case[f"mod{k}"], rtol=0, atol=1e-6)
        out = siren(case["time"], factors)
        torch.testing.assert_close(out, case["out"], rtol=0, atol=1e-5)
        (gradient,) = torch.autograd.grad(out, latent, case["grad_out"])
        torch.testing.assert_close(gradient, case["grad_latent"], rtol=1e-4, atol=1e-5)


def grids_of(pair: Tensor, **settings: object) -> GridModulation:
    """Modulation in float64 of recorded grids ``[2, C, *shape]``."""
    grids = GridModulation(pair.shape[2:], pair.shape[1], **settings).double()
    grids.load_state_dict({"gamma": pair[0], "beta": pair[1]})
    return grids


@pytest.mark.parametrize("path", files("cam", "square32_norm/coord"))
def test_modulation_by_place(path: Path) -> None:
    data = Recording(path)
    for name in sorted({key.split("/")[0] for key in data.keys if key.endswith("/param/affine")}):
        case = data.group(name)
        coords = case["coord"][0, :, 0].double().flip(-1)  # recorded in the order of the grid's axes reversed
        x = case["linear_out"][0].double()
        if "normed" in case and "nonorm" not in name:
            x = standardise(x, (-1,))
            torch.testing.assert_close(x, case["normed"][0], rtol=1e-9, atol=1e-9)
        grids = grids_of(case["param/affine"][0, :, None].double())
        torch.testing.assert_close(grids(x, coords).relu(), case["y"][0], rtol=1e-9, atol=1e-9)
        gradient = torch.autograd.grad((grids(x, coords).relu() * case["g"][0]).sum(), (grids.gamma, grids.beta))
        recorded = case["grad/affine"][0, :, None].double()
        torch.testing.assert_close(torch.stack(gradient), recorded, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("path", files("cam", "CAM/layer0_modulated"))
def test_modulation_along_a_line_fades_beyond_its_ends(path: Path) -> None:
    data = Recording(path)
    case = data.group("CAM")
    count = len(data["x"])
    coords = data["x"].double() * 2 - 1
    for k in range(sum(key.startswith("param/affine.") for key in case)):
        grids = grids_of(case[f"param/affine.{k}"][0, :, None, :, 0].double(), padding="zeros")
        found = grids(case[f"layer{k}_linear_out"].double(), coords)
        torch.testing.assert_close(found, case[f"layer{k}_modulated"], rtol=1e-9, atol=1e-9)
    gamma, _ = GridModulation((count,), padding="zeros").read(torch.tensor([[1.0], [1 + 1 / (count - 1)], [2.0]]))
    torch.testing.assert_close(gamma[:, 0], torch.tensor([1.0, 0.5, 0.0]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("path", files("cam", "tempmod_w32_norm/x"))
def test_modulation_of_channels_in_time(path: Path) -> None:
    data = Recording(path)
    for name in ("tempmod_w32_norm", "tempmod_w32_nonorm"):
        case = data.group(name)
        x = case["x"].double() if "nonorm" in name else standardise(case["x"].double(), (2, 3))
        pair = torch.stack([case[f"param/mod_grid.{k}"][:, :, 0, 0].t() for k in (0, 1)]).double()
        gamma, beta = grids_of(pair).read(case["t"].double()[:, None] * 2 - 1)
        found = gamma[..., None, None] * x + beta[..., None, None]
        # The original nudges the knot below by 1e-6, which shows in float64.
        torch.testing.assert_close(found, case["y"].double(), rtol=1e-9, atol=1e-5)
