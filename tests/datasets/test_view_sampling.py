from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from datasets.collection import RenderedVideos
from datasets.datamodule import VideoFolder
from datasets.frame_sampling import RandomSpans
from datasets.synthetic import SpriteVideo
from datasets.view_sampling import ClipView, ViewLaw, patch_share, scale_limits, scale_shares, surrounded
from errors import InputError
from tests.datasets.written import write


def drawn(law: ViewLaw, num: int, limit: float = 10.0, resolution: tuple[int, int] = (64, 96)) -> list[ClipView]:
    return [law.draw(np.random.default_rng([3, n]), resolution, limit) for n in range(num)]


def test_half_of_the_views_are_whole_native_frames() -> None:
    native = [view.native((64, 96)) for view in drawn(ViewLaw(), 2000)]
    assert abs(np.mean(native) - 0.5) < 0.04
    assert all(view.native((64, 96)) for view in drawn(ViewLaw(native_share=1), 50))


def test_the_logarithm_of_the_scale_is_uniform_between_its_ends() -> None:
    scales = np.array([view.scale((64, 96)) for view in drawn(ViewLaw((1, 4), native_share=0), 2000)])
    found = np.log2(scales) / 2
    assert found.min() >= -0.01 and found.max() <= 1.01
    assert np.abs(np.histogram(found, 4, (0, 1))[0] / 2000 - 0.25).max() < 0.035


def test_patches_have_the_resolution_and_lie_anywhere_inside() -> None:
    views = drawn(ViewLaw((1.5, 3), native_share=0), 500)
    for view in views:
        y0, x0, y1, x1 = view.window
        assert (y1 - y0, x1 - x0) == (64, 96)
        assert y0 >= 0 and y1 <= view.size[0] and x0 >= 0 and x1 <= view.size[1]
    centres = np.array([view.facts((64, 96))[1:] for view in views])
    assert abs(centres.mean()) < 0.05
    assert any(view.window[:2] == (0, 0) or view.window[0] == 0 for view in views), "the border is seen"


def test_below_native_all_of_the_frame_is_seen() -> None:
    for view in drawn(ViewLaw((0.5, 0.9), native_share=0), 50):
        assert view.window == (0, 0, *view.size)
        assert view.facts((64, 96))[0] < 0


def test_shifts_are_below_a_cell_and_differ_along_the_axes() -> None:
    shifts = np.array([view.shift for view in drawn(ViewLaw(native_share=0), 500)])
    assert np.abs(shifts).max() <= 0.5 and np.abs(shifts).max() > 0.45
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.15
    assert not np.any([view.shift for view in drawn(ViewLaw(native_share=0, shift=0), 5)])


def test_a_video_limits_the_scale() -> None:
    law = ViewLaw((1, 4))
    assert law.range(2.5) == (1, 2.5) and law.range(8) == (1, 4) and law.range(0.7) == (1, 1)
    assert max(view.scale((64, 96)) for view in drawn(law, 200, limit=1.5)) <= 1.51


def test_a_draw_takes_as_many_numbers_whatever_it_gives() -> None:
    nexts = set()
    for share in (0, 1):
        rng = np.random.default_rng(0)
        ViewLaw(native_share=share).draw(rng, (64, 96), 2)
        nexts.add(rng.uniform())
    assert len(nexts) == 1


def test_facts_are_the_log_of_the_scale_and_the_centre() -> None:
    view = ClipView((128, 128), (0, 64, 64, 128))
    assert view.facts((64, 64)) == (1.0, -0.5, 0.5)
    assert ClipView.whole((64, 64)).facts((64, 64)) == (0, 0, 0)


