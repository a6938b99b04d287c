from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.coords import cell_of, mesh
from fields.encoders import EDSR
from fields.metasr import MetaSR, latent_of_corner


@pytest.mark.parametrize("scale", [(2, 3), (4, 1), (1.5, 2.5)])
def test_each_pixel_belongs_to_the_latent_its_corner_lies_in(scale: tuple[float, float]) -> None:
    size = (4, 6)
    whole = tuple(int(n * s) for n, s in zip(size, scale, strict=True))
    coords = mesh(whole).flatten(0, 1)[None]
    index, offset = latent_of_corner(coords, cell_of(whole).expand_as(coords), size)
    row, column = torch.meshgrid(torch.arange(whole[0]), torch.arange(whole[1]), indexing="ij")
    y, x = (row.double() / scale[0]).flatten(), (column.double() / scale[1]).flatten()
    assert index[0].tolist() == ((y + 1e-5).floor() * size[1] + (x + 1e-5).floor()).long().tolist()
    expected = torch.stack((y - (y + 1e-5).floor(), x - (x + 1e-5).floor()), dim=-1)
    torch.testing.assert_close(offset[0].double(), expected, rtol=0, atol=2e-6)


def test_a_colour_is_the_predicted_matrix_times_the_neighbourhood() -> None:
    model, image, size = MetaSR(EDSR(1, 4), 8), torch.randn(1, 3, 3, 5), (6, 10)
    with torch.no_grad():
        rendered = model.render(image, size)
        neighbours = torch.nn.functional.unfold(model.encode(image), 3, padding=1)
        # Pixel (3, 6) is the lower left of the four of latent (1, 3): offset (1/2, 0), magnification 2.
        matrix = model.imnet(torch.tensor([0.5, 0.0, 0.5])).view(36, 3)
        expected = neighbours[0, :, 1 * 5 + 3] @ matrix
    torch.testing.assert_close(rendered[0, :, 3, 6], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_any_chunk_and_window_give_the_same_image(chunk: int) -> None:
    model, image = MetaSR(EDSR(1, 4), 8), torch.randn(2, 3, 3, 5)
    whole = model.render(image, (8, 11))
    window = model.render(image, (8, 11), (1, 2, 8, 9), chunk)
    torch.testing.assert_close(window, whole[..., 1:8, 2:9], rtol=0, atol=1e-6)


def test_published_size_and_receptive_field() -> None:
    model = MetaSR(EDSR(1, 64))
    assert sum(one.numel() for one in model.imnet.parameters()) == 445_120
    assert model.receptive_field == EDSR(1, 64).receptive_field + 2


def test_cells_are_needed() -> None:
    with pytest.raises(InputError, match="cell"):
        MetaSR(EDSR(1, 4))(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 2))
