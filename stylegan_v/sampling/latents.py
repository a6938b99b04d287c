"""Arithmetic of latents: whose content with whose motion, whose styles in which layers.

Shape legend
    N       videos
    L, D    layers that take a style, and the dimension of one
    K, Z    motion noise codes and the dimension of one
    C       dimension of the label
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stylegan_v.networks import Generator
from stylegan_v.networks.time_encoding import float64_device
from stylegan_v.rendering import MotionNoise, NoiseSource, VideoLatents, draw_latents


@dataclass(frozen=True)
class Video:
    """The address of a video: content, label and motion are functions of it.

    Attributes:
        seed: Of the sampling run.
        number: Of the video in that run, from 0.
    """

    seed: int
    number: int


@dataclass(frozen=True)
class Joined:
    """Motion noise of videos from several sources, one after the other.

    Attributes:
        parts: The sources.
    """

    parts: Sequence[NoiseSource]

    def window(self, first: int, num: int) -> Float[Tensor, "N K Z"]:
        """Noise codes first ... first + num - 1."""
        return torch.cat([part.window(first, num) for part in self.parts])


@dataclass(frozen=True)
class Chosen:
    """Motion noise of some of the videos of a source, in any order, also several times.

    Attributes:
        source: The noise of all of them.
        places: Theirs.
    """

    source: NoiseSource
    places: Sequence[int]

    def window(self, first: int, num: int) -> Float[Tensor, "N K Z"]:
        """Noise codes first ... first + num - 1."""
        return self.source.window(first, num)[list(self.places)]


def draw(
    generator: Generator,
    videos: Sequence[Video],
    motions: Sequence[Video] | None = None,
    c: Float[Tensor, "N C"] | None = None,
    truncation_psi: float = 1.0,
) -> VideoLatents:
    """Latents of videos, of one seed or of several.

    Args:
        generator: The network they are for; decides the device.
        videos: Whose content, and whose label where none is given.
        motions: Whose motion; None: their own.
        c: Labels; None draws classes where the generator has labels.
        truncation_psi: 1 leaves the styles, 0 replaces them by the mean style (of the class).
    """
    seeds, order = _by_seed(videos)
    parts = []
    for seed, places in seeds.items():
        own = None if c is None else c[places]
        parts.append(
            draw_latents(generator, seed, [videos[i].number for i in places], c=own, truncation_psi=truncation_psi)
        )
    labels = None if parts[0].c is None else torch.cat([part.c for part in parts])[order]
    noise = _noise(generator, videos if motions is None else motions)
    return VideoLatents(torch.cat([part.ws for part in parts])[order], noise, labels)


def mixed(
    ws: Float[Tensor, "N L D"], styles: Float[Tensor, "N L D"], layers: Collection[int]
) -> Float[Tensor, "N L D"]:
    """Styles of which some layers are taken from elsewhere (StyleGAN, section 3.1, "style mixing")."""
    taken = torch.tensor([layer in layers for layer in range(ws.shape[1])], device=ws.device)
    return torch.where(taken[:, None], styles, ws)


def matrix(latents: VideoLatents, num_columns: int, layers: Collection[int], *, parents: bool) -> VideoLatents:
    """Every video with some layers' styles of every other, row by row; motion and label are those of the row.

    Args:
        latents: Of the videos whose styles are taken, one per column, then of those that take them, one per row.
        num_columns: How many of them are columns.
        layers: Which layers.
        parents: Whether the columns' own videos come first, and each row begins with its own.
    """
    columns, rows = range(num_columns), range(num_columns, len(latents))
    content, style = [], []  # places: whose video, and whose styles in it
    if parents:
        content, style = [*columns], [*columns]
    for row in rows:
        own = [row] if parents else []
        content, style = content + [row] * (num_columns + len(own)), style + own + [*columns]
    c = None if latents.c is None else latents.c[content]
    return VideoLatents(mixed(latents.ws[content], latents.ws[style], layers), Chosen(latents.motion, content), c)


def _noise(generator: Generator, videos: Sequence[Video]) -> NoiseSource:
    seeds, order = _by_seed(videos)
    device, dim = float64_device(generator.mapping.w_avg.device), generator.synthesis.motion.z_dim
    parts = [
        MotionNoise(seed, torch.tensor([videos[i].number for i in places], device=device), dim)
        for seed, places in seeds.items()
    ]
    return parts[0] if len(parts) == 1 else Chosen(Joined(parts), order)


def _by_seed(videos: Sequence[Video]) -> tuple[dict[int, list[int]], list[int]]:
    """The places of videos by their seed, and where each video stands when these are joined."""
    seeds: dict[int, list[int]] = {}
    for place, video in enumerate(videos):
        seeds.setdefault(video.seed, []).append(place)
    joined = [place for places in seeds.values() for place in places]
    return seeds, sorted(range(len(joined)), key=joined.__getitem__)
