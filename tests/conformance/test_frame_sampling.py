"""Frame sampling against 20000 draws of the original (frame_sampling.json of a conformance set)."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from stylegan_v.official.settings import frame_sampler_config

DRAWS = 20000
RECORDING = Path(os.environ.get("CONFORMANCE_DATA", "tests/conformance/data")) / "stylegan_v" / "frame_sampling.json"


def _rows() -> list:
    rows = json.loads(RECORDING.read_text()) if RECORDING.exists() else []
    if not rows:
        reason = f"this conformance set has no {RECORDING.name}"
        return [pytest.param({}, id=RECORDING.name, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(row, id=" ".join([*row["overrides"], str(row["video_len"])])) for row in rows]


def _draw(row: dict) -> tuple[np.ndarray, int]:
    """Draws with the sampler of the row's overrides, [DRAWS, k], and the length of the stretch they come from."""
    node = frame_sampler_config(row["overrides"])
    module, name = node["class_path"].rsplit(".", 1)
    # As the command line does, which makes the list of a YAML file the tuple of the signature.
    init_args = {key: tuple(value) if isinstance(value, list) else value for key, value in node["init_args"].items()}
    sampler = getattr(importlib.import_module(module), name)(**init_args)
    # Of a longer video a window is chosen first, and times are counted from its start.
    length = min(row["video_len"], sampler.max_num_frames)
    rng = np.random.default_rng(0)
    return np.stack([sampler.sample(length, rng, fractional=row["fractional"]) for _ in range(DRAWS)]), length


@pytest.mark.parametrize("row", _rows())
def test_draws_are_distributed_as_the_original_s(row: dict) -> None:
    times, length = _draw(row)

    # Whatever the original does: sorted distinct times inside the video, whole distances.
    assert times.min() >= 0
    assert times.max() <= length - 1
    distances = np.diff(times).round()
    assert (distances >= 1).all()
    np.testing.assert_allclose(np.diff(times), distances, atol=1e-9)
    assert times.dtype == (np.float64 if row["fractional"] else np.int64)
    if "error" in row:  # the original fails here; ours has nothing to agree with
        return

    assert str(times.dtype) == row["dtype"]
    assert times.shape[1] == len(row["example"])
    spans, counts = np.unique((times[:, -1] - times[:, 0]).round(), return_counts=True)
    shares = dict(zip(spans.tolist(), counts / DRAWS, strict=True))
    assert shares.keys() == {float(span) for span in row["span_share"]}
    for span, share in row["span_share"].items():
        sigma = np.sqrt(2 * share * (1 - share) / DRAWS)  # both sides are draws
        assert abs(shares[float(span)] - share) <= 5 * sigma + 1e-4, span

    # The extremes of n draws from an interval of length L lie about L / n from its ends.
    margin = 25 * length / DRAWS if row["fractional"] else 0
    assert abs(times.min() - row["first_min"]) <= margin
    assert abs(times.max() - row["last_max"]) <= margin


@pytest.mark.parametrize(
    ("overrides", "class_name", "expected"),
    [
        ([], "RandomSpans", {"num_frames": 3, "max_distance": 32, "max_num_frames": 1024}),
        (
            ["dataset.max_num_frames=100", "sampling.max_dist=10"],
            "RandomSpans",
            {"max_distance": 10, "max_num_frames": 100},
        ),
        (["sampling.num_frames_per_video=4", "sampling=uniform"], "UniformSpacing", {"num_frames": 4}),
        (["sampling=random_1"], "RandomSpans", {"num_frames": 1, "spans": None}),
    ],
)
def test_sampler_follows_the_overrides(overrides: list[str], class_name: str, expected: dict) -> None:
    node = frame_sampler_config(overrides)
    assert node["class_path"] == f"datasets.frame_sampling.{class_name}"
    assert {key: node["init_args"][key] for key in expected} == expected
