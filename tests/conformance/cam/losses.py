"""Losses, scores and rates of FFNeRV's training, which are those of NeRV's program."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fields.ffnerv.scores import inner_ms_ssim
from fields.nerv_training import inner_ssim, nerv_loss, rate_factor
from fields.reconstruction.psnr import psnr
from fields.reconstruction.ssim import ms_ssim
from tests.conformance.recordings import Recording

CLOSE = {"rtol": 1e-5, "atol": 1e-6}
NUM_EPOCHS, NUM_WARMUP, RATE = 300, 60, 5e-4  # what the recordings say of their rates


def losses(data: Recording) -> None:
    result, target = data["pred"], data["target"]
    l1, l2, ssim = F.l1_loss(result, target), F.mse_loss(result, target), inner_ssim(result, target)
    by_name: dict[str, Tensor] = {
        "L2": l2,
        "L1": l1,
        "SSIM": 1 - ssim,
        "Fusion1": 0.3 * l2 + 0.7 * (1 - ssim),
        "Fusion2": nerv_loss(result, target, 0.3),
        "Fusion3": 0.5 * l2 + 0.5 * (1 - ssim),
        "Fusion4": nerv_loss(result, target, 0.5),
        "Fusion5": 0.7 * l2 + 0.3 * (1 - ssim),
        "Fusion6": nerv_loss(result, target),
        "Fusion7": 0.7 * l2 + 0.3 * l1,
        "Fusion8": 0.5 * l2 + 0.5 * l1,
        "Fusion9": nerv_loss(result, target, 0.9),
    }
    assert by_name.keys() == data.group("loss").keys()
    for name, value in by_name.items():
        torch.testing.assert_close(value, data[f"loss/{name}"], **CLOSE, msg=lambda m, n=name: f"{n}: {m}")


def scores(data: Recording) -> None:
    # The program has one figure for all frames together, and repeats it.
    error = F.mse_loss(data["pred"], data["target"])
    torch.testing.assert_close((-10 * error.log10()).expand_as(data["psnr"]), data["psnr"], **CLOSE)
    same_error = (data["pred"] - data["target"]).square().mean((1, 2, 3))
    torch.testing.assert_close(psnr(data["pred"], data["target"]).float(), -10 * same_error.log10(), **CLOSE)


def multi_scale(data: Recording) -> None:
    result, target = data["ms/pred"] / 255, data["ms/target"] / 255
    torch.testing.assert_close(inner_ms_ssim(result, target)[None], data["ms/msssim"], rtol=0, atol=2e-5)
    # With mirrored borders it is another figure, close by.
    torch.testing.assert_close(ms_ssim(result, target).float()[None], data["ms/msssim"], rtol=0, atol=0.01)


def rates(data: Recording) -> None:
    found = [RATE * rate_factor(epoch, NUM_EPOCHS, NUM_WARMUP) for epoch in data["lr/epochs"].tolist()]
    torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), data["lr/values"], rtol=1e-9, atol=0)


SECTIONS: dict[str, Callable[[Recording], None]] = {"loss": losses, "psnr": scores, "ms": multi_scale, "lr": rates}
