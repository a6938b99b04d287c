"""Exact, endless videos made on the fly from a seed: data for tests and for a first run, without a download.

A scene lives on a torus: what leaves the frame on one side enters on the other. Lengths are in units of the shorter
side of the frame, times in frames; everything is a closed form of time, so any time can be asked for, fractions
included, and the same seed shows the same scene at every resolution of the same shape.

Shape legend
    F       times asked for
    S       sprites
    H, W    height and width
    P       side of the patch that holds one sprite
"""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor

from datasets.shapes import REACH, SHAPES
from errors import InputError


class SyntheticVideo(ABC):
    """A video computed from a seed; a `Source` like a file, except that its times may be fractions.

    Args:
        seed: Decides everything that is seen.
        num_frames: Length that the video claims; any time can be read.
        size: Height and width in pixels.
        fps: Frames per second that the video claims.

    Attributes:
        num_classes: How many classes of videos there are, for conditional training.
        label: The class of this one.
    """

    num_classes: int = 1
    label: int = 0

    def __init__(self, seed: int, num_frames: int, size: tuple[int, int], fps: float = 25.0) -> None:
        if num_frames < 1 or min(size) < 1:
            raise InputError(f"num_frames, size: {num_frames} frames of {size[0]}x{size[1]} pixels make no video")
        self.seed, self.num_frames, self.size, self.fps = seed, num_frames, (size[0], size[1]), fps

    def __len__(self) -> int:
        return self.num_frames

    @abstractmethod
    def render(self, times: Float64[np.ndarray, " F"]) -> Float32[np.ndarray, "F H W 3"]:
        """The frames at ``times``, nominally in [0, 1]."""

    def read(self, times: Sequence[float] | np.ndarray) -> UInt8[Tensor, "F 3 H W"]:
        """The frames at ``times``, as a decoder would give them."""
        frames = self.render(np.asarray(times, dtype=np.float64))
        frames = (np.clip(frames, 0, 1) * 255 + 0.5).astype(np.uint8)
        return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Factors:
    """Ground truth of a sprite video at F times; lengths in pixels, colours in [0, 1] before the light.

    Args:
        positions: Centres of the sprites (y, x) in [0, H) x [0, W).
        angles: Orientation of the sprites in radians.
        radii: Sizes of the sprites: what a disc's radius would be.
        colours: The two colours of every sprite's texture.
        shapes: Index of every sprite's shape in `SHAPES`.
        scroll: Displacement of the background (y, x) since time 0.
        background: The two colours of the background's texture.
        light: Factor on all colours.
    """

    positions: Float64[np.ndarray, "F S 2"]
    angles: Float64[np.ndarray, "F S"]
    radii: Float64[np.ndarray, " S"]
    colours: Float32[np.ndarray, "S 2 3"]
    shapes: tuple[int, ...]
    scroll: Float64[np.ndarray, "F 2"]
    background: Float32[np.ndarray, "2 3"]
    light: Float64[np.ndarray, " F"]


@dataclass(frozen=True)
class _Sprite:
    """One moving object: where it starts, how it moves, what it looks like."""

    shape: int
    radius: float
    start: np.ndarray  # (y, x)
    speed: float
    heading: float
    turn: float  # radians per frame; 0 moves straight
    spin: float
    stripes: float  # periods of the texture over the radius
    colours: np.ndarray  # [2, 3]

    def position(self, times: np.ndarray) -> np.ndarray:
        """Unwrapped centre [F, 2]: the integral of a velocity whose direction turns at a constant rate."""
        turned = self.turn * times / 2
        # sin(x) / x keeps the straight line exact as the limit of the circle.
        travelled = self.speed * times * np.sinc(turned / np.pi)
        direction = self.heading + turned
        return self.start + travelled[:, None] * np.stack([np.sin(direction), np.cos(direction)], axis=1)


