from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from errors import InputError
from fields.coords import cell_of, mesh
from fields.encoders import EDSR, RCAN
from fields.liif import LIIF

SWITCHES = [dict(zip(("unfold", "ensemble", "cell"), on, strict=True)) for on in product((False, True), repeat=3)]


def model_of(form: str = "fast", **settings: object) -> LIIF:
    torch.manual_seed(1)
    return LIIF(EDSR(1, 6), (16, 12), form=form, **settings)


def identity_model(**settings: object) -> LIIF:
    """Colours are the latent's channels themselves."""
    encoder = nn.Identity()
    encoder.out_dim, encoder.receptive_field = 3, 0
    model = LIIF(encoder, (), unfold=False, cell=False, **settings)
    with torch.no_grad():
        model.imnet.layers[0].weight.copy_(torch.eye(3, 5))
        model.imnet.layers[0].bias.zero_()
    return model


def queries(num_images: int = 2, num_points: int = 40) -> tuple[Tensor, Tensor]:
    """Points of which some lie on centres and at the border, and cells."""
    coords = torch.rand(num_images, num_points, 2) * 2 - 1
    coords[:, :6] = mesh((5, 7)).flatten(0, 1)[[0, 6, 17, 18, 30, 34]]
    coords[:, 6:8] = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    return coords, torch.rand(num_images, num_points, 2) * 0.2 + 0.01


def gradients(model: LIIF, image: Tensor, coords: Tensor, cell: Tensor) -> dict[str, Tensor]:
    image = image.clone().requires_grad_()
    values = model(image, coords, cell)
    values.square().sum().backward()
    return {"image": image.grad, "values": values.detach(), **{name: p.grad for name, p in model.named_parameters()}}


