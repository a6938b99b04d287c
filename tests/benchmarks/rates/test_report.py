"""The report: what counts as failed, and what stands in tables and pictures."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.rates.clips import Clip
from benchmarks.rates.points import Point, Saving
from benchmarks.rates.report import ORIGINAL, RATE, RIVAL, as_json, as_markdown, as_png, failures, savings

CLIP = Clip("bunny", 0)


def curve(factor: float, container: int = 800) -> list[Point]:
    return [Point(30.0 + i, round(factor * 10_000 * 2 ** (i + i * i / 10)), container, {"crf": i}) for i in range(5)]


def curves(factor: float) -> dict[str, list[Point]]:
    worse = [replace(point, psnr=point.psnr - 0.2, payload_bits=point.payload_bits + 5) for point in curve(1.0)]
    return {"x264 yuv444p": curve(0.1), RIVAL: [*worse, *curve(1.0)], ORIGINAL: curve(1.2), RATE: curve(factor)}


def test_what_saves_enough_passes() -> None:
    found = {CLIP.name: savings(curves(0.6))}
    assert found[CLIP.name][RIVAL]["payload"].percent == pytest.approx(40.0, abs=0.01)
    assert found[CLIP.name]["x264 yuv444p"]["payload"].percent == pytest.approx(-500.0, abs=0.1)
    assert failures(found) == []


def test_the_mean_over_clips_decides() -> None:
    found = {"a": savings(curves(0.6)), "b": savings(curves(0.75))}
    assert failures(found) == []
    wrong = failures(found | {"c": savings(curves(0.8))})
    assert [line.split(":")[0] for line in wrong] == ["payload", "file"]
    assert "28.3 % are saved on average, not 30 %" in wrong[0]


def test_a_clip_without_a_figure_fails() -> None:
    apart = curves(0.1) | {RATE: [replace(point, psnr=point.psnr - 10) for point in curve(0.1)]}
    found = {"a": savings(curves(0.1)), "b": savings(apart)}
    assert all("no figure for b: no PSNR is reached by both" in line for line in failures(found))
    assert len(failures(found)) == 2


def test_without_the_codec_or_its_rival_nothing_fails() -> None:
    some = curves(0.9)
    without = [{name: one for name, one in some.items() if name != left} for left in (RATE, RIVAL)]
    assert savings(without[0]) == {} and failures({"a": savings(without[0])}) == []
    assert failures({"a": savings(without[1])}) == []
    assert "against" not in as_markdown({CLIP: without[0]})


def test_tables_and_json_hold_every_clip_and_all_points_that_count() -> None:
    given = {CLIP: curves(0.6), Clip("bikes", 76): curves(0.5)}
    report = json.loads(json.dumps(as_json(given, {"updates": 3})))
    assert len(report["clips"][CLIP.name]["curves"][RIVAL]) == 10  # all of a sweep
    first = report["clips"][CLIP.name]["curves"][RATE][0]
    assert first["bits_per_pixel"] == pytest.approx(6000 / 32 / 128**2) and first["container_bits"] == 800
    assert report["savings"]["bikes_0076_32x128"][RIVAL]["payload"]["percent"] == pytest.approx(50, abs=0.01)
    lines = as_markdown(given).splitlines()
    assert sum(f"| {RIVAL} | 3" in line for line in lines) == 2 * 5  # of a sweep the hull
    assert f"| mean | {RIVAL} | 45.0 % |" in "\n".join(lines)
    assert len({line.count("|") for line in lines[:9]}) == 1


def test_the_picture_shows_every_curve() -> None:
    whole, less = (np.array(Image.open(io.BytesIO(as_png({CLIP: given})))) for given in (curves(0.6), {RATE: curve(1)}))
    assert whole.shape == less.shape and whole.ndim == 3
    red = (whole[..., 0] > 180) & (whole[..., 1] < 80)
    blue = (whole[..., 2] > 150) & (whole[..., 0] < 80)
    assert red.sum() > 200 and blue.sum() > 200
    assert not ((less[..., 2] > 150) & (less[..., 0] < 80)).any()


def test_a_saving_says_where_it_holds() -> None:
    assert isinstance(savings(curves(0.6))[RIVAL]["file"], Saving)
    assert "40.0 % (30.0 to 34.0 dB, 100 % shared)" in as_markdown({CLIP: curves(0.6)})
