"""LIIF, MetaSR, their encoders and PSNR rules against recordings of the original, in both forms of the decoder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fields import liif_published, official
from fields.coords import lattice, mesh, samples_of
from fields.liif import LIIF
from fields.psnr_protocols import psnr_by_protocol
from tests.conformance.recordings import Recording, files, folder

FORMS = ("fast", "published")
MODELS = files("liif", "dbg/imnet_in")
WITH_GRADIENTS = files("liif", "grad/loss")
METASR = files("liif", "frac/out")
TAILS = files("liif", "grid/out")
ATTENTION = "sd/body.0.body.0.body.3.conv_du.0.weight"
CLOSE = {"rtol": 1e-5, "atol": 2e-5}  # the original in float32 differs from float64 by up to 1.1e-5


class Read(Recording):
    """A recording that knows which of its keys were read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Tensor:
        self.read.add(key)
        return super().__getitem__(key)

    def json(self, key: str) -> object:
        self.read.add(key)
        return super().json(key)


class Case:
    """One recording of a model or of functions."""

    def __init__(self, path: Path) -> None:
        self.data = Read(path)

    @property
    def config(self) -> dict:
        return self.data.json("config")

    @property
    def state(self) -> dict[str, Tensor]:
        return self.data.group("sd")

    def batch(self, key: str) -> Tensor:
        """Points or cells, one set per image where the recording has one for all."""
        value = self.data[key]
        return value if value.ndim == 3 else value.expand(len(self.data["inp"]), -1, -1)

    def groups(self) -> Iterator[str]:
        """The recorded sets of queries."""
        yield from sorted({key.removesuffix("/out") for key in self.data.keys if key.endswith("/out")})


@lru_cache(maxsize=4)
def load(path: Path) -> Case:
    return Case(path)


def liif(case: Case, form: str) -> LIIF:
    model = official.liif(case.config, case.state)
    model.form = form
    return model


def assert_outputs(case: Case, model: nn.Module) -> None:
    with torch.no_grad():
        for group in case.groups():
            coords = case.batch(f"{group}/coord")
            cell = case.batch(f"{group}/cell") if f"{group}/cell" in case.data else None
            found = model(case.data["inp"], coords, cell)
            torch.testing.assert_close(
                found, case.data[f"{group}/out"], **CLOSE, msg=lambda text, at=group: f"{at}: {text}"
            )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", MODELS)
def test_outputs_at_every_recorded_point(path: Path, form: str) -> None:
    case = load(path)
    assert_outputs(case, liif(case, form))


