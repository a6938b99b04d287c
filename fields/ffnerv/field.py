"""A video as an FFNeRV: whole frames, each by itself and from its neighbours (Lee et al., ACM MM 2023).

Shape legend
    F       frames
    K       neighbours
    H, W    height and width of whole frames
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fields.coords import NERV
from fields.ffnerv.aggregation import aggregate, blend
from fields.ffnerv.network import NEIGHBOURS, FFNeRVNetwork
from fields.frame_video import FrameVideo

_CLOSE = 1e-3  # of a frame: float32 cannot tell less of a long video


class FrameParts(NamedTuple):
    """Frames in [0, 1] as they come into being.

    Attributes:
        independent: Each by itself.
        aggregated: Mixed of their neighbours, moved by flows.
        final: Mixed of both.
    """

    independent: Float[Tensor, "F 3 H W"]
    aggregated: Float[Tensor, "F 3 H W"]
    final: Float[Tensor, "F 3 H W"]


class FFNeRV(FrameVideo):
    """A video as an FFNeRV, with or without CAM; sizes, windows and points are as of any `FrameVideo`.

    Neighbours are the independent frames of -2, -1, 1 and 2 frames away, made anew for every frame, so that a frame
    depends on its moment alone and not on what was made before. They get no gradient. In the original they come from
    a buffer in half precision of frames made when their turn was last: that costs a video of memory and leaves
    a network that is trained beside frames of an older one; here an update makes five frames, one of them with
    gradients. Neighbours beyond the video's ends are black, as in the original.

    Args:
        size: Frames, height and width of the video that it is fitted to.
        network: From moments to independent frames of this height and width, and to how they are mixed.
        official_warp: Read flows as the original's program, whose zero flow is no identity: for its weights only.
    """

    def __init__(self, size: Sequence[int], network: FFNeRVNetwork, official_warp: bool = False) -> None:
        super().__init__(size, network.out_size)
        self.network, self.official_warp = network, official_warp

    def frames(self, t: Float[Tensor, " F"]) -> Float[Tensor, "F 3 H W"]:
        """Whole frames, nominally in [-1, 1].

        Args:
            t: Moments in [-1, 1].
        """
        return 2 * self.parts(t).final - 1

    def parts(self, t: Float[Tensor, " F"]) -> FrameParts:
        """Whole frames, and what they are mixed of.

        Args:
            t: Moments in [-1, 1].
        """
        numbers = self.numbers(t)
        heads = self.network(numbers / self.size[0])
        offsets = torch.tensor(NEIGHBOURS, device=t.device)
        neighbours = self.independent(numbers[:, None] + offsets).to(heads.frame.dtype)
        aggregated = aggregate(neighbours, heads.flow, self.official_warp)
        return FrameParts(heads.independent, aggregated, blend(heads.independent, aggregated, heads.frame[:, 3:]))

    def numbers(self, t: Float[Tensor, " F"]) -> Float[Tensor, " F"]:
        """Moments in frames from the first; next to one they are that one, so that rounding makes no new moments.

        Args:
            t: In [-1, 1].
        """
        numbers = NERV.of(t[:, None], self.size[:1])[:, 0] * self.size[0]
        return torch.where((numbers - numbers.round()).abs() < _CLOSE, numbers.round(), numbers)

    @torch.no_grad()
    def independent(self, numbers: Float[Tensor, "F K"]) -> Float[Tensor, "F K 3 H W"]:
        """Frames by themselves in [0, 1]; black beyond the ends of the video.

        Made one at a time: it saves memory, and no frame changes the last digits of another.

        Args:
            numbers: Of the frames, parts of frames too.
        """
        found = numbers.new_zeros(*numbers.shape, 3, *self.size[1:])
        for number in numbers[(numbers >= -0.5) & (numbers < self.size[0] - 0.5)].unique():
            found[numbers == number] = self.network((number / self.size[0])[None]).independent.to(found.dtype)
        return found