class SpriteVideo(SyntheticVideo):
    """Bright textured sprites that move straight or in circles over a darker, slowly scrolling background.

    Args:
        seed: Decides everything that is seen.
        num_frames: Length that the video claims; any time can be read.
        size: Height and width in pixels.
        fps: Frames per second that the video claims.
        max_sprites: The number of sprites is uniform in 1 ... max_sprites.
        radius: Smallest and largest radius of a sprite, in shorter sides of the frame; at most 0.3.
        speed: Smallest and largest speed of a sprite, in shorter sides per frame.
        turning: Share of the sprites that move in circles instead of straight on.
        texture: Strength of the textures in [0, 1]; 0 makes sprites and background plain.
        scroll: Largest speed of the background, in shorter sides per frame.
        light: Depth of the slow drift of the light, in [0, 1].
        num_shapes: How many of the shapes occur.
    """

    def __init__(
        self,
        seed: int,
        num_frames: int,
        size: tuple[int, int],
        fps: float = 25.0,
        max_sprites: int = 2,
        radius: tuple[float, float] = (0.17, 0.24),
        speed: tuple[float, float] = (0.012, 0.03),
        turning: float = 0.5,
        texture: float = 0.5,
        scroll: float = 0.012,
        light: float = 0.12,
        num_shapes: int = len(SHAPES),
    ) -> None:
        super().__init__(seed, num_frames, size, fps)
        if not 0 < radius[0] <= radius[1] <= 0.3:
            raise InputError(f"radius: {radius} is not an interval within (0, 0.3]; a sprite must fit into the frame")
        if max_sprites < 1 or not 1 <= num_shapes <= len(SHAPES):
            raise InputError(f"max_sprites, num_shapes: give at least 1 sprite and 1 to {len(SHAPES)} shapes")
        self.unit = min(self.size)
        self.extent = np.array(self.size) / self.unit
        rng = np.random.default_rng([seed & 0xFFFFFFFF, zlib.crc32(b"sprites")])

        # The background: two neighbouring dark colours, blended by a few waves that fit the torus.
        hue = rng.uniform()
        self.background = _colours(
            [hue, hue + texture * rng.uniform(-0.25, 0.25)], rng.uniform(0.35, 0.7), [0.5, 0.5 - 0.35 * texture]
        )
        self.waves = rng.permutation([(0, 1), (1, 0), (1, 1), (1, -1), (2, 1), (1, 2)])[:3]
        self.wave_phases = rng.uniform(0, 2 * np.pi, size=3)
        direction, pace = rng.uniform(0, 2 * np.pi), scroll * rng.uniform(0.4, 1)
        self.scroll = pace * np.array([np.sin(direction), np.cos(direction)])

        # The light: a slow sine.
        self.light, self.light_period, self.light_phase = light, rng.uniform(150, 400), rng.uniform(0, 2 * np.pi)

        # The sprites: hues spread over the part of the circle that the background leaves free.
        count = int(rng.integers(1, max_sprites + 1))
        hues = hue + rng.permutation(np.arange(1, count + 1)) / (count + 1) + rng.uniform(-0.15, 0.15, count) / count
        self.sprites = [
            _draw_sprite(rng, hue, self.extent, radius, speed, turning, texture, num_shapes) for hue in hues
        ]
        self.num_classes, self.label = num_shapes, self.sprites[-1].shape  # the foremost one

    def factors(self, times: Sequence[float] | np.ndarray) -> Factors:
        """What is shown at ``times``, exactly."""
        times = np.asarray(times, dtype=np.float64)
        positions = np.stack([sprite.position(times) for sprite in self.sprites], axis=1)
        return Factors(
            positions=positions % self.extent * self.unit,
            angles=np.stack([sprite.heading + sprite.spin * times for sprite in self.sprites], axis=1),
            radii=np.array([sprite.radius for sprite in self.sprites]) * self.unit,
            colours=np.stack([sprite.colours for sprite in self.sprites]),
            shapes=tuple(sprite.shape for sprite in self.sprites),
            scroll=times[:, None] * self.scroll * self.unit,
            background=self.background,
            light=1 + self.light * np.sin(2 * np.pi * times / self.light_period + self.light_phase),
        )

    def render(self, times: Float64[np.ndarray, " F"]) -> Float32[np.ndarray, "F H W 3"]:
        factors = self.factors(times)
        frames = self._render_background(factors.scroll)
        for i in range(len(self.sprites)):
            self._paint(frames, i, factors)
        frames *= factors.light[:, None, None, None].astype(np.float32)
        return frames

    def _render_background(self, scroll: Float64[np.ndarray, "F 2"]) -> Float32[np.ndarray, "F H W 3"]:
        """Two colours blended by a sum of waves cos(a + b) = cos a cos b - sin a sin b: one small product per frame."""
        height, width = self.size
        y = (np.arange(height) + 0.5 - scroll[:, :1]) / height  # [F, H]
        x = (np.arange(width) + 0.5 - scroll[:, 1:]) / width
        a = 2 * np.pi * y[:, :, None] * self.waves[:, 0] + self.wave_phases  # [F, H, waves]
        b = 2 * np.pi * x[:, :, None] * self.waves[:, 1]
        left = np.concatenate([np.cos(a), np.sin(a)], axis=2).astype(np.float32)
        right = np.concatenate([np.cos(b), -np.sin(b)], axis=2).astype(np.float32)
        blend = 0.5 + left @ right.transpose(0, 2, 1) / (2 * len(self.waves))
        return self.background[0] + blend[..., None] * (self.background[1] - self.background[0])

    def _paint(self, frames: Float32[np.ndarray, "F H W 3"], index: int, factors: Factors) -> None:
        """Blends one sprite into all frames; edges are one pixel wide, so that motion below a pixel is seen."""
        sprite, centre, radius = self.sprites[index], factors.positions[:, index], factors.radii[index]
        side = min(math.ceil(2 * REACH * radius) + 2, *self.size)
        pixels = np.floor(centre - side / 2 + 0.5).astype(np.int64)[:, None] + np.arange(side)[:, None]  # [F, P, 2]
        offset = ((pixels + 0.5 - centre[:, None]) / radius).astype(np.float32)
        rows, columns = (pixels % self.size).transpose(2, 0, 1)

        # Into the sprite's own axes.
        angle = factors.angles[:, index, None, None].astype(np.float32)
        y, x = offset[:, :, None, 0], offset[:, None, :, 1]
        along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x  # [F, P, P]

        # Colour, coverage, blend.
        blend = 0.5 + 0.5 * np.sin(2 * np.pi * sprite.stripes * along)
        colour = sprite.colours[0] + blend[..., None] * (sprite.colours[1] - sprite.colours[0])
        coverage = np.clip(0.5 - SHAPES[sprite.shape](across, along) * np.float32(radius), 0, 1)[..., None]
        where = (np.arange(len(frames))[:, None, None], rows[:, :, None], columns[:, None, :])
        under = frames[where]
        frames[where] = under + coverage * (colour - under)


