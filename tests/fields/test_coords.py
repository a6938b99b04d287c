from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields import coords


@pytest.mark.parametrize("n", [1, 2, 7, 48, 1921])
def test_centres_are_those_of_the_formula(n: int) -> None:
    expected = 2 * (torch.arange(n, dtype=torch.float64) + 0.5) / n - 1
    found = coords.centres(n)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2.5e-7)


def test_centres_on_another_axis() -> None:
    torch.testing.assert_close(coords.centres(4, span=(0, 8.0)), torch.tensor([1.0, 3, 5, 7]))


@pytest.mark.parametrize("size", [(5, 7), (33, 129), (1, 1)])
def test_a_window_is_the_crop_of_the_whole_bit_for_bit(size: tuple[int, int]) -> None:
    height, width = size
    window = (height // 3, width // 4, height, width - width // 5)
    y0, x0, y1, x1 = window
    assert torch.equal(coords.mesh(size, window), coords.mesh(size)[y0:y1, x0:x1])


def test_the_mesh_is_ordered_row_then_column_and_cells_are_its_steps() -> None:
    mesh, cell = coords.mesh((4, 10)), coords.cell_of((4, 10))
    torch.testing.assert_close(mesh[1, 0] - mesh[0, 0], torch.tensor([cell[0], 0]))
    torch.testing.assert_close(mesh[0, 1] - mesh[0, 0], torch.tensor([0, cell[1]]))
    assert torch.equal(coords.lattice((4, 10)), mesh)


def test_times_are_centres_like_any_axis() -> None:
    torch.testing.assert_close(coords.times(4), torch.tensor([-0.75, -0.25, 0.25, 0.75]))


def test_samples_of_an_image_are_its_pixels_row_by_row() -> None:
    image = torch.rand(3, 4, 5)
    points, values = coords.samples_of(image)
    assert torch.equal(values[7], image[:, 1, 2])
    assert torch.equal(points[7], coords.mesh((4, 5))[1, 2])


@pytest.mark.parametrize(
    ("convention", "formula"),
    [
        (coords.LIIF, lambda i, n: 2 * (i + 0.5) / n - 1),
        (coords.NVP_GRIDS, lambda i, n: i / (n - 1)),
        (coords.NVP_DECODER_TIME, lambda i, n: (i + 0.5) / n),
        (coords.SIREN, lambda i, n: 2 * i / (n - 1) - 1),
        (coords.FOURIER_FEATURES, lambda i, n: i / n),
        (coords.NERV, lambda i, n: i / n),
        (coords.CAM_SIGNAL, lambda i, n: i / (n - 1)),
        (coords.CAM_IMAGE, lambda i, n: (i + 0.5) / n),
        (coords.CAM_VIDEO, lambda i, n: i / n),
    ],
)
def test_conventions_of_other_systems_and_back(convention: coords.Convention, formula: object) -> None:
    size = (5, 36, 64)
    ours = coords.lattice(size)
    axes = [formula(torch.arange(n, dtype=torch.float64), n) for n in size]
    expected = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    theirs = convention.of(ours, size)
    assert theirs.dtype == torch.float32
    torch.testing.assert_close(theirs.double(), expected, rtol=0, atol=3e-7)
    torch.testing.assert_close(convention.back(theirs, size), ours, rtol=0, atol=6e-7)


def test_one_frame_lies_at_the_beginning_where_ends_count() -> None:
    assert coords.NVP_GRIDS.of(coords.times(1)[:, None], (1,)).item() == 0
    assert coords.NVP_GRIDS.back(torch.zeros(1, 1), (1,)).item() == 0


def test_conversion_stays_float32_under_autocast() -> None:
    ours = coords.mesh((100, 160))
    with torch.autocast("cpu", torch.bfloat16):
        theirs = coords.NVP_GRIDS.of(ours, (100, 160))
    assert torch.equal(theirs, coords.NVP_GRIDS.of(ours, (100, 160)))


@pytest.mark.parametrize("size", [(0, 4), (4, -1)])
def test_an_image_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="at least one pixel"):
        coords.mesh(size)


@pytest.mark.parametrize("window", [(0, 0, 0, 4), (0, 0, 5, 4), (-1, 0, 2, 2), (2, 2, 1, 3)])
def test_windows_outside_or_empty_are_refused(window: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="half open"):
        coords.mesh((4, 4), window)


def test_an_axis_without_cells_is_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        coords.centres(0)
