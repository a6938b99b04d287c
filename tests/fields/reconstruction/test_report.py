from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from errors import InputError
from fields.reconstruction.measures import Measure, Needs, open_measures
from fields.reconstruction.report import Reconstruction, as_report, compare, over_videos


def some_video(num_frames: int = 7, size: int = 24) -> tuple[Tensor, Tensor]:
    reference = torch.rand(num_frames, 3, size, size)
    noise = torch.randn(reference.shape) * torch.linspace(0.01, 0.3, num_frames)[:, None, None, None]
    return (reference + noise).clamp(0, 1), reference


def chunks(pair: tuple[Tensor, Tensor], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(pair[0].split(size), pair[1].split(size), strict=True)


def constant_errors(*errors: float) -> tuple[Tensor, Tensor]:
    reference = torch.zeros(len(errors), 3, 8, 8, dtype=torch.float64)
    return reference + torch.tensor(errors, dtype=torch.float64)[:, None, None, None], reference


PSNR, _ = open_measures(["psnr"], Needs())


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 50])
def test_any_chunk_gives_the_same_digits(chunk: int) -> None:
    video = some_video()
    measures, _ = open_measures(["psnr", "ssim", "flip"], Needs())
    whole, cut = compare("a", [video], measures), compare("a", chunks(video, chunk), measures)
    assert cut.record() == whole.record() and cut.num_frames == 7
    assert set(whole.frames) == {measure.name for measure in measures}


def test_averages_and_worst_frames() -> None:
    video = compare("a", [constant_errors(0.1, 0.01, 1, 0.001)], PSNR)
    np.testing.assert_allclose(video.frames["psnr"], [20, 40, 0, 60], atol=1e-9)
    assert video.mean("psnr") == pytest.approx(30)
    assert [index for index, _ in video.worst("psnr")] == [2, 0, 1]
    distances = Reconstruction("a", frames={"lpips": np.array([0.1, 0.3, 0.2, 0.3])})
    assert distances.worst("lpips", 2) == [(1, 0.3), (3, 0.3)]
    assert distances.num_exact == 0


def test_exact_frames_are_counted_and_json_can_hold_them() -> None:
    record = compare("a", [constant_errors(0, 0.1, 0)], PSNR).record()
    figures = json.loads(json.dumps(record, allow_nan=False))["figures"]["psnr"]
    assert figures["exact_frames"] == 2 and figures["mean"] == pytest.approx(20)
    assert figures["frames"][::2] == ["inf", "inf"]
    assert figures["psnr_of_mean_mse"] == pytest.approx(-10 * math.log10(0.01 / 3))


def test_mean_and_spread_over_videos_not_over_frames() -> None:
    videos = [
        compare("long", [constant_errors(*[0.1] * 9)], PSNR),  # 20 dB
        compare("short", [constant_errors(0.01)], PSNR),  # 40 dB
    ]
    found = over_videos(videos)["psnr"]
    assert found["mean"] == pytest.approx(30)
    assert found["std"] == pytest.approx(math.sqrt(200))
    assert (found["num_videos"], found["exact_videos"]) == (2, 0)
    assert over_videos(videos[:1])["psnr"]["std"] is None


def test_a_video_without_error_is_counted_apart() -> None:
    videos = [compare(name, [constant_errors(error)], PSNR) for name, error in (("a", 0.0), ("b", 0.1))]
    found = over_videos(videos)["psnr"]
    assert found["mean"] == pytest.approx(20) and found["exact_videos"] == 1 and found["std"] is None
    assert over_videos(videos[:1])["psnr"]["mean"] == "inf"


def test_a_measure_that_refuses_leaves_the_others() -> None:
    def refuses(result: Tensor, reference: Tensor) -> Tensor:
        raise InputError("too small for it")

    measures = [Measure("lpips", "none", refuses), *PSNR]
    video = compare("a", chunks(constant_errors(0.1, 0.1), 1), measures)
    assert video.missing == {"lpips": "too small for it"} and list(video.frames) == ["psnr"]
    report = as_report([video], measures, {"flip": "not installed"}, {"reference": "x", "result": "y"})
    assert report["missing"] == {"flip": "not installed"}
    assert report["videos"][0]["missing"] == video.missing and list(report["over_videos"]) == ["psnr"]
    assert report["lower_is_better"] == ["lpips"]


def test_progress_is_told_of_every_frame() -> None:
    told: list[int] = []
    compare("a", chunks(some_video(5), 2), PSNR, told.append)
    assert told == [2, 2, 1]


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="a: no frames"):
        compare("a", [], PSNR)
    with pytest.raises(InputError, match="cannot be compared"):
        compare("a", [(torch.zeros(2, 3, 8, 8), torch.zeros(1, 3, 8, 8))], PSNR)
    with pytest.raises(InputError, match="frames of one size"):
        compare("a", [constant_errors(0.1), (torch.zeros(1, 3, 8, 9), torch.zeros(1, 3, 8, 9))], PSNR)
    with pytest.raises(InputError, match="not finite"):
        compare("a", [(torch.full((1, 3, 8, 8), torch.nan), torch.zeros(1, 3, 8, 8))], PSNR)
