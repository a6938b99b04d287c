"""Clips with known motion, as closed forms of time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Track = Callable[[np.ndarray], np.ndarray]  # times [F] to a displacement in pixels, [F] along each axis asked for


def drifting(y: np.ndarray, x: np.ndarray, size: tuple[int, int] = (32, 32), seed: int = 0) -> np.ndarray:
    """A smooth pattern on a torus, displaced by (y, x) pixels, as floats [F, 3, H, W] in [-1, 1].

    Args:
        y: Displacement down of every frame, pixels.
        x: Likewise to the right.
        size: Height and width.
        seed: Of the pattern.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(size[0])[None, :, None] - np.asarray(y, dtype=np.float64)[:, None, None]
    columns = np.arange(size[1])[None, None, :] - np.asarray(x, dtype=np.float64)[:, None, None]
    clip = np.zeros((len(y), 3, *size))
    for _ in range(10):
        waves, phase, amplitude = rng.integers(-3, 4, size=2), rng.uniform(0, 2 * np.pi), rng.normal(size=3)
        wave = np.cos(2 * np.pi * (waves[0] * rows / size[0] + waves[1] * columns / size[1]) + phase)
        clip += amplitude[:, None, None] * wave[:, None]
    return clip / np.abs(clip).max()


def as_bytes(clip: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1] as uint8."""
    return (127.5 * clip + 128).clip(0, 255).astype(np.uint8)


def noise(num_frames: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> np.ndarray:
    """White noise, uint8 [F, 3, H, W]."""
    return np.random.default_rng(seed).integers(0, 256, size=(num_frames, 3, *size), dtype=np.uint8)


def still(num_frames: int) -> np.ndarray:
    """One noise frame all the time, uint8 [F, 3, 32, 32]."""
    return np.repeat(noise(1), num_frames, axis=0)
