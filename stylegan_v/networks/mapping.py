"""Mapping networks: noise, labels or conditions to a style vector (StyleGAN2, Karras et al. 2020).

Shape legend
    B       videos
    L       layers that take a style (``num_ws``)
    Z, D, C content noise, style and label dimension (``z_dim``, ``w_dim``, ``c_dim``)
"""

from __future__ import annotations

from itertools import pairwise

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor, nn

from stylegan_v.networks.layers import EqualizedLinear, normalize_second_moment

_LR_MULTIPLIER = 0.01
_MAX_LAYERS = 100  # a config from elsewhere must not fill the memory with layers
W_AVG_STEP = 0.005


class ConditionedMLP(nn.Module):
    """Fully connected layers over a normalised vector, a normalised label embedding, or both.

    Args:
        in_dim: Z; 0 for a network of the condition alone.
        out_dim: D, also the width of the hidden layers.
        c_dim: C; 0 without a condition.
        num_layers: Fully connected layers after the embedding; at most 100.
    """

    def __init__(self, in_dim: int, out_dim: int, c_dim: int, num_layers: int = 2) -> None:
        super().__init__()
        if num_layers > _MAX_LAYERS:
            raise ValueError(f"num_layers {num_layers}: a mapping network has at most {_MAX_LAYERS}")
        self.in_dim, self.c_dim = in_dim, c_dim
        self.embed = EqualizedLinear(c_dim, out_dim) if c_dim else None
        widths = [in_dim + (out_dim if c_dim else 0)] + [out_dim] * num_layers
        self.layers = nn.ModuleList(
            EqualizedLinear(fan_in, fan_out, act="lrelu", lr_multiplier=_LR_MULTIPLIER)
            for fan_in, fan_out in pairwise(widths)
        )

    def style(self, z: Float[Tensor, "B Z"] | None, c: Float[Tensor, "B C"] | None) -> Float[Tensor, "B D"]:
        """The output vector; float32 whatever the precision around it."""
        given = [x for x in (z, c) if x is not None]
        if self.c_dim and c is None:
            raise ValueError(f"this network has labels (c_dim {self.c_dim}): pass c")
        with torch.autocast(given[0].device.type, enabled=False):
            parts = [normalize_second_moment(z.float())] if self.in_dim else []
            if self.embed is not None:
                parts.append(normalize_second_moment(self.embed(c.float())))
            x = torch.cat(parts, dim=1)
            for layer in self.layers:
                x = layer(x)
            return x

    forward = style


class MappingNetwork(ConditionedMLP):
    """Content noise and label to one style per layer, with a running mean style for truncation.

    Args:
        z_dim: Dimension of the content noise.
        w_dim: Dimension of the style and of the hidden layers.
        c_dim: Dimension of the label; 0 without labels.
        num_ws: Number of layers that take a style.
        num_layers: Fully connected layers.
    """

    w_avg: Tensor

    def __init__(self, z_dim: int, w_dim: int, c_dim: int, num_ws: int, num_layers: int = 2) -> None:
        super().__init__(z_dim, w_dim, c_dim, num_layers)
        self.num_ws = num_ws
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self,
        z: Float[Tensor, "B Z"],
        c: Float[Tensor, "B C"] | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        update_w_avg: bool | None = None,
    ) -> Float[Tensor, "B L D"]:
        """Styles for every layer.

        Args:
            z: Content noise.
            c: Labels; needed when the network has them.
            truncation_psi: 1 leaves the styles, 0 replaces them by their mean.
            truncation_cutoff: Truncate only the first so many layers; None truncates all.
            update_w_avg: Whether the running mean moves; None moves it in training mode.
        """
        w = self.style(z, c)
        if self.training if update_w_avg is None else update_w_avg:
            self.track(w.detach().mean(dim=0))
        ws = repeat(w, "b d -> b l d", l=self.num_ws)
        return ws if truncation_psi == 1 else self.truncate(ws, truncation_psi, truncation_cutoff)

    @torch.no_grad()
    def track(self, mean_w: Float[Tensor, " D"]) -> None:
        """Moves the running mean style towards ``mean_w``."""
        self.w_avg.lerp_(mean_w.to(self.w_avg.dtype), W_AVG_STEP)

    def truncate(self, ws: Float[Tensor, "B L D"], psi: float, cutoff: int | None = None) -> Float[Tensor, "B L D"]:
        """Styles pulled towards their mean (StyleGAN, Karras et al. 2019, section B)."""
        cutoff = self.num_ws if cutoff is None else cutoff
        return torch.cat([torch.lerp(self.w_avg, ws[:, :cutoff], psi), ws[:, cutoff:]], dim=1)
