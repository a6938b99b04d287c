from __future__ import annotations

from pathlib import Path

import pytest
import torch

from errors import InputError
from fields.reconstruction.measures import NAMES, Needs, open_measure, open_measures, parse_names
from fields.reconstruction.psnr import psnr
from fields.reconstruction.ssim import ssim


def test_names_are_taken_once_and_in_order() -> None:
    assert parse_names("ssim, psnr,ssim") == ["ssim", "psnr"]
    for text in ("psnr,pnsr", "", " , "):
        with pytest.raises(InputError, match="give some of psnr,ssim,ms_ssim,lpips,flip"):
            parse_names(text)


def test_what_lacks_something_is_named_and_the_others_are_ready(tmp_path: Path) -> None:
    measures, missing = open_measures(["psnr", "lpips", "ssim"], Needs(cache_dir=tmp_path))
    assert [measure.name for measure in measures] == ["psnr", "ssim"] and list(missing) == ["lpips"]
    assert str(tmp_path) in missing["lpips"]
    frames = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    assert torch.equal(measures[0].compute(*frames), psnr(*frames))
    assert torch.equal(measures[1].compute(*frames), ssim(*frames))


def test_nothing_to_compute_and_wrong_input_stop_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="alexnet-owt-7be5be79"):
        open_measures(["lpips"], Needs(cache_dir=tmp_path))
    with pytest.raises(InputError, match="ppd: 0"):
        open_measures(["psnr", "flip"], Needs(ppd=0.0))
    (tmp_path / "other.pth").write_bytes(b"other")
    with pytest.raises(InputError, match=r"other\.pth: .*another file"):
        open_measures(["psnr", "lpips"], Needs(lpips_weights=tmp_path / "other.pth"))


def test_distances_are_lower_when_better() -> None:
    assert not open_measure("psnr", Needs()).lower_is_better
    with pytest.raises(InputError, match="no such measure"):
        open_measure("fvd", Needs())
    assert NAMES == ("psnr", "ssim", "ms_ssim", "lpips", "flip")
