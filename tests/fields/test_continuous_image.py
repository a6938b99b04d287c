"""What every continuous image answers, whichever way it reads its features."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from errors import InputError
from fields.continuous_image import ContinuousImage, checked_image, checked_points
from fields.coords import cell_of, mesh
from fields.encoders import EDSR
from fields.liif import LIIF
from fields.metasr import MetaSR
from fields.readout import NearestReadout


class Watched(ContinuousImage):
    """Answers with the point, and one channel of what was prepared; keeps a record of its calls."""

    def __init__(self) -> None:
        super().__init__(nn.Identity())
        self.calls: list[str] = []
        self.asked: list[tuple[Tensor, Tensor | None]] = []

    def encode(self, image: Tensor) -> Tensor:
        self.calls.append("encode")
        return super().encode(image)

    def prepare(self, features: Tensor) -> Tensor:
        self.calls.append("prepare")
        return features + 1

    def query(self, prepared: Tensor, coords: Tensor, cell: Tensor | None) -> Tensor:
        self.calls.append("query")
        self.asked.append((coords, cell))
        return torch.cat((coords, prepared[:, :1, 0, :1].expand(-1, coords.shape[1], -1)), dim=-1)


MODELS = {
    "liif": lambda: LIIF(EDSR(1, 4), (8,)),
    "metasr": lambda: MetaSR(EDSR(1, 4), 8),
    "readout": lambda: NearestReadout(EDSR(1, 4, upscale=2)),
}


def test_features_are_made_and_prepared_once_however_many_chunks_there_are() -> None:
    model = Watched()
    model.render(torch.zeros(1, 3, 2, 2), (4, 6), chunk=10)
    assert model.calls == ["encode", "prepare", "query", "query", "query"]


def test_a_rendered_pixel_is_the_value_at_its_centre_seen_in_its_cell() -> None:
    model, image = Watched(), torch.randn(2, 3, 2, 2)
    rendered = model.render(image, (4, 6), chunk=10)
    assert torch.equal(rendered[0, :2], mesh((4, 6)).permute(2, 0, 1))
    assert torch.equal(rendered[:, 2], (image[:, :1, 0, 0] + 1)[..., None].expand(-1, 4, 6))
    assert all(torch.equal(cell, cell_of((4, 6)).expand_as(points)) for points, cell in model.asked)


def test_a_window_asks_for_its_own_points_only_with_the_cells_of_the_whole() -> None:
    model = Watched()
    rendered = model.render(torch.zeros(1, 3, 2, 2), (400, 600), (3, 5, 7, 8), chunk=5)
    assert torch.equal(rendered[0, :2], mesh((400, 600))[3:7, 5:8].permute(2, 0, 1))
    assert [points.shape[1] for points, _ in model.asked] == [5, 5, 2]
    assert all(torch.equal(cell[0, 0], cell_of((400, 600))) for _, cell in model.asked)


def test_points_and_cells_are_float32_whatever_is_given() -> None:
    model, points = Watched(), torch.tensor([[[0.1, 0.2]]])
    model(torch.zeros(1, 3, 2, 2), points.double(), points.half())
    coords, cell = model.asked[0]
    assert coords.dtype == cell.dtype == torch.float32
    assert torch.equal(coords, points) and torch.equal(cell, points.half().float())


@pytest.mark.parametrize("name", MODELS)
def test_the_ways_to_ask_agree(name: str) -> None:
    model, image, size = MODELS[name](), torch.randn(2, 3, 4, 5), (9, 7)
    coords = mesh(size).flatten(0, 1).expand(2, -1, -1)
    cell = cell_of(size).expand_as(coords)
    with torch.no_grad():
        features = model.encode(image)
        values = model(image, coords, cell)
        assert torch.equal(model.decode(features, coords, cell), values)
        assert torch.equal(model.query(model.prepare(features), coords, cell), values)
    for rendered in (model.render(image, size), model.render_features(features, size)):
        torch.testing.assert_close(rendered.flatten(2).transpose(1, 2), values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_images_of_a_batch_do_not_meet(name: str) -> None:
    model, images = MODELS[name](), torch.randn(2, 3, 4, 5)
    both = model.render(images, (9, 7))
    alone = torch.cat([model.render(one[None], (9, 7)) for one in images])
    torch.testing.assert_close(both, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_values_can_be_trained_and_rendering_keeps_no_gradients(name: str) -> None:
    model, image = MODELS[name](), torch.randn(1, 3, 4, 5)
    coords = torch.rand(1, 30, 2) * 2 - 1
    model(image, coords, torch.full_like(coords, 0.1)).square().sum().backward()
    assert all(one.grad is not None and bool((one.grad != 0).any()) for one in model.parameters())
    assert not model.render(image, (3, 3)).requires_grad


def test_impossible_windows_sizes_and_chunks_are_refused() -> None:
    model, image = Watched(), torch.zeros(1, 3, 2, 2)
    with pytest.raises(InputError, match="window"):
        model.render(image, (4, 6), (0, 0, 5, 6))
    with pytest.raises(InputError, match="at least one pixel"):
        model.render(image, (0, 6))
    with pytest.raises(InputError, match="chunk 0"):
        model.render(image, (4, 6), chunk=0)


def test_images_and_points_of_other_shapes_are_refused() -> None:
    for shape in ((1, 1, 4, 4), (3, 4, 4), (1, 3, 0, 4)):
        with pytest.raises(InputError, match="image"):
            checked_image(torch.zeros(shape))
    with pytest.raises(InputError, match="one set per image"):
        checked_points(torch.zeros(2, 5, 2), None, 1)
    with pytest.raises(InputError, match="shape of coords"):
        checked_points(torch.zeros(1, 5, 2), torch.zeros(1, 1, 2), 1)


def test_a_model_must_say_how_it_is_read() -> None:
    with pytest.raises(NotImplementedError, match="ContinuousImage says how"):
        ContinuousImage(nn.Identity()).render(torch.zeros(1, 3, 2, 2), (2, 2))
