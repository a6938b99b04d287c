"""Motion that is exact at any time: float64 from the noise to the last rounding, in blocks of codes that never move.

Convolutions over windows of different length differ in their last digits, and phases magnify such differences by up to
the time itself. So the codes of endless videos are computed video by video in aligned blocks of fixed size: whatever
moments are asked for together, code i and all that is predicted from it have the same bits. What follows treats every
value by itself, and is rounded to float32 last.

Shape legend
    B       videos
    T       moments
    K, Z    motion noise codes and the dimension of one
    S, D    motion codes and the dimension of one
    C       dimension of the label
    P       values that are predicted from one motion code
    V       values of the embedding
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from einops import rearrange
from jaxtyping import Float32, Float64
from torch import Tensor

from stylegan_v.networks.motion_interface import NoiseWindow
from stylegan_v.networks.time_encoding import Segments, TimeEncoding, followed_by_codes, locate

_CODES_PER_BLOCK = 16


class ExactPath:
    """The embeddings of endless videos as a function of time, the same bits whichever moments are asked for together.

    Rounded to float32 at the very end, they are those of exact arithmetic to 1e-5 up to times of 10^9 frames.

    Args:
        trajectory: Noise codes [1, K, Z] and label [1, C] of one video to motion codes [1, K - reach, D], in float64.
        reach: How many noise codes after its own a motion code depends on.
        encoding: What makes embeddings of motion codes, in float64; decides the device.
        distance: Frames between two codes.
        noise: Motion noise of the videos.
        c: Their labels, [B, C].
        codes_follow: Whether each embedding is followed by its segment, see `Motion.hand_on_codes`.
    """

    def __init__(
        self,
        trajectory: Callable[[Tensor, Tensor | None], Tensor],
        reach: int,
        encoding: TimeEncoding,
        distance: float,
        noise: NoiseWindow,
        c: Tensor | None = None,
        codes_follow: bool = False,
    ) -> None:
        self.trajectory, self.reach, self.noise = trajectory, reach, noise
        self.encoding, self.distance, self.codes_follow = encoding, distance, codes_follow
        self.c = None if c is None else c.to(encoding.freqs)
        self._blocks: dict[int, Tensor] = {}

    @torch.no_grad()
    def __call__(self, t: Float64[Tensor, " T"]) -> Float32[Tensor, "B T V"]:
        """Embeddings at the moments ``t``, frames, in any order."""
        left = locate(t.unsqueeze(0), self.distance).index[0].tolist()
        right = [code + 1 for code in left]
        self._compute({code // _CODES_PER_BLOCK for code in (*left, *right)})

        at_left, at_right = self._predicted(left), self._predicted(right)
        times = t.to(self.encoding.freqs.device, non_blocking=True).expand(len(at_left), -1)
        segments = locate(times, self.distance, self.encoding.freqs.dtype)
        folded = (rearrange(predicted, "b t p -> (b t) p") for predicted in (at_left, at_right))
        return rearrange(self._between(*folded, segments), "(b t) v -> b t v", b=len(times)).float()

    def _compute(self, numbers: Iterable[int]) -> None:
        """Holds the blocks of these numbers; those held before are kept, the others are forgotten."""
        self._blocks = {i: self._blocks[i] if i in self._blocks else self._block(i) for i in sorted(numbers)}

    def _block(self, number: int) -> Float64[Tensor, "B S P"]:
        """All that is predicted from the motion codes of one block, each video by itself; and they, if they follow."""
        motion_z = self.noise(number * _CODES_PER_BLOCK, _CODES_PER_BLOCK + self.reach).to(self.encoding.freqs)
        labels = [None] * len(motion_z) if self.c is None else self.c.split(1)
        codes = [self.trajectory(z, c) for z, c in zip(motion_z.split(1), labels, strict=True)]
        predicted = torch.stack([self.encoding.predict(code[0]) for code in codes])
        return torch.cat([predicted, torch.cat(codes)], dim=2) if self.codes_follow else predicted

    def _between(
        self, left: Float64[Tensor, "N P"], right: Float64[Tensor, "N P"], segments: Segments
    ) -> Float64[Tensor, "N V"]:
        """The embeddings of frames from what the codes before and after each decide."""
        if not self.codes_follow:
            return self.encoding.between(left, right, segments)
        (left, left_code), (right, right_code) = (x.tensor_split([-self.encoding.v_dim], dim=1) for x in (left, right))
        return followed_by_codes(self.encoding.between(left, right, segments), left_code, right_code, segments)

    def _predicted(self, codes: list[int]) -> Float64[Tensor, "B T P"]:
        """What is predicted from the codes of these numbers."""
        return torch.stack([self._blocks[i // _CODES_PER_BLOCK][:, i % _CODES_PER_BLOCK] for i in codes], dim=1)
