"""PSNR of super-resolution over scales, beside that of bicubic enlargement: as figures, text and a curve.

Shape legend
    N       images
    H, W    height and width of a picture
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fields.psnr_protocols import Protocol
from fields.reconstruction.psnr import average_psnr

_SIZE = (640, 360)
_MARGIN = (58, 46, 16, 40)  # left, top, right, bottom
_INK, _GREY, _OURS, _BICUBIC = (40, 40, 40), (215, 215, 215), (30, 100, 200), (200, 70, 40)


@dataclass(frozen=True)
class ScaleScore:
    """What was measured at one scale.

    Args:
        scale: How many times smaller the small images were.
        source: Where they came from: "bicubic" or "paired".
        ours: PSNR of every image, dB.
        bicubic: That of Pillow's bicubic enlargement, dB.
    """

    scale: float
    source: str
    ours: Float64[Tensor, " N"]
    bicubic: Float64[Tensor, " N"]

    @property
    def means(self) -> tuple[float, float]:
        """Means over the images, exact ones left out: ours, and of bicubic enlargement."""
        return average_psnr(self.ours)[0], average_psnr(self.bicubic)[0]


@dataclass(frozen=True)
class ScaleScores:
    """What was measured of one state of a model.

    Args:
        protocol: Which pixels and values count.
        scores: Of the scales, in their order.
    """

    protocol: Protocol
    scores: tuple[ScaleScore, ...]

    @property
    def num_images(self) -> int:
        """How many images each figure is the mean of."""
        return len(self.scores[0].ours)

    def scalars(self) -> Iterator[tuple[str, float]]:
        """Curves for TensorBoard; each name says images, protocol and where the small images came from."""
        for score in self.scores:
            ours, bicubic = score.means
            name = f"{self.num_images}_images/{self.protocol}_of_{score.source}_lr/x{score.scale:g}"
            yield f"psnr/{name}", ours
            yield f"psnr_of_bicubic_enlargement/{name}", bicubic

    def record(self) -> dict[str, Any]:
        """All of it as plain values, for JSON; None where every image is exact."""
        scales = {}
        for score in self.scores:
            ours, bicubic = (value if math.isfinite(value) else None for value in score.means)
            scales[f"x{score.scale:g}"] = {"psnr": ours, "bicubic": bicubic, "lr": score.source}
        return {"protocol": self.protocol, "num_images": self.num_images, "scales": scales}

    def as_text(self) -> str:
        """A table, a line per scale."""
        lines = [f"PSNR (dB), protocol {self.protocol}, mean over {self.num_images} images"]
        lines.append(f"{'scale':>6} {'ours':>8} {'bicubic':>8} {'gain':>7}  low resolution from")
        for score in self.scores:
            ours, bicubic = score.means
            gain = f"{ours - bicubic:7.2f}"
            lines.append(f"{f'x{score.scale:g}':>6} {ours:8.2f} {bicubic:8.2f} {gain}  {score.source}")
        return "\n".join(lines)

    def curve(self, title: str = "") -> Image.Image:
        """PSNR over the scale, which is drawn logarithmically, ours and of bicubic enlargement.

        Args:
            title: What stands first in the picture.
        """
        picture = Image.new("RGB", _SIZE, "white")
        pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
        means = np.array([score.means for score in self.scores])
        finite = means[np.isfinite(means)]
        low, high = (math.floor(finite.min()), math.ceil(finite.max())) if finite.size else (0, 1)
        place = _Axes([score.scale for score in self.scores], low, max(high, low + 1))
        pen.text((_MARGIN[0], 6), f"{title}  PSNR, {self.protocol}, {self.num_images} images".strip(), _INK, font)
        place.draw(pen, font)
        for column, (name, color) in enumerate((("ours", _OURS), ("bicubic", _BICUBIC))):
            pen.text((_MARGIN[0] + 80 * column, 24), name, color, font)
            points = [place(score.scale, value) for score, value in zip(self.scores, means[:, column], strict=True)]
            shown = [point for point in points if point is not None]
            pen.line(shown, fill=color, width=2)
            for x, y in shown:
                pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)
        return picture


class _Axes:
    """Where scales and decibels lie in the picture."""

    def __init__(self, scales: Sequence[float], low: float, high: float) -> None:
        self.scales, self.low, self.high = scales, low, high
        self.left, self.top, self.right, self.bottom = (
            _MARGIN[0],
            _MARGIN[1],
            _SIZE[0] - _MARGIN[2],
            _SIZE[1] - _MARGIN[3],
        )

    def __call__(self, scale: float, value: float) -> tuple[float, float] | None:
        if not math.isfinite(value):
            return None
        first, last = math.log(min(self.scales)), math.log(max(self.scales))
        along = (math.log(scale) - first) / (last - first) if last > first else 0.5
        up = (value - self.low) / (self.high - self.low)
        return self.left + along * (self.right - self.left), self.bottom - up * (self.bottom - self.top)

    def draw(self, pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
        for value in np.linspace(self.low, self.high, 5):
            y = self(self.scales[0], value)[1]
            pen.line((self.left, y, self.right, y), fill=_GREY)
            pen.text((self.left - 6, y), f"{value:.4g}", _INK, font, anchor="rm")
        for scale in self.scales:
            x = self(scale, self.low)[0]
            pen.line((x, self.top, x, self.bottom), fill=_GREY)
            pen.text((x, self.bottom + 6), f"x{scale:g}", _INK, font, anchor="ma")


def side_by_side(images: Sequence[UInt8[np.ndarray, "H W 3"]], side: int = 256) -> UInt8[np.ndarray, "u v 3"]:
    """The middles of pictures of one size, with white between them.

    Args:
        images: At least one.
        side: Largest height and width of each middle.
    """
    height, width = images[0].shape[:2]
    rows, columns = (slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side) for n in (height, width))
    middles = [image[rows, columns] for image in images]
    gap = np.full((middles[0].shape[0], 4, 3), 255, dtype=np.uint8)
    return np.concatenate([part for middle in middles for part in (middle, gap)][:-1], axis=1)


def to_bytes(image: Tensor) -> UInt8[np.ndarray, "H W 3"]:
    """A picture ``[3, H, W]`` in [0, 1] as 8 bits."""
    return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
