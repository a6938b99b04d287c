"""What the fast form leaves out; that it equals the published form is in test_liif.py."""

from __future__ import annotations

import pytest
import torch

from fields import liif_fast
from fields.coords import cell_of, mesh
from fields.encoders import EDSR
from fields.liif import LIIF
from fields.liif_geometry import members


def model_of(form: str = "fast") -> LIIF:
    torch.manual_seed(1)
    return LIIF(EDSR(1, 6), (16, 12), form=form)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows passed through the perceptron, call by call."""
    counts, answers = [], liif_fast._answers

    def counting(imnet: object, table: object, rows: torch.Tensor, known: object) -> torch.Tensor:
        counts.append(len(rows))
        return answers(imnet, table, rows, known)

    monkeypatch.setattr(liif_fast, "_answers", counting)
    return counts


def test_members_that_are_one_latent_are_asked_once_with_their_weights_together() -> None:
    rows = torch.tensor([[0, 5, 7], [1, 5, 7], [2, 6, 7], [3, 6, 7]])
    weights = torch.tensor([[0.1, 0.4, 0.1], [0.2, 0.3, 0.2], [0.3, 0.2, 0.3], [0.4, 0.1, 0.4]])
    expected = torch.tensor([[0.1, 0.7, 1.0], [0.2, 0.0, 0.0], [0.3, 0.3, 0.0], [0.4, 0.0, 0.0]])
    torch.testing.assert_close(liif_fast._merged(rows, weights), expected)
    assert weights[0, 1] == 0.4  # what was given stays


# Rows or columns of 5 latents, per axis: two members each, and one in the outer half cells or on a latent's centre.
@pytest.mark.parametrize(("scale", "per_axis"), [(1, 5), (2, 2 * 10 - 2), (3, 2 * 15 - 2 - 5), (4, 2 * 20 - 4)])
def test_rows_that_pass_through_the_perceptron(scale: int, per_axis: int, asked: list[int]) -> None:
    image, size = torch.randn(1, 3, 5, 5), (5 * scale, 5 * scale)
    rendered = model_of().render(image, size)
    # On centres of latents at the border all areas vanish, and the last bit decides which members have weight.
    num_unsure = 4 * 5 if scale % 2 else 0
    assert per_axis**2 <= asked[0] <= per_axis**2 + num_unsure
    torch.testing.assert_close(rendered, model_of("published").render(image, size), rtol=1e-5, atol=1e-5)


def test_weights_that_are_left_out_are_rounding_errors() -> None:
    size = (48, 48)
    found = members(mesh((144, 144)).flatten(0, 1)[None], size, ensemble=True)
    merged = liif_fast._merged(found.index[:, 0], found.weight[:, 0])
    left_out = (merged <= liif_fast.NEGLIGIBLE) & (merged != 0)
    assert bool(left_out.any())
    assert float((merged * left_out).sum(dim=0).max()) < 4e-6
    torch.testing.assert_close(merged.sum(dim=0), torch.ones(144 * 144))


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_any_number_of_rows_at_once_gives_the_same_values(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image, coords = torch.randn(2, 3, 5, 7), torch.rand(2, 40, 2) * 2 - 1
    cell = cell_of((11, 13)).expand_as(coords)
    with torch.no_grad():
        expected = model_of()(image, coords, cell)
        monkeypatch.setattr(liif_fast, "ROWS", rows)
        torch.testing.assert_close(model_of()(image, coords, cell), expected, rtol=0, atol=1e-6)


def test_features_that_are_no_numbers_are_not_hidden() -> None:
    model, features = model_of(), torch.zeros(1, 6, 5, 5)
    features[..., 2, 2] = float("nan")
    rendered = model.render_features(features, (15, 15))
    assert bool(rendered[..., 7, 7].isnan().all())
    assert not bool(rendered[..., 0, 0].isnan().any())


def test_no_points_have_no_values() -> None:
    with torch.no_grad():
        assert model_of()(torch.zeros(1, 3, 4, 4), torch.zeros(1, 0, 2), torch.zeros(1, 0, 2)).shape == (1, 0, 3)
