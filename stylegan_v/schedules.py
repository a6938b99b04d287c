"""When and how strongly things act: what follows from batch size, resolution, intervals and counters."""

from __future__ import annotations

from dataclasses import dataclass

from torch.optim import Optimizer


@dataclass(frozen=True)
class GeneratorRegularization:
    """What StyleGAN2 adds to the generator's loss; all of it off, as StyleGAN-V trains.

    Args:
        pl_weight: Weight of the path length penalty; 0 leaves the phase out.
        pl_every: Updates between two path length steps; the learning rate is corrected for it even at weight 0.
        style_mixing_prob: Share of generated clips whose later layers take the style of a second latent, [0, 1].
    """

    pl_weight: float = 0.0
    pl_every: int = 4
    style_mixing_prob: float = 0.0


def correct_for_lazy_regularization(optimizer: Optimizer, interval: int) -> None:
    """Adapts an optimiser, in place, to one extra step every ``interval`` updates (StyleGAN2, appendix B).

    With q = interval / (interval + 1): the learning rate becomes lr * q and every beta becomes beta^q, so that the
    steps of ``interval`` updates, the extra one included, decay and move as much as they would without it.

    Args:
        optimizer: Any optimiser; betas are corrected where it has them.
        interval: Updates between two steps of the regulariser, 1 or more.
    """
    ratio = interval / (interval + 1)
    for options in (optimizer.defaults, *optimizer.param_groups):
        options["lr"] *= ratio
        if "betas" in options:
            options["betas"] = tuple(beta**ratio for beta in options["betas"])


def default_r1_gamma(resolution: tuple[int, int], batch_size: int) -> float:
    """The R1 weight used when none is given: 0.0002 H W / batch (StyleGAN2-ADA, appendix C).

    Args:
        resolution: Height and width of a frame in pixels.
        batch_size: Clips of an update, over all ranks.
    """
    height, width = resolution
    return 0.0002 * height * width / batch_size


def default_ema_kclips(batch_size: int) -> float:
    """The half-life of the averaged generator used when none is given, in thousands of clips: 10 batch / 32."""
    return 10 * batch_size / 32


def ema_beta(
    batch_size: int, ema_kclips: float | None = None, *, rampup: float | None = None, num_clips: int = 0
) -> float:
    """Share of the old average that an update keeps, in [0, 1).

    Args:
        batch_size: Clips of an update, over all ranks.
        ema_kclips: Half-life in thousands of clips; None: `default_ema_kclips`.
        rampup: Largest half-life as a share of the clips seen so far; None for no ramp-up.
        num_clips: Clips seen before this update.
    """
    half_life = 1000 * (default_ema_kclips(batch_size) if ema_kclips is None else ema_kclips)
    if rampup is not None:
        half_life = min(half_life, rampup * num_clips)
    return 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0