@pytest.mark.parametrize("switches", SWITCHES, ids=lambda on: "".join(name[0] for name in on if on[name]) or "none")
def test_the_fast_form_equals_the_published_with_all_gradients(switches: dict[str, bool]) -> None:
    image, (coords, cell) = torch.randn(2, 3, 5, 7), queries()
    fast, published = (gradients(model_of(form, **switches), image, coords, cell) for form in ("fast", "published"))
    for name, expected in published.items():
        torch.testing.assert_close(
            fast[name], expected, rtol=1e-5, atol=1e-5, msg=lambda text, at=name: f"{at}: {text}"
        )
    with torch.no_grad():
        untracked = model_of("fast", **switches)(image, coords, cell)
    torch.testing.assert_close(untracked, published["values"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["fast", "published"])
def test_gradients_of_gradients(form: str) -> None:
    model = LIIF(EDSR(1, 2), (4,), form=form).double()
    coords, cell = queries(1, 10)
    image = torch.randn(1, 3, 5, 7, dtype=torch.float64, requires_grad=True)

    def smooth(x: Tensor) -> Tensor:
        return model(x, coords, cell).tanh()

    assert torch.autograd.gradcheck(smooth, image)
    assert torch.autograd.gradgradcheck(smooth, image)


def test_no_hidden_layer_is_a_linear_field() -> None:
    image, (coords, cell) = torch.randn(2, 3, 5, 7), queries()
    torch.manual_seed(0)
    model = LIIF(EDSR(1, 4), ())
    with torch.no_grad():
        fast = model(image, coords, cell)
        model.form = "published"
        torch.testing.assert_close(fast, model(image, coords, cell), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["fast", "published"])
@pytest.mark.parametrize("size", [(11, 9), (3, 4), (20, 5), (1, 1)])
def test_a_rendered_image_is_its_values_at_pixel_centres(form: str, size: tuple[int, int]) -> None:
    model, image = model_of(form), torch.randn(2, 3, 5, 7)
    coords = mesh(size).flatten(0, 1).expand(2, -1, -1)
    with torch.no_grad():
        values = model(image, coords, cell_of(size).expand_as(coords))
    rendered = model.render(image, size)
    assert rendered.shape == (2, 3, *size) and not rendered.requires_grad
    torch.testing.assert_close(rendered.flatten(2).transpose(1, 2), values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", ["fast", "published"])
@pytest.mark.parametrize("chunk", [1, 17, 100, 10_000])
def test_any_chunk_and_window_give_the_same_image(form: str, chunk: int) -> None:
    model, image, size = model_of(form), torch.randn(2, 3, 5, 7), (14, 23)
    whole = model.render(image, size)
    torch.testing.assert_close(model.render(image, size, chunk=chunk), whole, rtol=0, atol=1e-6)
    window = model.render(image, size, (3, 5, 14, 20), chunk)
    torch.testing.assert_close(window, whole[..., 3:14, 5:20], rtol=0, atol=1e-6)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that is made and is not the result."""

    def __init__(self, result: tuple[int, ...]) -> None:
        super().__init__()
        self.result, self.found = torch.Size(result).numel(), 0

    def __torch_dispatch__(
        self, function: object, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple) else (made,):
            if isinstance(one, Tensor) and one.untyped_storage().size() != 4 * self.result:
                self.found = max(self.found, one.untyped_storage().size() // 4)
        return made


def test_memory_beside_the_result_does_not_grow_with_it() -> None:
    model, image = model_of(), torch.randn(1, 3, 5, 7)
    largest = []
    for size in ((64, 64), (256, 256)):
        with Largest((3, *size)) as seen:
            model.render(image, size, chunk=1000)
        largest.append(seen.found)
    assert largest[0] == largest[1] <= 1000 * 4 * 16


def offset_model(form: str) -> LIIF:
    """Colours are the offset (y, x) from the nearest latent, and 0."""
    model = identity_model(ensemble=False, form=form)
    with torch.no_grad():
        model.imnet.layers[0].weight.copy_(torch.eye(5)[[3, 4, 0]] * torch.tensor([[1.0], [1.0], [0.0]]))
    return model


@pytest.mark.parametrize("form", ["fast", "published"])
@pytest.mark.parametrize("tracked", [False, True])
def test_geometry_is_exact_under_autocast(form: str, tracked: bool) -> None:
    image, coords = torch.randn(1, 3, 48, 48), torch.rand(1, 500, 2) * 2 - 1
    exact = (coords + 1) * 24 % 1 * 2 - 1
    with torch.set_grad_enabled(tracked), torch.autocast("cpu", torch.bfloat16):
        found = offset_model(form)(image, coords, None).detach()[..., :2].float()
    # Half a unit of the last place of bfloat16; coordinates themselves in bfloat16 would be off by a tenth.
    torch.testing.assert_close(found, exact, rtol=0, atol=2**-9)


@pytest.mark.parametrize("form", ["fast", "published"])
def test_results_under_autocast_are_near(form: str) -> None:
    model, image, (coords, cell) = model_of(form), torch.randn(2, 3, 48, 48), queries(num_points=500)
    with torch.no_grad():
        exact = model(image, coords, cell)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(image, coords, cell)
    assert 0 < float((rough - exact).norm() / exact.norm()) < 0.02


def test_blends_are_bilinear_inside_and_a_border_latent_answers_alone() -> None:
    image = torch.randn(1, 3, 6, 8)
    expected = nn.functional.interpolate(image, (23, 37), mode="bilinear", align_corners=False)
    torch.testing.assert_close(identity_model().render(image, (23, 37)), expected, rtol=0, atol=1e-5)


def test_without_ensemble_the_nearest_latent_answers() -> None:
    image = torch.randn(1, 3, 6, 8)
    rendered = identity_model(ensemble=False).render(image, (18, 40))
    assert torch.equal(rendered, image.repeat_interleave(3, dim=2).repeat_interleave(5, dim=3))


def test_cells_smaller_than_in_training_are_not_shown_if_so_asked() -> None:
    cell = cell_of((5 * 8, 7 * 2)).expand(1, 1, 2)
    shown = model_of(max_cell_scale=4.0).scaled_cell(cell, (5, 7))
    torch.testing.assert_close(shown, torch.tensor([[[0.5, 1.0]]]))
    torch.testing.assert_close(model_of().scaled_cell(cell, (5, 7)), torch.tensor([[[0.25, 1.0]]]))


@pytest.mark.parametrize("unfold", [False, True])
@pytest.mark.parametrize("ensemble", [False, True])
def test_nothing_beyond_the_receptive_field_matters(unfold: bool, ensemble: bool) -> None:
    model = LIIF(EDSR(1, 6), (16,), unfold=unfold, ensemble=ensemble)
    image = torch.randn(1, 3, 21, 21, requires_grad=True)
    coords = mesh((84, 84))[42, 40:44].reshape(1, 4, 2)  # the four pixels of latent (10, 10)
    model(image, coords, cell_of((84, 84)).expand(1, 4, 2)).sum().backward()
    reached = image.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    assert 10 - model.receptive_field == int(reached.min())
    assert model.receptive_field == EDSR(1, 6).receptive_field + unfold + ensemble


def test_the_receptive_field_of_attention_is_the_image() -> None:
    assert LIIF(RCAN(1, 1, 4, 2)).receptive_field is None


def test_the_published_size() -> None:
    with torch.device("meta"):
        assert sum(one.numel() for one in LIIF(EDSR()).parameters()) == 1_567_323 - 24
        assert LIIF(EDSR(), cell=False).imnet.layers[0].in_features == 578
        assert LIIF(EDSR(), unfold=False).imnet.layers[0].in_features == 68


@pytest.mark.parametrize(
    ("image", "coords", "cell", "words"),
    [
        ((1, 3, 0, 4), (1, 5, 2), (1, 5, 2), "no pixels"),
        ((0, 3, 4, 4), (0, 5, 2), (0, 5, 2), "no pixels"),
        ((1, 1, 4, 4), (1, 5, 2), (1, 5, 2), "give floats"),
        ((3, 4, 4), (1, 5, 2), (1, 5, 2), "give floats"),
        ((1, 3, 4, 4), (5, 2), (5, 2), "as \\(y, x\\)"),
        ((1, 3, 4, 4), (1, 5, 3), (1, 5, 3), "as \\(y, x\\)"),
        ((2, 3, 4, 4), (1, 5, 2), (1, 5, 2), "one set per image"),
        ((1, 3, 4, 4), (1, 5, 2), (1, 4, 2), "shape of coords"),
        ((1, 3, 4, 4), (1, 5, 2), None, "decodes cells"),
    ],
)
def test_other_shapes_are_refused_in_one_line(image: tuple, coords: tuple, cell: tuple | None, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        model_of()(torch.zeros(image), torch.zeros(coords), None if cell is None else torch.zeros(cell))
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_no_image() -> None:
    with pytest.raises(InputError, match="give floats"):
        model_of().encode(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize(("size", "chunk"), [((0, 4), 10), ((4, -2), 10), ((4, 4), 0)])
def test_impossible_sizes_and_chunks_are_refused(size: tuple[int, int], chunk: int) -> None:
    with pytest.raises(InputError):
        model_of().render(torch.zeros(1, 3, 4, 4), size, chunk=chunk)


@pytest.mark.parametrize("settings", [{"max_cell_scale": 0.0}, {"max_cell_scale": float("nan")}, {"form": "exact"}])
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        model_of(**settings)
