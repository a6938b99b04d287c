"""A decoder after NVP (Kim et al. 2022): planes of latents, which scale a small network of sines.

NVP learns the planes of one video. Here they are predicted: the plane over (y, x) from the style, of what stays in a
video; the lines over y and over x, which are what its planes with time are at a moment, from the time embedding. Each
is a mixture of bases that all videos share.

Shape legend
    N       frames
    C, h, w channels, height and width of the features
    Z       channels of a plane
    R       latents of a plane along an axis
    K       bases
    M, D    styles, B or N, and the dimension of one
    V       dimension of a time embedding
    Y, X    height and width of a window
"""

from __future__ import annotations

import math

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.modulation import LatentModulator
from fields.siren import Siren
from stylegan_v.networks.decoder import Decoder, DecoderInputs, Mode, Prepared
from stylegan_v.networks.decoders.gathering import between, read_columns, read_rows
from stylegan_v.networks.decoders.latent_layer import LatentLayer
from stylegan_v.networks.decoders.pace import Equalized
from stylegan_v.networks.view import View
from stylegan_v.ops.modulated_conv import per_image

_INITIAL_LATENT = 0.1  # standard deviation: NVP's 1e-4 would leave a generator without a signal


class PredictedPlane(nn.Module):
    """A map of latents as a mixture of bases.

    Args:
        in_dim: Width of what it is predicted from.
        shape: Latents along each axis, then channels.
        num_bases: K.
    """

    def __init__(self, in_dim: int, shape: tuple[int, ...], num_bases: int) -> None:
        super().__init__()
        self.mixture = Equalized(nn.Linear(in_dim, num_bases))
        self.bases = nn.Parameter(torch.randn(num_bases, *shape))

    def forward(self, x: Float[Tensor, "M _"]) -> Float[Tensor, "M ..."]:
        gain = _INITIAL_LATENT / math.sqrt(len(self.bases))
        return einsum(self.mixture(x), self.bases * gain, "m k, k ... -> m ...")


class NVPField(Decoder):
    """Sines of the place, scaled layer by layer by what latents of planes and features say there.

    Args:
        inputs: Sizes of the generator it belongs to; given by it.
        plane_channels: Z.
        plane_size: R.
        num_bases: K.
        width: Of the layers of sines.
        depth: Layers of sines.
        omega: How fast the first layer's sines turn.
        max_scale: The largest magnification that is told apart: that of training.
        mode: Add to the image of the whole backbone, or do without its last block.

    Raises:
        InputError: A size cannot be.
    """

    def __init__(
        self,
        inputs: DecoderInputs,
        plane_channels: int = 16,
        plane_size: int = 64,
        num_bases: int = 16,
        width: int = 128,
        depth: int = 3,
        omega: float = 30.0,
        max_scale: float = 4.0,
        mode: Mode = "residual",
    ) -> None:
        super().__init__(inputs, mode)
        if min(plane_channels, plane_size, num_bases, width, depth) < 1:
            raise InputError("decoder: plane_channels, plane_size, num_bases, width, depth: give at least 1 of each")
        self.plane_size, self.values_per_pixel = plane_size, (2 * depth + 2) * width
        self.first = LatentLayer(inputs, plane_channels, max_scale)
        moved = inputs.style_dim + inputs.motion_dim
        self.still = PredictedPlane(inputs.style_dim, (plane_size, plane_size, plane_channels), num_bases)
        self.moving = PredictedPlane(moved, (2, plane_size, plane_channels), num_bases)
        self.modulator = Equalized(LatentModulator(4 * plane_channels, [width] * depth))
        self.synthesiser = Siren(2, 3, [width] * depth, omega_first=omega, omega=1.0, bias_like_weights=True)
        nn.init.zeros_(self.synthesiser.last.weight)
        nn.init.zeros_(self.synthesiser.last.bias)
        self.synthesiser = Equalized(self.synthesiser)

    def prepare(
        self, features: Float[Tensor, "N C h w"], ws: Float[Tensor, "M D"], motion_v: Float[Tensor, "N V"]
    ) -> Prepared:
        with torch.autocast(features.device.type, enabled=False):
            dtype = self.still.bases.dtype
            ws = per_image(ws, len(features)).to(dtype)
            still, moving = self.still(ws), self.moving(torch.cat([ws, motion_v.to(dtype)], dim=1))
        return self.first.on_latents(features), still, moving

    def query(self, prepared: Prepared, view: View) -> Float[Tensor, "N 3 Y X"]:
        latents, still, moving = prepared
        with torch.autocast(latents.device.type, enabled=False):  # rounded, places would move
            return self._colours(latents.to(still.dtype), still, moving, view)

    def _colours(self, latents: Tensor, still: Tensor, moving: Tensor, view: View) -> Float[Tensor, "N 3 Y X"]:
        found = [self._of_features(latents, view), *self._of_planes(still, moving, view)]
        factors = self.modulator(torch.cat(found, dim=-1))
        coords = self._coords(view).to(factors[0].device, still.dtype).expand(len(still), -1, -1, -1)
        colours = self.synthesiser(coords, factors)
        return rearrange(colours, "n y x c -> n c y x")

    def _of_features(self, latents: Tensor, view: View) -> Float[Tensor, "N Y X Z"]:
        rows, columns = self.first.around(view, apron=0)
        on_rows = read_rows(latents, rows) + (self.first.on_offset(rows.offset, 0) + self.first.on_cell(view))[:, None]
        return read_columns(on_rows, columns) + self.first.on_offset(columns.offset, 1)

    def _of_planes(self, still: Tensor, moving: Tensor, view: View) -> list[Float[Tensor, "N Y X Z"]]:
        """Latents of the plane and of both lines, whose cells divide the native frame."""
        rows, columns = (
            between((self._unit(view, axis) + 1) * self.plane_size / 2 - 0.5, self.plane_size, still.device)
            for axis in (0, 1)
        )
        of_y = read_rows(rearrange(moving[:, 0], "n r z -> n r 1 z"), rows)
        of_x = read_columns(rearrange(moving[:, 1], "n r z -> n 1 r z"), columns)
        plane = read_columns(read_rows(still, rows), columns)
        return [plane, of_y.expand_as(plane), of_x.expand_as(plane)]

    def _unit(self, view: View, axis: int) -> Tensor:
        """Places of rows (columns) in [-1, 1], from one edge of the frame to the other, float64."""
        return (2 * view.places(axis, self.inputs.resolution) + 1) / self.inputs.resolution[axis] - 1

    def _coords(self, view: View) -> Float[Tensor, "Y X 2"]:
        axes = [self._unit(view, axis).float() for axis in (0, 1)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
