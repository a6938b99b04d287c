from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from av.video.reformatter import VideoReformatter

from datasets.video_packets import decoded, opened, upright


def test_one_reformatter_gives_what_one_for_each_frame_does(encode: Callable[..., Path], tmp_path: Path) -> None:
    """Also where videos of several sizes and kinds of pixels share it."""
    kept = VideoReformatter()
    made = [("yuv420p", (64, 128)), ("yuv444p", (64, 128)), ("yuv420p", (36, 50)), ("gray", (64, 128))]
    for number, (pixels, size) in enumerate(made):
        with opened(encode(tmp_path / f"{number}.mkv", 4, pixels=pixels, size=size)) as (container, stream):
            for frame in decoded(container, stream):
                expected = frame.reformat(format="rgb24").to_ndarray()
                assert np.array_equal(upright(frame, reformatter=kept), expected)
                assert np.array_equal(upright(frame), expected)
                scaled = frame.reformat(width=30, height=20, format="rgb24").to_ndarray()
                assert np.array_equal(upright(frame, (20, 30), kept), scaled)
