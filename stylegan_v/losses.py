"""The losses of adversarial training: pure functions, tensors in, scalars out. When they apply is decided in `gan.py`.

Shape legend
    B           clips
    T           frames of a clip
    C, H, W     colours, height, width
    L, D        layers that take a style, width of a style (``w_dim``)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

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
    return squared_slope(gradient, shares)


def squared_slope(gradient: Float[Tensor, "B T C H W"], shares: Float[Tensor, " B"] | None = None) -> Float[Tensor, ""]:
    """What `r1_penalty` makes of the gradient of the logits.

    Args:
        gradient: Of their sum, with respect to the clips.
        shares: Weights of the clips; None: all 1.
    """
    squares = gradient.square().sum(dim=(2, 3, 4))
    return squares.mean() if shares is None else (squares * shares[:, None]).mean()


def r1_differences(
    critic: Callable[[Tensor], Tensor],
    clip: Float[Tensor, "B T C H W"],
    gradient: Float[Tensor, "B T C H W"],
    step: float,
    shares: Float[Tensor, " B"] | None = None,
) -> Iterator[Float[Tensor, ""]]:
    """Two scalars whose sum has the critic's gradient of `r1_penalty`, up to the square of ``step``.

    The derivative of |g|^2, g = dD/dx, with respect to a weight is 2 <dg, g>: the product of a second derivative and a
    vector. With the vector u held fixed it is the derivative of the slope along u (Pearlmutter, "Fast exact
    multiplication by the Hessian", 1994), taken here by a central difference: (D(x + e u) - D(x - e u)) / 2e.

    All clips move at once and by the same e: D is the sum of all logits, so what minibatch standard deviation lets one
    clip do to the logits of others is counted as `r1_penalty` counts it. With an e for every clip it would not be; and
    a clip that hardly slopes, hence hardly moves, counts as little in the penalty.

    Each scalar is made when it is asked for, so that the graph of the first can be gone by then.

    Args:
        critic: Clips to logits; its kinks must not lie between the two points (see `ops.kinks`).
        clip: Where; needs no grad.
        gradient: Of the sum of the logits there, without graph.
        step: Root mean square of a pixel's way from ``clip`` to either point, e |u| / sqrt(B T C H W).
        shares: Weights of the clips; None: all 1.
    """
    direction = gradient * (2 / (clip.shape[0] * clip.shape[1]))
    if shares is not None:
        direction = direction * shares[:, None, None, None, None]
    size = direction.square().mean().sqrt()
    reach = step / size.clamp(min=torch.finfo(size.dtype).tiny)
    for sign in (1, -1):
        yield critic(clip + direction * (sign * reach)).sum() * (sign / (2 * reach))


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