@pytest.mark.parametrize("path", MODELS)
def test_features(path: Path) -> None:
    case = load(path)
    features = official.encoder(case.config, case.state)(case.data["inp"])
    torch.testing.assert_close(features, case.data["feat"], **CLOSE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", MODELS)
def test_rendered_grids(path: Path, form: str) -> None:
    case = load(path)
    model = liif(case, form)
    for group in ("full", "x3"):
        size = tuple(case.data[f"{group}/size"].tolist())
        torch.testing.assert_close(mesh(size).flatten(0, 1), case.data[f"{group}/coord"], rtol=0, atol=2e-7)
        rendered = model.render(case.data["inp"], size, chunk=100).flatten(2).transpose(1, 2)
        torch.testing.assert_close(rendered, case.data[f"{group}/out"], **CLOSE)


@pytest.mark.parametrize("path", MODELS)
def test_what_the_perceptron_sees_of_each_member(path: Path) -> None:
    case = load(path)
    model = liif(case, "published")
    recorded = case.data["dbg/imnet_in"]
    coords, cell = (case.batch(f"rand/{key}")[:, : recorded.shape[2]] for key in ("coord", "cell"))
    with torch.no_grad():
        prepared = model.prepare(case.data["feat"])
        scaled = model.scaled_cell(cell, prepared.shape[-2:])
        inputs, _ = liif_published.member_inputs(prepared, coords, scaled, model.ensemble)
        torch.testing.assert_close(torch.stack(inputs), recorded, **CLOSE)
        torch.testing.assert_close(model.imnet(recorded), case.data["dbg/imnet_out"], **CLOSE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", WITH_GRADIENTS)
def test_loss_and_gradients(path: Path, form: str) -> None:
    case = load(path)
    model = liif(case, form)
    found = model(case.data["inp"], case.batch("rand/coord"), case.batch("rand/cell"))
    loss = (found - (case.data["grad/gt01"] - 0.5) / 0.5).abs().mean()
    loss.backward()
    torch.testing.assert_close(loss.detach(), case.data["grad/loss"], rtol=1e-5, atol=0)
    recorded = {key: value for key, value in case.data.group("grad").items() if key not in ("gt01", "loss")}
    gradients = {name: one.grad for name, one in model.named_parameters()}
    assert gradients.keys() == recorded.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, recorded[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("path", METASR)
def test_metasr(path: Path) -> None:
    case = load(path)
    assert_outputs(case, official.metasr(case.config, case.state))


@pytest.mark.parametrize("path", TAILS)
def test_images_of_fixed_tails_and_their_nearest_read_out(path: Path) -> None:
    case = load(path)
    model = official.liif(case.config, case.state)
    torch.testing.assert_close(model.encode(case.data["inp"]), case.data["feat"], **CLOSE)
    assert_outputs(case, model)


@pytest.mark.parametrize("path", files("liif", ATTENTION))
def test_an_encoder_with_attention(path: Path) -> None:
    case = load(path)
    features = official.encoder(case.config, case.state)(case.data["inp"])
    torch.testing.assert_close(features, case.data["feat"], **CLOSE)


@pytest.mark.parametrize("path", files("liif", "c0/grid"))
def test_coordinates(path: Path) -> None:
    data = load(path).data
    for case in sorted({key.split("/")[0] for key in data.keys} - {"pix"}):
        ranges = data[f"{case}/ranges"].tolist() if f"{case}/ranges" in data else None
        grid = lattice(data[f"{case}/shape"].tolist(), ranges)
        torch.testing.assert_close(grid, data[f"{case}/grid"], rtol=0, atol=2e-7)
        torch.testing.assert_close(grid.flatten(0, -2), data[f"{case}/flat"], rtol=0, atol=2e-7)
    points, colours = samples_of(data["pix/img"])
    torch.testing.assert_close(points, data["pix/coord"], rtol=0, atol=2e-7)
    assert torch.equal(colours, data["pix/rgb"])


@pytest.mark.parametrize("path", files("liif", "benchmark-2"))
def test_psnr_protocols(path: Path) -> None:
    data = load(path).data
    for key in sorted(data.keys - {"sr", "hr"}):
        protocol, *rest = key.split("-")
        channels = 1 if "gray" in rest else 3
        images = (data[name][:, :channels] for name in ("sr", "hr"))
        per_image = psnr_by_protocol(*images, protocol, int(rest[-1]) if rest else 0)
        # The recorded figure is of one error over all images.
        pooled = -10 * torch.log10((10 ** (-per_image / 10)).mean())
        torch.testing.assert_close(pooled, data[key].double(), rtol=0, atol=1e-5)


# Which tests read a recording, by a key that tells its kind.
CHECKS = {
    "dbg/imnet_in": [
        lambda path: test_outputs_at_every_recorded_point(path, "fast"),
        lambda path: test_rendered_grids(path, "fast"),
        test_features,
        test_what_the_perceptron_sees_of_each_member,
    ],
    "grad/loss": [lambda path: test_loss_and_gradients(path, "fast")],
    "frac/out": [test_metasr],
    "grid/out": [test_images_of_fixed_tails_and_their_nearest_read_out],
    ATTENTION: [test_an_encoder_with_attention],
    "c0/grid": [test_coordinates],
    "benchmark-2": [test_psnr_protocols],
    "img_u8": [],  # of the data wrappers: test_liif_data.py
}
KINDS = CHECKS.keys() - {"grad/loss", "img_u8"}  # those with gradients are models too


@pytest.mark.parametrize("path", [one for key in sorted(KINDS) for one in files("liif", key)])
def test_no_recorded_key_is_left_unread(path: Path) -> None:
    case = Case(path)
    checks = [check for key, some in CHECKS.items() if key in case.data for check in some]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "load", lambda _path: case)
        for check in checks:
            check(path)
    assert case.data.read == case.data.keys


def test_every_recording_is_of_a_kind_that_is_compared() -> None:
    paths = sorted(folder("liif").glob("*.npz"))
    assert [path for path in paths if not Recording(path).keys & CHECKS.keys()] == []