def _draw_sprite(
    rng: np.random.Generator,
    hue: float,
    extent: np.ndarray,
    radius: tuple[float, float],
    speed: tuple[float, float],
    turning: float,
    texture: float,
    num_shapes: int,
) -> _Sprite:
    """A random sprite of a given hue."""
    turns = rng.uniform() < turning
    return _Sprite(
        shape=int(rng.integers(num_shapes)),
        radius=rng.uniform(*radius),
        start=rng.uniform(size=2) * extent,
        speed=rng.uniform(*speed),
        heading=rng.uniform(0, 2 * np.pi),
        turn=rng.choice([-1, 1]) * 2 * np.pi / rng.uniform(40, 90) * turns,
        spin=rng.uniform(-0.08, 0.08),
        stripes=rng.uniform(0.5, 0.8),
        colours=_colours([hue, hue + 0.12 * texture], rng.uniform(0.6, 0.9), [1.0, 1.0 - 0.7 * texture]),
    )


def _colours(hues: Sequence[float], saturation: float, values: Sequence[float]) -> Float32[np.ndarray, "n 3"]:
    """RGB of colours given as hue (1 is the whole circle), saturation and value."""
    distance = np.abs(np.asarray(hues)[:, None] * 6 + np.array([0, 4, 2])) % 6
    full = np.clip(np.abs(distance - 3) - 1, 0, 1)
    return (np.asarray(values)[:, None] * (1 - saturation * (1 - full))).astype(np.float32)


def waves_checker_disc(size: tuple[int, int] = (64, 64)) -> UInt8[np.ndarray, "H W 3"]:
    """A picture that fields are compared on: crossing waves, a chequered ground under half of it, a bright disc.

    Args:
        size: Height and width in pixels, at least 2 each.

    Raises:
        InputError: It would be smaller.
    """
    if min(size) < 2:
        raise InputError(f"size {size[0]}x{size[1]}: give at least 2 pixels on each side")
    v, u = ((np.arange(side) + 0.5) / side for side in size)
    v = v[:, None]
    red = 0.5 + 0.25 * np.sin(2 * np.pi * 5 * u) + 0.25 * np.sin(2 * np.pi * 3 * v)
    green = 0.5 + 0.5 * np.sin(2 * np.pi * (4 * u + 7 * v))
    blue = (np.floor(8 * u) + np.floor(8 * v)) % 2
    picture = np.stack(np.broadcast_arrays(red, green, blue), axis=-1)
    inside = (u - 0.6) ** 2 + (v - 0.45) ** 2 < 0.2**2
    picture = np.where(inside[..., None], np.array([0.9, 0.8, 0.2]), picture)
    return (picture * 255 + 0.5).astype(np.uint8)
