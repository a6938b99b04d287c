"""The augmentation pipe: one random transform for all frames of a clip.

Shape legend
    B           clips
    T           frames of a clip
    C, H, W     colours (3), height, width
    N           images that have a transform of their own: clips, or frames
"""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from stylegan_v.augment.corruptions import add_noise, band_filter, cut_out
from stylegan_v.augment.draws import Draws
from stylegan_v.augment.linear import Mixing, linear
from stylegan_v.augment.matrices import colour_map, inverse_geometry
from stylegan_v.augment.settings import resolve
from stylegan_v.augment.warp import warp
from stylegan_v.noise import GlobalRandom, RandomSource, on_host


class AugmentPipe(nn.Module):
    """Random transforms of clips, differentiable any number of times with respect to the clip (ADA, appendix B).

    Each transform acts on a clip with probability ``p`` times its multiplier, independently of the others and of the
    other clips. Additive noise differs from frame to frame; everything else is the same for all frames of a clip.

    Args:
        preset: Name of the settings to start from: `blit`, `geom`, `color`, `filter`, `noise`, `cutout`, their sums
            `bg`, `bgc`, `bgcf`, `bgcfn`, `bgcfnc`; `bgc_norgb` and `easy`; `directed` for motion with a direction (no
            mirror, no quarter turns), `faces`; `none` to name every member oneself.
        overrides: Multipliers and strengths that differ from the preset, by their names in `Settings`.
        per_frame: Whether each frame gets its own transform (known to hurt: StyleGAN-V keeps a clip together).
    """

    def __init__(
        self,
        preset: str = "bgc",
        overrides: dict[str, float | list[float]] | None = None,
        *,
        per_frame: bool = False,
    ) -> None:
        super().__init__()
        self.settings = resolve(preset, overrides or {})
        self.per_frame = per_frame

    def forward(
        self, clip: Float[Tensor, "B T 3 H W"], p: float | Float[Tensor, ""], random: RandomSource | None = None
    ) -> Float[Tensor, "B T 3 H W"]:
        """The augmented clips, float32 (float64 if the clips are) under any autocast.

        With ``p`` exactly 0 the clips come back untouched. Otherwise geometry resamples every clip, also those on which
        nothing acts: that is the identity up to the resampling filter.

        Args:
            clip: Clips, nominally in [-1, 1].
            p: Overall probability in [0, 1]; a tensor on a device makes the host wait for it.
            random: Where the draws come from ("augment/applied", "/uniform", "/normal", "/noise"); torch's global
                generator if None. Clips that are augmented with one source, name and phase get the same transform.
        """
        p = float(p)
        if p == 0:
            return clip
        random = random or GlobalRandom(len(clip), clip.device)
        num_frames = clip.shape[1]
        frames = (num_frames,) if self.per_frame else ()
        fold = "b t c h w -> (b t) c h w" if self.per_frame else "b t c h w -> b (t c) h w"

        with torch.autocast(clip.device.type, enabled=False):
            x = rearrange(clip if clip.dtype == torch.float64 else clip.float(), fold)
            draws = Draws(self.settings, p, on_host(random), frames)
            x = self._recolour(self._move(x, draws), draws)
            if self.settings.imgfilter:
                x = band_filter(x, self.settings, draws)
            if self.settings.noise:
                noise = rearrange(random.normal("augment/noise", *clip.shape[1:]), fold)
                x = add_noise(x, noise, self.settings, draws)
            if self.settings.cutout:
                x = cut_out(x, self.settings, draws)
        return x.reshape(clip.shape)

    def _move(self, x: Float[Tensor, "N C H W"], draws: Draws) -> Float[Tensor, "N C H W"]:
        if not self.settings.geometric:
            return x
        return warp(x, inverse_geometry(self.settings, draws, *x.shape[2:]))

    def _recolour(self, x: Float[Tensor, "N C H W"], draws: Draws) -> Float[Tensor, "N C H W"]:
        if not self.settings.colouring:
            return x
        matrix, offset = (part.to(x.device, x.dtype, non_blocking=True) for part in colour_map(self.settings, draws))
        offset = offset.repeat(1, x.shape[1] // 3, 1)[..., None]  # [N, C, 1, 1]
        return linear(x, Mixing(matrix)) + offset

    def extra_repr(self) -> str:
        """Every member that is not zero."""
        members: dict[str, Any] = {name: value for name, value in vars(self.settings).items() if value}
        return ", ".join(f"{name}={value}" for name, value in members.items())
