from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from errors import InputError
from stylegan_v.metrics.detectors.interface import check_clips, check_probabilities, measuring


def test_rows_that_are_distributions_come_through() -> None:
    rows = torch.randn(5, 9).softmax(dim=1)
    assert check_probabilities(Path("a.pt"), rows) is rows


@pytest.mark.parametrize(
    "rows",
    [torch.tensor([[0.5, 0.6]]), torch.tensor([[1.5, -0.5]]), torch.tensor([[float("nan"), 1.0]]), torch.randn(4, 9)],
    ids=["sum", "negative", "nan", "logits"],
)
def test_rows_that_are_none_are_refused(rows: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"^a\.pt: .* no class probabilities"):
        check_probabilities(Path("a.pt"), rows)


def test_clips_are_bytes_and_long_enough() -> None:
    check_clips("net", torch.zeros(1, 4, 3, 8, 8, dtype=torch.uint8), 4)
    with pytest.raises(InputError, match="net: clips of 3 frames are too short: it needs 4"):
        check_clips("net", torch.zeros(1, 3, 3, 8, 8, dtype=torch.uint8), 4)
    for wrong in (torch.zeros(1, 4, 3, 8, 8), torch.zeros(4, 3, 8, 8, dtype=torch.uint8)):
        with pytest.raises(ValueError, match="features are of bytes"):
            check_clips("net", wrong, 4)


def test_measuring_leaves_the_settings_of_training_as_they_were() -> None:
    before = (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
    with torch.autocast("cpu", torch.bfloat16):
        with measuring(torch.device("cpu")):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
            assert not torch.is_grad_enabled()
            assert not torch.backends.cudnn.allow_tf32
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    after = (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)

    assert torch.is_grad_enabled()
    assert after == before


def test_flags_of_the_whole_process_are_changed_on_the_main_thread_alone() -> None:
    def flags() -> tuple[str, bool]:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic

    def inside() -> tuple[str, bool]:
        with measuring(torch.device("cpu")):
            return flags()

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with ThreadPoolExecutor(1) as beside:
            assert beside.submit(inside).result() == ("high", False)
        assert inside() == ("highest", True)
        assert flags() == ("high", False)
    finally:
        torch.set_float32_matmul_precision(before)
