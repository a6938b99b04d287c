"""Clips by x264 and x265: what comes back, and what is counted."""

from __future__ import annotations

import io

import av
import pytest
import torch
from torch import Tensor

from benchmarks.rates import anchors
from benchmarks.rates.anchors import ENCODERS, anchor_points, read_stream, write_stream
from datasets.acceptance_video import acceptance_video


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return acceptance_video(4, (64, 64))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_better_settings_cost_more_and_give_more(frames: Tensor, encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "CRFS", (4, 40))
    fine, coarse = anchor_points(frames, encoder, "yuv444p")
    assert fine.psnr > coarse.psnr + 6 and fine.payload_bits > 2 * coarse.payload_bits
    assert 0 < fine.container_bits < 8 * 2000
    (half, _) = anchor_points(frames, encoder, "yuv420p")
    assert half.psnr < fine.psnr - 3  # colour changes from pixel to pixel here


@pytest.mark.parametrize(("encoder", "form"), ENCODERS.items())
def test_one_picture_stands_by_itself_and_nothing_tells_of_the_encoder(frames: Tensor, encoder: str, form: str) -> None:
    stream = write_stream(frames, encoder, "yuv420p", 30, form)
    assert b"x264 - core" not in stream and b"x265" not in stream
    assert stream == write_stream(frames, encoder, "yuv420p", 30, form)
    with av.open(io.BytesIO(stream), format=form) as video:
        assert [frame.key_frame for frame in video.decode(video=0)] == [True, False, False, False]
    assert read_stream(stream, form).shape == frames.shape and read_stream(stream, form).dtype == torch.uint8


def test_both_containers_hold_the_same_frames(frames: Tensor) -> None:
    stream, file = (write_stream(frames, "x264", "yuv444p", 20, form) for form in ("h264", "mp4"))
    assert torch.equal(read_stream(stream, "h264"), read_stream(file, "mp4"))
