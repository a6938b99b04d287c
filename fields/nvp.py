"""NVP, "Scalable Neural Video Representations with Learnable Positional Features" (Kim et al., NeurIPS 2022).

A video is three planes of features, each of which leaves out one axis ("latent keyframes"), a coarse volume of features
("sparse positional features"), and a small network of sines in time that they modulate. The paper calls our y "x" and
our x "y". Following its program where the paper differs: resolutions are rounded up, the first layer of sines alone
turns 30 times as fast, and time enters the grids and the network as two different numbers.

Shape legend
    N       points
    Z       width of the features
    F       frames
    h, w    height and width of a window
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.coords import NVP_DECODER_TIME, NVP_GRIDS, axes_of, checked_window
from fields.grids import MultiResGrid
from fields.interface import CHUNK, ranges
from fields.modulation import LatentModulator
from fields.point_video import checked_video
from fields.siren import Siren
from fields.sparse_grid import SparseGrid3D

# Axes of (t, y, x) of each plane, fastest first, in the order in which the features are joined ("xy", "yt", "xt").
PLANES = {"yx": (1, 2), "tx": (0, 2), "ty": (0, 1)}


def _per_plane(value: float | Sequence[float]) -> Sequence[float]:
    values = [value] * len(PLANES) if isinstance(value, (int, float)) else value
    if len(values) != len(PLANES):
        raise InputError(f"{tuple(values)}: give one number for all planes, or three for {', '.join(PLANES)}")
    return values


def tiles(height: int, width: int, chunk: int) -> Iterator[tuple[slice, slice]]:
    """Rectangles of at most ``chunk`` points that cover a window: whole rows where they fit.

    Raises:
        InputError: If a chunk is less than one point.
    """
    columns = list(ranges(width, chunk))
    return ((row, column) for row in ranges(height, max(1, chunk // width)) for column in columns)


class NVP(nn.Module):
    """A video as learnable positional features; the defaults are NVP-S, ``features=4`` and ``sparse_features=4`` NVP-L.

    Args:
        size: Frames, height and width of the video that it is fitted to.
        levels: Of each plane; one number for all, or one for each of yx, tx and ty, as for the next three.
        base: Vertices along an axis of the coarsest level.
        growth: Ratio of neighbouring levels.
        features: Per level.
        sparse_shape: Cells of the volume along time, y and x; None is a slice per frame of 300 x 300.
        sparse_features: Per cell.
        neighbourhood: Cells along time, y and x that are read together.
        upsample: Magnify the slices of the volume to twice the size before they are read.
        width: Of the layers of the network.
        depth: Layers of sines, and of the modulator.
        capped: No plane is finer along an axis than the video.
    """

    def __init__(
        self,
        size: Sequence[int],
        levels: int | Sequence[int] = 16,
        base: int | Sequence[int] = 16,
        growth: float | Sequence[float] = 1.35,
        features: int | Sequence[int] = 2,
        sparse_shape: Sequence[int] | None = None,
        sparse_features: int = 2,
        neighbourhood: Sequence[int] = (1, 3, 3),
        upsample: bool = False,
        width: int = 128,
        depth: int = 3,
        capped: bool = False,
    ) -> None:
        super().__init__()
        self.size = checked_video(size)
        each = zip(*map(_per_plane, (levels, base, growth, features)), strict=True)
        self.planes = nn.ModuleDict()
        for (name, axes), (count, coarsest, ratio, channels) in zip(PLANES.items(), each, strict=True):
            most = [self.size[axis] for axis in axes] if capped else None
            self.planes[name] = MultiResGrid(2, count, coarsest, ratio, channels, max_resolution=most)
        cells = (self.size[0], 300, 300) if sparse_shape is None else sparse_shape
        self.sparse = SparseGrid3D(cells, sparse_features, neighbourhood, upsample)
        self.feature_dim = sum(plane.out_dim for plane in self.planes.values()) + self.sparse.out_dim
        self.modulator = LatentModulator(self.feature_dim, (width,) * depth)
        self.synthesiser = Siren(1, 3, (width,) * depth, omega_first=30.0, omega=1.0, bias_like_weights=True)

    @property
    def num_slices(self) -> int:
        """Slices of the volume along time, of which each has to see a frame."""
        return len(self.sparse.embeddings)

    def forward(self, coords: Float[Tensor, "N 3"], blend_time: bool = False) -> Float[Tensor, "N 3"]:
        """Colours at points, nominally in [-1, 1].

        Args:
            coords: (t, y, x) in [-1, 1].
            blend_time: Blend slices of the volume linearly, for moments between frames; else read the nearest.
        """
        places = NVP_GRIDS.of(coords, self.size)
        time = NVP_DECODER_TIME.of(coords[:, :1], self.size[:1])
        return self.decode(self.encode(places, blend_time), time)

    def encode(self, places: Float[Tensor, "N 3"], blend_time: bool = False) -> Float[Tensor, "N Z"]:
        """Features at places: the planes yx, tx and ty, then the volume.

        Args:
            places: (t, y, x) in [0, 1] from the first element of an axis to the last; beyond, that of the border.
            blend_time: As for `forward`.
        """
        found = [self.planes[name](places[:, list(axes)]) for name, axes in PLANES.items()]
        return torch.cat([*found, self.sparse(places, blend_time)], dim=-1)

    def decode(self, features: Float[Tensor, "N Z"], time: Float[Tensor, "N 1"]) -> Float[Tensor, "N 3"]:
        """Colours of features.

        Args:
            features: As `encode` gives them.
            time: Centres of frames in [0, 1].
        """
        return self.synthesiser(time, self.modulator(features))

    @torch.no_grad()
    def render(
        self,
        t: Float[Tensor, " F"],
        size: Sequence[int],
        window: Sequence[int] | None = None,
        chunk: int = CHUNK,
        blend_time: bool = False,
    ) -> Float[Tensor, "F 3 h w"]:
        """Frames, or the same window of each. A mesh is read axis by axis, and the plane yx once for all frames.

        Args:
            t: Moments in [-1, 1].
            size: Height and width of whole frames in pixels.
            window: (y0, x0, y1, x1), half open; None is the whole frame.
            chunk: Points that are evaluated at once.
            blend_time: As for `forward`.
        """
        y0, x0, y1, x1 = checked_window(window, size)
        rows, columns = axes_of(size, window, t.device)
        places = [NVP_GRIDS.of(c[:, None], (n,))[:, 0] for c, n in zip((t, rows, columns), self.size, strict=True)]
        times = NVP_DECODER_TIME.of(t[:, None], self.size[:1])
        frames = t.new_empty(len(t), 3, y1 - y0, x1 - x0, dtype=torch.float32)
        for part in tiles(y1 - y0, x1 - x0, chunk):
            y, x = places[1][part[0]], places[2][part[1]]
            still = self.planes["yx"].on_mesh((y, x))
            for i, time in enumerate(times):
                features = self._frame_features(still, places[0][i : i + 1], y, x, blend_time)
                colours = self.decode(features.flatten(0, 1), time.expand(features[..., 0].numel(), 1))
                frames[i, :, *part] = rearrange(colours, "(h w) c -> c h w", h=len(y))
        return frames

    def _frame_features(self, still: Tensor, t: Tensor, y: Tensor, x: Tensor, blend_time: bool) -> Tensor:
        """Features ``[h, w, Z]`` of one frame, from those of the plane that all frames share."""
        tx, ty = self.planes["tx"].on_mesh((t, x)), self.planes["ty"].on_mesh((t, y))
        shape = still.shape[:2]
        along = [tx.expand(*shape, -1), rearrange(ty, "1 h c -> h 1 c").expand(*shape, -1)]
        return torch.cat([still, *along, self.sparse.on_mesh((t, y, x), blend_time)[0]], dim=-1)
