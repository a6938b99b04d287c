from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from errors import InputError
from stylegan_v.inspect.pictures import GAP, motion_strip, sample_grid, save_png
from stylegan_v.rendering import draw_latents, render
from tests.stylegan_v import tiny_gan

SIZE = 16


def tile_at(picture: torch.Tensor, row: int, column: int) -> torch.Tensor:
    top, left = row * (SIZE + GAP), column * (SIZE + GAP)
    return picture[:, top : top + SIZE, left : left + SIZE]


def frames(seed: int, number: int, t: list[float], psi: float = 1.0) -> torch.Tensor:
    """Frames [F, 3, H, W] of one video, drawn by itself."""
    generator = tiny_gan.generator(c_dim=2).eval()
    latents = draw_latents(generator, seed, [number], truncation_psi=psi)
    return torch.cat(list(render(generator, latents, torch.tensor(t, dtype=torch.float64))), dim=1)[0]


def same(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether bytes are equal but for the rounding of a value that lies between two."""
    return (found.int() - expected.int()).abs().max().item() <= 1


@pytest.mark.parametrize("side, seed, psi", [(4, 0, 1.0), (1, 0, 1.0), (3, 5, 0.5)])
def test_grid_shows_the_first_frames_row_by_row(side: int, seed: int, psi: float) -> None:
    picture = sample_grid(tiny_gan.generator(c_dim=2).eval(), side, seed=seed, truncation_psi=psi)
    length = side * (SIZE + GAP) - GAP
    assert picture.shape == (3, length, length) and picture.dtype == torch.uint8
    for number in range(side**2):
        assert same(tile_at(picture, *divmod(number, side)), frames(seed, number, [0.0], psi)[0])
    gaps = torch.ones(length, dtype=torch.bool)
    gaps[[i for i in range(length) if i % (SIZE + GAP) < SIZE]] = False
    assert (picture[:, gaps] == 255).all() and (picture[:, :, gaps] == 255).all()


def test_strip_shows_videos_as_rows_and_time_to_the_right() -> None:
    picture = motion_strip(tiny_gan.generator(c_dim=2).eval(), 2, 5, 2.5, seed=3)
    assert picture.shape == (3, 2 * (SIZE + GAP) - GAP, 5 * (SIZE + GAP) - GAP)
    for row in range(2):
        expected = frames(3, row, [0.0, 2.5, 5.0, 7.5, 10.0])
        for column in range(5):
            assert same(tile_at(picture, row, column), expected[column])
        assert not torch.equal(tile_at(picture, row, 0), tile_at(picture, row, 4))


def test_frames_of_absurd_size_are_refused() -> None:
    generator = tiny_gan.generator().eval()
    generator.resolution = (16, 10**6)
    with pytest.raises(InputError, match="larger than 4096"):
        sample_grid(generator, 1)


def test_png_holds_the_picture(tmp_path: Path) -> None:
    picture = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    save_png(picture, tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture.permute(1, 2, 0).numpy())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
