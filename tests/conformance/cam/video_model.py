"""FFNeRV with CAM, with CAM quantised while trained, and without: both heads, all gradients, flows and aggregation."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from fields import official
from fields.ffnerv import FFNeRV
from fields.ffnerv.aggregation import aggregate, blend, warp
from fields.ffnerv.network import NEIGHBOURS
from tests.conformance.recordings import Recording

EXACT = {"rtol": 1e-9, "atol": 1e-9}
GRADIENTS = {"rtol": 1e-5, "atol": 1e-5}  # recorded in float32
WARPED = {"rtol": 0, "atol": 1e-5}  # float32


def settings(data: Recording, name: str) -> dict[str, Any]:
    """The program's settings, of which the recording names some in pairs and the last in one text."""
    assert data.text(f"{name}/config")  # notes that it was read
    size, times, *pairs, rest = data.arrays[f"{name}/config"].tolist()
    words = rest.split()
    named = dict(zip(pairs[::2], pairs[1::2], strict=True)) | dict(zip(words[::2], words[1::2], strict=True))
    texts = ("conv_type", "act")
    values = {key: value if key in texts else json.loads(value) for key, value in named.items()}
    return {"fc_hw_dim": size, "t_dim": json.loads(times)} | values


def model(name: str, data: Recording) -> None:
    state = {key: value.double() for key, value in data.group(f"{name}/param").items()}
    network = official.ffnerv(settings(data, name), state)
    heads = network(data[f"{name}/t"])
    torch.testing.assert_close(heads.flow, data[f"{name}/flow_head"], **EXACT)
    torch.testing.assert_close(heads.frame, data[f"{name}/frame_head"], **EXACT)

    loss = (heads.flow * data[f"{name}/g_flow"]).sum() + (heads.frame * data[f"{name}/g_frame"]).sum()
    loss.backward()
    recorded = official.ffnerv(settings(data, name), {key: data[f"{name}/grad/{key}"] for key in state})
    by_name = dict(recorded.named_parameters())
    assert by_name.keys() == dict(network.named_parameters()).keys()
    for key, parameter in network.named_parameters():
        torch.testing.assert_close(
            parameter.grad.float(), by_name[key].data, **GRADIENTS, msg=lambda m, k=key: f"{k}: {m}"
        )


def resampling(name: str, data: Recording) -> None:
    frames, flow = data[f"{name}/feats"], data[f"{name}/flow"]
    torch.testing.assert_close(warp(frames, flow, official=True), data[f"{name}/out"], **WARPED)
    # What is ours differs by the mismatch alone: without flow the recorded way moves pixels, and ours none.
    torch.testing.assert_close(warp(frames, torch.zeros_like(flow)), frames, **WARPED)
    assert (warp(frames, torch.zeros_like(flow), official=True) - frames).abs().max() > 0.01


def aggregation(number: int, data: Recording) -> None:
    state = data.group("cam_w32/param")
    network = official.ffnerv(settings(data, "cam_w32"), dict(state))
    buffer, indices = data["agg/buffer"], data[f"agg/{number}/indices"]
    count = len(buffer)
    assert tuple(data["agg/offsets"].tolist()) == NEIGHBOURS
    expected = [number + offset if 0 <= number + offset < count else count for offset in NEIGHBOURS]
    assert indices[0].tolist() == expected

    heads = network(torch.tensor([number / count]))
    neighbours = torch.cat((buffer, torch.zeros_like(buffer[:1])))[indices]
    found = aggregate(neighbours, heads.flow, official=True)
    torch.testing.assert_close(found, data[f"agg/{number}/agg_frame"], **WARPED)
    final = blend(heads.independent, found, heads.frame[:, 3:])
    torch.testing.assert_close(final, data[f"agg/{number}/final"], **WARPED)

    field = FFNeRV((count, *buffer.shape[2:]), network, official_warp=True)
    field.independent = lambda numbers: torch.cat((buffer, torch.zeros_like(buffer[:1])))[indices]
    moment = torch.tensor([2 * (number + 0.5) / count - 1])
    torch.testing.assert_close(field.frames(moment), 2 * final - 1, rtol=0, atol=2e-5)


def aggregations(data: Recording) -> None:
    numbers = {int(key.split("/")[1]) for key in data.keys if key.startswith("agg/") and key.split("/")[1].isdigit()}
    assert numbers
    for number in sorted(numbers):
        aggregation(number, data)


SECTIONS: dict[str, Callable[[Recording], None]] = {
    **{name: partial(model, name) for name in ("cam_w32", "cam_w6_compact", "base_w32")},
    **{name: partial(resampling, name) for name in ("resample", "resample_same")},
    "agg": aggregations,
}
