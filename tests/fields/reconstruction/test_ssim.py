from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from errors import InputError
from fields.reconstruction.ssim import ms_ssim, ssim
from tests.fields.reconstruction.naive import ssim_map


def some_frames(count: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Smooth pictures and noisy copies."""
    noise = np.random.default_rng(1).random((count, 3, height, width))
    reference = torch.from_numpy(uniform_filter(noise, (0, 0, 5, 5))).float()
    return (reference + 0.05 * torch.randn(reference.shape)).clamp(0, 1), reference


def test_every_frame_is_the_paper_s_formula() -> None:
    result, reference = some_frames(3, 21, 17)
    direct = [
        np.mean([ssim_map(a, b) for a, b in zip(one.double().numpy(), other.double().numpy(), strict=True)])
        for one, other in zip(result, reference, strict=True)
    ]
    torch.testing.assert_close(ssim(result, reference), torch.tensor(direct), atol=2e-5, rtol=0)


def test_constant_frames_follow_the_closed_form() -> None:
    one, other = torch.full((1, 3, 16, 16), 0.25), torch.full((1, 3, 16, 16), 0.75)
    luminance = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert float(ssim(one, other)[0]) == pytest.approx(luminance, abs=1e-3)
    assert float(ssim(one, one)[0]) == pytest.approx(1, abs=1e-6)


def test_it_is_symmetric_and_a_frame_does_not_change_another() -> None:
    result, reference = some_frames(4, 16, 20)
    whole = ssim(result, reference)
    torch.testing.assert_close(ssim(reference, result), whole)
    alone = torch.cat([ssim(result[i : i + 1], reference[i : i + 1]) for i in range(4)])
    assert torch.equal(alone, whole) and len(set(whole.tolist())) == 4


def test_a_caller_s_precision_does_not_matter() -> None:
    result, reference = some_frames(2, 20, 20)
    want = ssim(result, reference)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ssim(result, reference), want)
    assert torch.equal(ssim(result.double().requires_grad_(), reference.double()), want)


@pytest.mark.gpu
def test_a_graphics_card_gives_the_same_figures() -> None:
    result, reference = some_frames(2, 64, 64)
    found = ssim(result.cuda(), reference.cuda()).cpu()
    torch.testing.assert_close(found, ssim(result, reference), atol=1e-5, rtol=0)


def test_multi_scale_is_that_of_the_library_per_frame() -> None:
    result, reference = some_frames(2, 176, 180)
    found = ms_ssim(result, reference)
    theirs = multiscale_structural_similarity_index_measure(result, reference, data_range=1.0, reduction="none")
    torch.testing.assert_close(found, theirs.double(), atol=1e-6, rtol=0)
    assert (ms_ssim(reference, reference) > 1 - 1e-6).all() and (found < 0.999).all()


def test_smallest_frames() -> None:
    tiny = torch.rand(1, 3, 6, 6)
    assert float(ssim(tiny, tiny)[0]) == pytest.approx(1, abs=1e-6)
    with pytest.raises(InputError, match="ssim: frames of 5x9 are too small: it needs 6"):
        ssim(torch.rand(1, 3, 5, 9), torch.rand(1, 3, 5, 9))
    with pytest.raises(InputError, match="ms_ssim: frames of 200x175 are too small: it needs 176"):
        ms_ssim(torch.rand(1, 3, 200, 175), torch.rand(1, 3, 200, 175))