def test_without_larger_videos_half_to_full_size_are_trained_and_said(caplog: pytest.LogCaptureFixture) -> None:
    law = ViewLaw((1, 4), 0.25, 0.1)
    assert law.within(np.array([0.5, 1.2])) is law
    with caplog.at_level(logging.WARNING):
        small = law.within(np.array([0.5, 1.0]))
    assert (small.scales, small.native_share, small.shift) == ((0.5, 1), 0.25, 0.1)
    assert len(caplog.records) == 1 and "0.5 to 1" in caplog.text
    asked = ViewLaw((0.75, 1.0))
    assert asked.within(np.array([0.5, 1.0])) is asked, "what no video limits stays as it was asked for"


def test_limits_follow_the_shape_that_is_cut_out() -> None:
    videos = RenderedVideos(SpriteVideo, 0, 3, 8, (16, 32), scales=(1, 2.5))
    assert videos.sizes.tolist() == [[16, 32], [40, 80], [16, 32]]
    assert scale_limits(videos, (16, 16)).tolist() == [1, 2.5, 1]
    assert [videos.open(i).size for i in range(3)] == [(16, 32), (40, 80), (16, 32)]


def test_files_of_mixed_sizes_are_each_seen_up_to_their_own_pixels(tmp_path: Path) -> None:
    """Blue is a ramp over the whole width: how steep it is in a clip tells the scale at which the clip was cut."""
    widths = {"large": 128, "small": 20, "middle": 48}
    for name, width in widths.items():
        ramp = torch.linspace(0, 255, width).round().to(torch.uint8)
        write(tmp_path / name, ramp.expand(4, 3, width, width))
    data = VideoFolder(
        tmp_path,
        32,
        RandomSpans(2, max_num_frames=4),
        6,
        num_workers=0,
        views=ViewLaw((1, 4), native_share=0.25, shift=0),
        cache_dir=tmp_path / "cache",
    )
    data.setup("fit")
    assert sorted(data.scale_limits.tolist()) == [20 / 32, 48 / 32, 4.0]
    clips, scales = data.clips(), []
    for key in [(update, n) for update in range(8) for n in range(6)]:
        item = clips[key]
        video, scale = clips.video_at(6 * key[0] + key[1]), 2 ** float(item["view"][0])
        scales.append((video, scale))
        slope = item["clip"][0, 2, 16, 4:-4].float().diff().mean()
        assert float(slope) == pytest.approx(255 / (32 * scale), rel=0.1)
    for video, limit in enumerate(data.scale_limits.tolist()):
        mine = [scale for number, scale in scales if number == video]
        assert min(mine) == 1 and max(mine) <= max(1.0, limit) + 0.02
    assert max(scale for _, scale in scales) > 2


def test_surroundings_are_the_mirror_image() -> None:
    frames = torch.rand(2, 3, 9, 12)
    assert torch.equal(surrounded(frames, (16, 20)), F.pad(frames, (4, 4, 3, 4), mode="reflect"))
    assert surrounded(frames, (9, 12)) is frames


def test_the_share_of_a_patch_is_that_of_its_pixels() -> None:
    facts = torch.tensor([[0.0, 0, 0], [2, 0, 0], [-1, 0, 0], [math.log2(0.7), 0, 0]])
    assert patch_share(facts).tolist() == pytest.approx([1, 1, 0.25, 0.49])


def test_clips_are_counted_by_scale() -> None:
    scales = torch.tensor([0.5, 0.9, 1.0, 1.0, 1.01, 2.0, 3.0, 4.0, 5.0, 64.0])
    shares = scale_shares(torch.stack([scales.log2(), torch.zeros(10), torch.zeros(10)], dim=1))
    assert {name: round(10 * share.item()) for name, share in shares.items()} == {
        "below_1": 2,
        "1": 2,
        "to_2": 2,
        "to_4": 2,
        "above_4": 2,
    }


@pytest.mark.parametrize("scales", [(0.4, 1), (2, 1), (1, 100)])
def test_scales_that_cannot_be_are_refused(scales: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"views\.scales"):
        ViewLaw(scales)


@pytest.mark.parametrize("settings", [{"native_share": 1.5}, {"shift": -0.1}])
def test_shares_that_cannot_be_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="native_share"):
        ViewLaw(**settings)
