"""The measures written out directly, one frame at a time, from their papers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import correlate, correlate1d
from torch import Tensor, nn


def windows(sigma: float, radius: int) -> np.ndarray:
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def ssim_map(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Wang et al. 2004, eq. 13, of one channel in [0, 1]; mirrored borders."""
    taps = windows(1.5, 5)

    def local(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, taps, axis=0, mode="mirror"), taps, axis=1, mode="mirror")

    mean, mean_other = local(one), local(other)
    var, var_other = local(one**2) - mean**2, local(other**2) - mean_other**2
    covariance = local(one * other) - mean * mean_other
    luminance = (2 * mean * mean_other + 0.01**2) / (mean**2 + mean_other**2 + 0.01**2)
    return luminance * (2 * covariance + 0.03**2) / (var + var_other + 0.03**2)


# The layers whose outputs are compared, by backbone (Zhang et al. 2018, appendix).
TAPS = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29), "squeeze": (1, 4, 7, 9, 10, 11, 12)}


def lpips(one: Tensor, other: Tensor, layers: nn.Sequential, linear: Mapping[str, Tensor], net: str) -> float:
    """Zhang et al. 2018, eq. 1, of two frames [3, H, W] in [0, 1]."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x = torch.stack((one, other)).mul(2).sub(1)
    x = (x - shift[:, None, None]) / scale[:, None, None]
    total = 0.0
    for index, layer in enumerate(layers[: TAPS[net][-1] + 1]):
        x = layer(x)
        if index in TAPS[net]:
            unit = F.normalize(x, dim=1, eps=1e-12)
            weights = linear[f"lin{TAPS[net].index(index)}.model.1.weight"].flatten()
            total += float((weights[:, None] * (unit[0] - unit[1]).square().flatten(1)).sum(dim=0).mean())
    return total


# FLIP, Andersson et al. 2020. Images are [H, W, 3].
TO_XYZ = np.array(
    [
        [10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794],
        [2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897],
        [1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382],
    ]
)
WHITE = TO_XYZ.sum(axis=1)


def linear_light(image: np.ndarray) -> np.ndarray:
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def opponent(image: np.ndarray) -> np.ndarray:
    """Linear RGB to YyCxCz."""
    x, y, z = np.moveaxis(image @ TO_XYZ.T / WHITE, -1, 0)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def from_opponent(image: np.ndarray) -> np.ndarray:
    y = (image[..., 0] + 16) / 116
    xyz = np.stack((image[..., 1] / 500 + y, y, y - image[..., 2] / 200), axis=-1) * WHITE
    return xyz @ np.linalg.inv(TO_XYZ).T


def hunt_lab(image: np.ndarray) -> np.ndarray:
    """Linear RGB to L*a*b*, chroma scaled by lightness."""
    xyz = image @ TO_XYZ.T / WHITE
    edge = 6 / 29
    x, y, z = np.moveaxis(np.where(xyz > edge**3, np.cbrt(xyz), xyz / (3 * edge**2) + 4 / 29), -1, 0)
    light = 116 * y - 16
    return np.stack((light, 0.01 * light * 500 * (x - y), 0.01 * light * 200 * (y - z)), axis=-1)


def hyab(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    difference = one - other
    return np.abs(difference[..., 0]) + np.hypot(difference[..., 1], difference[..., 2])


def contrast_filtered(image: np.ndarray, ppd: float) -> np.ndarray:
    """Each opponent channel seen through the eye's contrast sensitivity (section 4.1.1)."""
    sums = (((1, 0.0047), (0, 1e-5)), ((1, 0.0053), (0, 1e-5)), ((34.1, 0.04), (13.5, 0.025)))
    radius = math.ceil(3 * math.sqrt(0.04 / (2 * math.pi**2)) * ppd)
    x = np.arange(-radius, radius + 1) / ppd
    square = x[:, None] ** 2 + x[None, :] ** 2
    seen = []
    for channel, terms in enumerate(sums):
        kernel = sum(a * math.sqrt(math.pi / b) * np.exp(-(math.pi**2) * square / b) for a, b in terms)
        seen.append(correlate(image[..., channel], kernel / kernel.sum(), mode="nearest"))
    return np.stack(seen, axis=-1)


def color_difference(one: np.ndarray, other: np.ndarray, ppd: float) -> np.ndarray:
    """Section 4.1, in [0, 1]."""
    seen = [from_opponent(contrast_filtered(opponent(image), ppd)).clip(0, 1) for image in (one, other)]
    found = hyab(hunt_lab(seen[0]), hunt_lab(seen[1])) ** 0.7
    largest = hyab(hunt_lab(np.array([0.0, 1, 0])), hunt_lab(np.array([0.0, 0, 1]))) ** 0.7
    knee = 0.4 * largest
    return np.where(found < knee, 0.95 / knee * found, 0.95 + (found - knee) / (largest - knee) * 0.05)


def balanced(kernel: np.ndarray) -> np.ndarray:
    """Positive weights that sum to 1, negative ones to -1."""
    return np.where(kernel > 0, kernel / kernel[kernel > 0].sum(), kernel / -kernel[kernel < 0].sum())


def feature_difference(one: np.ndarray, other: np.ndarray, ppd: float) -> np.ndarray:
    """Section 4.2: edges and points of the achromatic channel, in [0, 1]."""
    deviation = 0.5 * 0.082 * ppd
    radius = math.ceil(3 * deviation)
    x, y = np.meshgrid(np.arange(-radius, radius + 1), np.arange(-radius, radius + 1))
    bell = np.exp(-(x**2 + y**2) / (2 * deviation**2))
    found = []
    for kernel in (balanced(-x * bell), balanced((x**2 / deviation**2 - 1) * bell)):
        sizes = []
        for image in (one, other):
            grey = (opponent(image)[..., 0] + 16) / 116
            sizes.append(np.hypot(correlate(grey, kernel, mode="nearest"), correlate(grey, kernel.T, mode="nearest")))
        found.append(np.abs(sizes[0] - sizes[1]))
    return (np.maximum(*found) / math.sqrt(2)) ** 0.5


def flip_map(result: np.ndarray, reference: np.ndarray, ppd: float) -> np.ndarray:
    """LDR-FLIP of every pixel of two sRGB images in [0, 1]."""
    one, other = linear_light(result), linear_light(reference)
    return color_difference(one, other, ppd) ** (1 - feature_difference(one, other, ppd))
