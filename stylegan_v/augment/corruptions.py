"""What disturbs an image: band-wise filtering, additive noise, a missing rectangle (ADA, appendix B.2).

Shape legend
    N       images (clips, or frames where each has its own transform)
    C       their channels
    H, W    height and width
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stylegan_v.augment.axes import reflect
from stylegan_v.augment.draws import Draws
from stylegan_v.augment.linear import Separable, linear
from stylegan_v.augment.settings import Settings

# Autocorrelation of the wavelet sym2: a half-band filter; with alternating signs, the complementary high-pass.
_HALFBAND = (-1 / 32, 0.0, 9 / 32, 16 / 32, 9 / 32, 0.0, -1 / 32)
# Power of natural images per band: it falls with frequency as 1/f.
_EXPECTED_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)


@lru_cache(maxsize=1)
@torch.inference_mode(False)
def filter_bank() -> Float[Tensor, "4 43"]:
    """Four octave bands, lowest frequencies first, that add up to the identity."""
    lowpass = torch.tensor(_HALFBAND, dtype=torch.float64)
    highpass = lowpass * torch.tensor([-1, 1, -1, 1, -1, 1, -1])
    bands = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(3):
        # An octave up: all bands so far move down to the lower half of the spectrum, the upper half becomes a new one.
        spread = torch.zeros(len(bands), 2 * bands.shape[1] - 1, dtype=torch.float64)
        spread[:, ::2] = bands
        bands = F.conv1d(spread[:, None], lowpass[None, None], padding=6)[:, 0]
        margin = (bands.shape[1] - len(highpass)) // 2
        bands = torch.cat([bands, F.pad(highpass, (margin, margin))[None]])
    return bands


def band_filter(x: Float[Tensor, "N C H W"], settings: Settings, draws: Draws) -> Float[Tensor, "N C H W"]:
    """Amplifies octave bands of each image, along rows and columns, at constant expected power."""
    power = torch.tensor(_EXPECTED_POWER, dtype=torch.float64)
    gains = torch.ones(len(x), 4, dtype=torch.float64)
    for band in range(4):
        gain = torch.ones_like(gains)
        gain[:, band] = torch.exp2(settings.imgfilter_std * draws.gaussian(f"imgfilter{band}"))
        gains = gains * gain / (power * gain.square()).sum(1, keepdim=True).sqrt()
    taps = (gains @ filter_bank()).to(x.device, x.dtype, non_blocking=True)  # [N, 43]
    return linear(x, Separable(*(_reflected(taps, size) for size in x.shape[2:])))


def _reflected(taps: Float[Tensor, "N n"], size: int) -> Float[Tensor, "N size size"]:
    """A symmetric filter on an axis that continues by reflection, as a matrix for each image."""
    num_images, length = taps.shape
    offset = torch.arange(length, device=taps.device) - length // 2
    column = reflect(torch.arange(size, device=taps.device)[:, None] + offset, size)
    matrix = taps.new_zeros(num_images, size, size)
    return matrix.scatter_add_(2, column.expand(num_images, -1, -1), taps[:, None].expand(-1, size, -1))


def add_noise(
    x: Float[Tensor, "N C H W"], noise: Float[Tensor, "N C H W"], settings: Settings, draws: Draws
) -> Float[Tensor, "N C H W"]:
    """Adds standard normal ``noise`` times a half-normal factor of each image."""
    sigma = settings.noise_std * draws.gaussian("noise").abs()
    return x + noise.to(x.dtype) * sigma.to(x.device, x.dtype, non_blocking=True)[:, None, None, None]


def cut_out(x: Float[Tensor, "N C H W"], settings: Settings, draws: Draws) -> Float[Tensor, "N C H W"]:
    """Sets a rectangle around a uniform centre to zero; it may reach over the edge."""
    height, width = x.shape[2:]
    half = settings.cutout_size * draws.applied["cutout"][:, None] / 2

    def inside(name: str, size: int) -> Tensor:
        centre = (torch.arange(size, dtype=torch.float64) + 0.5) / size
        return ((centre - draws.uniform[name][:, None]).abs() < half).to(x.device, non_blocking=True)

    hole = inside("cutout_y", height)[:, :, None] & inside("cutout_x", width)[:, None, :]
    return x.masked_fill(hole[:, None], 0)
