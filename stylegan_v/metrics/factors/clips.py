"""Synthetic clips to learn from and to be judged on, each a function of (seed, use, number).

Sprites are those of `datasets.synthetic`, one or two of them, shown at a pace of half to twice their own that rises or
falls over the clip, forwards, reversed, shuffled or frozen. Scenes of training and of held-out clips have no seed in
common.

Shape legend
    B, T    clips, frames of a clip
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from datasets.synthetic import SpriteVideo
from stylegan_v.metrics.detectors.factors import FRAME_SIZE, NUM_FRAMES
from stylegan_v.metrics.factors.truth import ORDERS, Order, truth_of
from stylegan_v.noise import AddressedRandom

_SHARES = (0.4, 0.3, 0.15, 0.15)  # of the orders
_LAST_START = 240.0  # frames: the circles of all sprites are closed by then
_STEEPEST = 0.8  # change of pace, from the middle of a clip to its end


@dataclass(frozen=True)
class Batch:
    """Clips and what they show.

    Args:
        clips: Bytes, as a decoder would give them.
        truth: Targets by factor, each [B, ...].
    """

    clips: UInt8[Tensor, "B T 3 H W"]
    truth: dict[str, Tensor]


def draw_batch(seed: int, first: int, num: int, *, held_out: bool = False, plain: bool = False) -> Batch:
    """Clips number ``first`` and on.

    Args:
        seed: Of the training.
        first: Number of the first one.
        num: How many.
        held_out: Whether their scenes are those that training never shows.
        plain: Whether all run forwards from the beginning of their scenes, at a steady pace.
    """
    draws = AddressedRandom(seed, 0, "held out" if held_out else "training", torch.arange(first, first + num))
    u = {name: draws.uniform(name).numpy() for name in ("scene", "order", "begins", "start", "pace", "warp", "texture")}
    ranks = draws.uniform("shuffle", NUM_FRAMES).argsort(dim=1).numpy()
    made = [_draw_clip({k: float(v[i]) for k, v in u.items()}, ranks[i], held_out, plain) for i in range(num)]
    truth = {name: torch.from_numpy(np.stack([targets[name] for _, targets in made])) for name in made[0][1]}
    return Batch(torch.stack([clip for clip, _ in made]), truth)


def _draw_clip(
    u: dict[str, float], ranks: np.ndarray, held_out: bool, plain: bool
) -> tuple[Tensor, dict[str, np.ndarray]]:
    """One clip from uniform draws ``u`` and the ranks of its frames in case that it is shuffled."""
    video = SpriteVideo(
        seed=2 * int(u["scene"] * 2**31) + held_out,  # odd: held out
        num_frames=NUM_FRAMES,
        size=(FRAME_SIZE, FRAME_SIZE),
        radius=(0.15, 0.27),
        speed=(0.01, 0.035),
        texture=0.3 + 0.7 * u["texture"],
        scroll=0.03,
    )
    begins = plain or u["begins"] < 0.5
    order: Order = "forwards" if plain else ORDERS[int(np.searchsorted(np.cumsum(_SHARES), u["order"]))]
    warp = 0.0 if plain else _STEEPEST * (2 * u["warp"] - 1)
    times = (0.0 if begins else _LAST_START * u["start"]) + 2.0 ** (2 * u["pace"] - 1) * _warped(warp)
    times = _ordered(times, order, ranks)
    return video.read(times), truth_of(video.factors(times), FRAME_SIZE, order, begins)


def _warped(warp: float) -> Float64[np.ndarray, " T"]:
    """Times from 0 to T - 1 whose pace goes evenly from 1 - ``warp`` to 1 + ``warp``."""
    t = np.arange(NUM_FRAMES, dtype=np.float64)
    return t + warp * (t * t / (NUM_FRAMES - 1) - t)


def _ordered(times: Float64[np.ndarray, " T"], order: Order, ranks: np.ndarray) -> Float64[np.ndarray, " T"]:
    """Times in the order in which they are shown."""
    if order == "reversed":
        return times[::-1].copy()
    if order == "shuffled":
        return times[ranks]
    return np.full_like(times, times[ranks[0]]) if order == "frozen" else times
