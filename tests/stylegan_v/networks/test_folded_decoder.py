"""Decoders on folded networks, and rendering of views and tiles."""

from __future__ import annotations

import pytest
import torch

from errors import InputError
from stylegan_v import rendering
from stylegan_v.networks import folding
from stylegan_v.networks.folding import FoldedSynthesis
from stylegan_v.networks.view import View
from tests.stylegan_v.networks.decoded import KINDS, generator


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("resolution", [16, (36, 50)])
@pytest.mark.parametrize("mode", ["residual", "replace_last_block"])
def test_a_folded_network_draws_the_same(
    kind: str, resolution: int | tuple, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = generator(kind, resolution, mode, noise_inputs=True).synthesis
    random = torch.Generator().manual_seed(0)
    ws = torch.randn(1, network.num_ws, 8, generator=random)
    motion_v = torch.randn(1, 5, network.motion.out_dim, generator=random)
    view = View.of(network.resolution, (41, 20), (3, 2, 31, 17))
    monkeypatch.setattr(folding, "_CPU_FEATURE_BYTES", 3 * 16 * 16 * 8 * 4)  # three frames at a time
    folded = FoldedSynthesis(network, ws[0])
    with torch.no_grad():
        for asked in (view, None):
            where = {} if asked is None else {"size": asked.size, "window": asked.window}
            expected = network.frames(ws, motion_v, noise_mode="const", **where)[0]
            torch.testing.assert_close(folded(motion_v[0], asked), expected, rtol=0, atol=1e-4)
        torch.testing.assert_close(
            folded.canvas(motion_v[0]).look(view),
            network.frames(ws, motion_v, noise_mode="const", size=view.size, window=view.window)[0],
            rtol=0,
            atol=1e-4,
        )


def test_under_autocast_features_alone_are_rounded() -> None:
    network = generator("conv", 32).synthesis
    random = torch.Generator().manual_seed(0)
    ws, motion_v = (torch.randn(*shape, generator=random) for shape in ((8, 8), (4, network.motion.out_dim)))
    ws = ws[: network.num_ws] if len(ws) >= network.num_ws else ws.repeat(2, 1)[: network.num_ws]
    view = View.of((32, 32), (50, 50))
    exact = FoldedSynthesis(network, ws)(motion_v, view)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = FoldedSynthesis(network, ws)(motion_v, view)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.1 * exact.abs().max()


TIMES = torch.arange(0, 7, dtype=torch.float64) * 1.7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("videos", [(3,), (3, 7)])
@pytest.mark.parametrize("settings", [{}, {"time_conditioning": "concat_w"}])
def test_chunks_of_any_size_show_the_same_views(kind: str, videos: tuple, settings: dict) -> None:
    network = generator(kind, **settings)
    latents, where = rendering.draw_latents(network, 0, videos), {"size": (37, 50), "window": (5, 6, 25, 41)}
    whole, parts, crop = (
        torch.cat(list(rendering.render_float(network, latents, TIMES, chunk=chunk, **view)), dim=1)
        for chunk, view in ((1000, where), (2, where), (16, {"size": (37, 50)}))
    )
    assert whole.shape == (len(videos), 7, 3, 20, 35)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-4)
    torch.testing.assert_close(crop[..., 5:25, 6:41], whole, rtol=0, atol=1e-4)


def test_large_views_come_in_smaller_chunks() -> None:
    network = generator("conv")
    latents = rendering.draw_latents(network, 0, (3,))
    parts = [len(part[0]) for part in rendering.render(network, latents, TIMES, chunk=4, size=(32, 32))]
    assert parts == [1] * 7
    assert [len(part[0]) for part in rendering.render(network, latents, TIMES, chunk=4, size=(9, 9))] == [4, 3]


def test_without_a_decoder_and_for_what_cannot_be_there_is_an_error_before_anything_is_drawn() -> None:
    plain, decoded = generator(None), generator("conv")
    latents = rendering.draw_latents(plain, 0, (3,))
    with pytest.raises(InputError, match="no decoder"):
        rendering.render(plain, latents, TIMES, size=(20, 20))
    with pytest.raises(InputError, match="inside of 20 x 20"):
        rendering.render(decoded, latents, TIMES, size=(20, 20), window=(0, 0, 21, 5))
    with pytest.raises(InputError, match="times"):
        rendering.render(decoded, latents, -1 - TIMES, size=(20, 20))
