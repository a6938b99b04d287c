"""The analytic scene of spheres, static and moving."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import normalize

from datasets.cameras import directions, focal_of
from datasets.sphere_scene import FOV_X, LIGHT, moments, spheres, take_views
from tests.conformance.recordings import Recording


def _views(recording: Recording, prefix: str) -> None:
    rgb, c2w, times = (recording[f"{prefix}/{key}"] for key in ("rgb", "c2w", "t"))
    moving = prefix == "dynamic"
    ours = take_views(len(rgb), tuple(rgb.shape[1:3]), moving)
    torch.testing.assert_close(ours.c2w, c2w, atol=1e-6, rtol=0)
    torch.testing.assert_close(moments(len(rgb), moving).float(), times, atol=1e-7, rtol=0)
    torch.testing.assert_close(ours.rgb, rgb, atol=2e-6, rtol=0)
    torch.testing.assert_close(ours.depth, recording[f"{prefix}/depth"], atol=5e-6, rtol=0)


def _rays(recording: Recording, prefix: str) -> None:
    recorded, c2w = recording[f"{prefix}/ray_d"], recording[f"{prefix}/c2w"]
    size = tuple(recorded.shape[1:3])
    focal = focal_of(float(recording["fov_x"]), size[1])
    for view, unit in enumerate(recorded):
        ours = normalize(directions(c2w[view], torch.arange(size[0] * size[1]), size, focal), dim=1)
        torch.testing.assert_close(ours.reshape_as(unit), unit, atol=5e-7, rtol=0)


def _static(recording: Recording) -> None:
    _views(recording, "static")


def _dynamic(recording: Recording) -> None:
    _views(recording, "dynamic")


def _settings(recording: Recording) -> None:
    assert float(recording["fov_x"]) == FOV_X
    torch.testing.assert_close(spheres(), recording["spheres_static"], atol=0, rtol=0)
    light = normalize(torch.tensor(LIGHT, dtype=torch.float64), dim=0)
    torch.testing.assert_close(light, recording["light"], atol=1e-12, rtol=0)


SECTIONS: dict[str, Callable[[Recording], None]] = {
    "settings": _settings,
    "static": _static,
    "dynamic": _dynamic,
    "static/ray_d": lambda recording: _rays(recording, "static"),
    "dynamic/ray_d": lambda recording: _rays(recording, "dynamic"),
}
