from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from fields.upscaling.views import Zoom
from stylegan_v import rendering
from stylegan_v.cost.counting import LiveTensors
from stylegan_v.networks import Generator
from stylegan_v.networks.decoder import View
from stylegan_v.rendering import draw_latents
from stylegan_v.sampling.blending import Journey, draw_travel, travel
from stylegan_v.sampling.framing import Framing
from stylegan_v.sampling.looking import draw_videos, look
from tests.stylegan_v.networks.decoded import KINDS, generator

T = torch.tensor([0.0, 3.25, 9.0, 10.0, 11.5], dtype=torch.float64)
PATH = (Zoom(0.5, 0.5, 1.0), Zoom(0.3, 0.7, 5.0))


def shown(
    network: Generator,
    videos: Sequence[int],
    views: Sequence[View],
    chunk: int = 4,
    tile: int | None = None,
    t: Tensor = T,
) -> Tensor:
    draw = draw_videos(network, draw_latents(network, 0, videos))
    return torch.cat(list(look(draw, len(videos), t, views, chunk, tile)), dim=1).int()


@pytest.mark.parametrize("videos", [[3], [0, 2]])
@pytest.mark.parametrize("size", [(16, 16), (40, 24), (9, 30), (7, 5)])
def test_frames_of_any_size_are_those_of_rendering(videos: list[int], size: tuple[int, int]) -> None:
    network = generator()
    expected = rendering.render(network, draw_latents(network, 0, videos), T, size=size)
    frames = shown(network, videos, [View.of((16, 16), size)] * len(T))
    assert (frames - torch.cat(list(expected), dim=1)).abs().max() <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", [(), (Zoom(0.3, 0.7, 3.0),)])
def test_tiles_equal_the_whole(kind: str, path: tuple[Zoom, ...]) -> None:
    network = generator(kind)
    for shape, tile in {(27, 21): 16, (9, 40): 15, (11, 10): 7}.items():  # above native, on one side, below on both
        views = [Framing((16, 16), shape, path).view(0, 1)] * 2
        whole = shown(network, [1], views, t=T[:2])
        assert (shown(network, [1], views, tile=tile, t=T[:2]) - whole).abs().max() <= 1
        assert whole.float().std() > 10


def bytes_of_tiles(network: Generator, side: int, tile: int) -> int:
    """That are alive at most while a frame is drawn, those of the finished frame left out."""
    draw, views = draw_videos(network, draw_latents(network, 0, [3])), [View.of((16, 16), (side, side))]
    with LiveTensors() as live:
        for frames in look(draw, 1, T[:1], views, 4, tile):
            assert frames.shape == (1, 1, 3, side, side)
    return live.peak - 3 * side**2


@pytest.mark.parametrize("kind", KINDS)
def test_in_tiles_nothing_but_the_frame_of_bytes_grows_with_its_size(kind: str) -> None:
    network = generator(kind)
    small, large = (bytes_of_tiles(network, side, 48) for side in (96, 144))
    assert large <= 1.02 * small
    assert bytes_of_tiles(network, 144, 144) > 1.5 * large, "what tiles save can be seen"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_of_2048_pixels_takes_the_memory_of_one_of_512(kind: str) -> None:
    network = generator(kind)
    assert bytes_of_tiles(network, 2048, 128) <= 1.02 * bytes_of_tiles(network, 512, 128)


@pytest.mark.parametrize("videos", [[3], [3, 7]])
def test_the_backbone_draws_a_frame_once_however_many_tiles_there_are(
    videos: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, drawn = generator(), []
    prepare = type(network.decoder).prepare
    monkeypatch.setattr(type(network.decoder), "prepare", lambda *given: drawn.append(len(given[1])) or prepare(*given))
    shown(network, videos, [View.of((16, 16), (40, 24))] * len(T), tile=8)
    assert sum(drawn) == len(videos) * len(T)


@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_frames_of_a_path_equal_single_zooms(chunk: int) -> None:
    network = generator()
    framing = Framing((16, 16), (20, 28), PATH)
    views = [framing.view(i, len(T)) for i in range(len(T))]
    frames = shown(network, [0, 1], views, chunk)
    assert len(set(views)) == len(T)
    for i, view in enumerate(views):
        factor = view.size[0] / 20
        centre = ((view.shift[1] + 14) / view.size[1], (view.shift[0] + 10) / view.size[0])
        single = [View.zoomed((16, 16), (20, 28), centre, factor)] * len(T)
        assert (frames[:, i] - shown(network, [0, 1], single)[:, i]).abs().max() <= 1
    assert (frames[:, 1] - frames[:, -1]).abs().max() > 20


def test_a_part_shows_what_the_whole_shows_there() -> None:
    network = generator()
    whole = shown(network, [2], [View.of((16, 16), (64, 48))] * len(T))
    part = shown(network, [2], [View.zoomed((16, 16), (16, 12), (0.5, 0.25), 4)] * len(T))
    assert (part - whole[..., 8:24, 18:30]).abs().max() <= 1


def test_memory_is_for_a_few_frames_that_are_larger_than_native() -> None:
    network = generator()
    draw = draw_videos(network, draw_latents(network, 0, [0]))
    parts = list(look(draw, 1, T, [View.of((16, 16), (32, 32))] * len(T), 16))
    assert [part.shape[1] for part in parts] == [4, 1]


@pytest.mark.parametrize("what", ["content", "motion", "both"])
def test_journeys_are_seen_in_any_view(what: str) -> None:
    network = generator()
    keys, journey = draw_latents(network, 0, [3, 7]), Journey(2, 0, 12)
    native = torch.cat(list(travel(network, keys, journey, what)(T, 2)), dim=1).int()
    draw = draw_travel(network, keys, journey, what)
    same = torch.cat(list(look(draw, 1, T, [View.of((16, 16))] * len(T), 2)), dim=1).int()
    assert (same - native).abs().max() <= 1


def test_a_journey_from_a_video_to_itself_is_the_video_at_any_size() -> None:
    network = generator()
    draw = draw_travel(network, draw_latents(network, 0, [3, 3]), Journey(2, 0, 12), "both")
    views = [View.of((16, 16), (20, 26))] * len(T)
    large = torch.cat(list(look(draw, 1, T, views, 2, tile=12)), dim=1).int()
    assert (large - shown(network, [3], views)).abs().max() <= 1
