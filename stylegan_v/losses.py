"""The losses of adversarial training: pure functions, tensors in, scalars out. When they apply is decided in `gan.py`.

Shape legend
    B           clips
    T           frames of a clip
    C, H, W     colours, height, width
    L, D        layers that take a style, width of a style (``w_dim``)
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def generator_loss(fake_logits: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """Non-saturating loss of the generator (Goodfellow et al. 2014, section 3), mean over clips.

    Args:
        fake_logits: Output of the discriminator on generated clips.
    """
    return F.softplus(-fake_logits).mean()


def fake_loss(fake_logits: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """The half of the discriminator's loss that generated clips contribute, mean over clips."""
    return F.softplus(fake_logits).mean()


def real_loss(real_logits: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """The half of the discriminator's loss that real clips contribute, mean over clips."""
    return F.softplus(-real_logits).mean()


def discriminator_loss(real_logits: Float[Tensor, " B"], fake_logits: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """Logistic loss of the discriminator: `real_loss` and `fake_loss` together.

    Args:
        real_logits: Output of the discriminator on real clips.
        fake_logits: Its output on generated clips.
    """
    return real_loss(real_logits) + fake_loss(fake_logits)


def r1_penalty(
    real_logits: Float[Tensor, " B"], clip: Float[Tensor, "B T C H W"], shares: Float[Tensor, " B"] | None = None
) -> Float[Tensor, ""]:
    """Squared gradient norm of the discriminator at real clips (Mescheder et al. 2018, eq. 9).

    The square is summed over the pixels of a frame and averaged over frames and clips, as StyleGAN-V does: for one
    ``r1_gamma`` the penalty of a whole clip becomes weaker as the number of frames grows.

    Args:
        real_logits: Output of the discriminator on ``clip``.
        clip: The real clips, before augmentation; must require grad.
        shares: Weights of the clips; None: all 1.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), clip, create_graph=True)
    squares = gradient.square().sum(dim=(2, 3, 4))
    return squares.mean() if shares is None else (squares * shares[:, None]).mean()


def path_lengths(
    clip: Float[Tensor, "B T C H W"], ws: Float[Tensor, "B L D"], noise: Float[Tensor, "B T C H W"]
) -> Float[Tensor, " B"]:
    """How far a clip moves when its styles move: a random projection of the Jacobian (StyleGAN2, section 3.2, eq. 4).

    Args:
        clip: Generated clips.
        ws: The styles they were generated from; must require grad.
        noise: Standard normal image directions, scaled here by 1 / sqrt(H W).
    """
    direction = noise / math.sqrt(clip.shape[-2] * clip.shape[-1])
    (gradient,) = torch.autograd.grad((clip * direction).sum(), ws, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def path_length_deviation(
    lengths: Float[Tensor, " B"], mean_length: Float[Tensor, ""], *, decay: float = 0.01
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean squared distance of path lengths from their running mean, which these lengths move first.

    Args:
        lengths: Path lengths of the whole batch.
        mean_length: Running mean before this batch.
        decay: Share of this batch in the new mean, (0, 1].

    Returns:
        The penalty, and the new running mean without its graph.
    """
    new_mean = mean_length.lerp(lengths.mean(), decay)
    return (lengths - new_mean).square().mean(), new_mean.detach()


def path_length_penalty(
    clip: Float[Tensor, "B T C H W"],
    ws: Float[Tensor, "B L D"],
    noise: Float[Tensor, "B T C H W"],
    mean_length: Float[Tensor, ""],
    *,
    decay: float = 0.01,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, " B"]]:
    """Path length regulariser (StyleGAN2, section 3.2): equal steps in w shall change the picture equally.

    Args:
        clip: Generated clips.
        ws: The styles they were generated from; must require grad.
        noise: Standard normal image directions.
        mean_length: Running mean of the path lengths before this batch.
        decay: Share of this batch in the new mean, (0, 1].

    Returns:
        The penalty, the new running mean (detached) and the path lengths (detached).
    """
    lengths = path_lengths(clip, ws, noise)
    penalty, new_mean = path_length_deviation(lengths, mean_length, decay=decay)
    return penalty, new_mean, lengths.detach()
