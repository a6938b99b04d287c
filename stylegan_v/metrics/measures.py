"""What is computed from features: a summary of each side, and a number from two of them.

Shape legend
    N       items: clips, or frames for image networks
    D, C    feature dimension, classes
    n       items of one group
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.choices import Frechet, Inception, Kernel
from stylegan_v.metrics.frechet import moments_distance
from stylegan_v.metrics.inception_score import inception_score
from stylegan_v.metrics.kernel import bootstrap, kernel_distance, subset_kernel_distance
from stylegan_v.metrics.moments import Moments

Arrays = dict[str, np.ndarray]


@runtime_checkable
class Measure(Protocol):
    """A number from two summaries of features.

    Attributes:
        looks_at: What feature networks must give.
        needs_reference: Whether real clips enter the number.
        min_items: Fewest items of a side of which there is a number.
    """

    looks_at: Literal["features", "probabilities"]
    needs_reference: bool
    min_items: int

    def summarize(self, features: Iterable[Float32[Tensor, "n D"]], num: int) -> Any:
        """What has to be kept of the first ``num`` items."""
        ...

    def compare(self, reference: Any, other: Any) -> float:
        """The number."""
        ...

    def bootstrap(self, reference: Any, other: Any) -> dict[str, float]:
        """The spread of the number as one draw can tell it; empty where it cannot."""
        ...

    def to_arrays(self, summary: Any) -> Arrays:
        """A summary for storing."""
        ...

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """A summary as it was stored."""
        ...


class FrechetMeasure:
    """Frechet distance; keeps means and covariances alone, so any number of items fits.

    Args:
        options: Its convention.
    """

    looks_at: Literal["features"] = "features"
    needs_reference = True

    def __init__(self, options: Frechet) -> None:
        self.unbiased = options.covariance == "unbiased"
        self.min_items = 2 if self.unbiased else 1

    def summarize(self, features: Iterable[Float32[Tensor, "n D"]], num: int) -> Moments:
        moments: Moments | None = None
        for group in limited(features, num):
            if moments is None:
                moments = Moments.of(group)
            else:
                moments.add(group)
        if moments is None:
            raise InputError("no features: a distance needs clips on both sides")
        return moments

    def compare(self, reference: Moments, other: Moments) -> float:
        return float(moments_distance(reference, other, unbiased=self.unbiased))

    def bootstrap(self, reference: Moments, other: Moments) -> dict[str, float]:
        return {}  # items that occur twice lower the rank of the covariance: the distance comes out too large

    def to_arrays(self, summary: Moments) -> Arrays:
        return summary.state()

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> Moments:
        return Moments.from_state(dict(arrays))


class KernelMeasure:
    """Kernel distance; keeps the features, of subsets no more than they can use.

    Args:
        options: Subsets, factor and bootstrap.
        seed: Of subsets and bootstrap.
    """

    looks_at: Literal["features"] = "features"
    needs_reference = True
    min_items = 2

    def __init__(self, options: Kernel, seed: int) -> None:
        self.options, self.seed = options, seed

    def summarize(self, features: Iterable[Float32[Tensor, "n D"]], num: int) -> Float32[Tensor, "K D"]:
        kept, first = [], 0
        wanted = self._wanted(num)
        for group in limited(features, num):
            rows = wanted[(wanted >= first) & (wanted < first + len(group))] - first
            kept.append(group[torch.from_numpy(rows)])
            first += len(group)
        return _checked(torch.cat(kept))

    def compare(self, reference: Tensor, other: Tensor) -> float:
        options = self.options
        if options.num_subsets is None:
            return options.scale * float(kernel_distance(reference, other))
        rng = np.random.default_rng([self.seed, 20])
        subsets = {"num_subsets": options.num_subsets, "subset_size": options.subset_size}
        return options.scale * float(subset_kernel_distance(reference, other, rng=rng, **subsets))

    def bootstrap(self, reference: Tensor, other: Tensor) -> dict[str, float]:
        if self.options.num_subsets is not None or min(len(reference), len(other)) < 4:
            return {}
        rng = np.random.default_rng([self.seed, 21])
        values = self.options.scale * np.asarray(bootstrap(reference, other, self.options.num_resamples, rng))
        low, high = np.quantile(values, [0.025, 0.975])
        return {"std": float(values.std(ddof=1)), "low": float(low), "high": float(high)}

    def to_arrays(self, summary: Tensor) -> Arrays:
        return {"features": summary.numpy()}

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> Tensor:
        return torch.from_numpy(arrays["features"])

    def _wanted(self, num: int) -> np.ndarray:
        """Items that are kept, sorted: a random part, where subsets would leave most of them out."""
        most = num if self.options.num_subsets is None else self.options.num_subsets * self.options.subset_size
        if num <= most:
            return np.arange(num)
        return np.sort(np.random.default_rng([self.seed, 22]).choice(num, size=most, replace=False))


class InceptionMeasure:
    """Inception score, which looks at one side alone.

    Args:
        options: Splits and order.
    """

    looks_at: Literal["probabilities"] = "probabilities"
    needs_reference = False

    def __init__(self, options: Inception) -> None:
        self.options, self.min_items = options, options.num_splits

    def summarize(self, features: Iterable[Float32[Tensor, "n C"]], num: int) -> Float32[Tensor, "N C"]:
        return _checked(torch.cat(list(limited(features, num))))

    def compare(self, reference: None, other: Tensor) -> float:
        return inception_score(other, self.options.num_splits, self.options.shuffle_seed)[0]

    def bootstrap(self, reference: None, other: Tensor) -> dict[str, float]:
        spread = inception_score(other, self.options.num_splits, self.options.shuffle_seed)[1]
        return {"std_over_splits": float(spread)}

    def to_arrays(self, summary: Tensor) -> Arrays:
        return {"probabilities": summary.numpy()}

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> Tensor:
        return torch.from_numpy(arrays["probabilities"])


def measure_of(options: Frechet | Kernel | Inception, seed: int) -> Measure:
    """The measure with these options."""
    if isinstance(options, Frechet):
        return FrechetMeasure(options)
    return KernelMeasure(options, seed) if isinstance(options, Kernel) else InceptionMeasure(options)


def limited(features: Iterable[Float32[Tensor, "n D"]], num: int) -> Iterator[Float32[Tensor, "n D"]]:
    """Features up to the ``num``-th item; all groups are asked for, so that ranks stay together."""
    left = num
    for group in features:
        if left > 0:
            yield group[:left]
        left -= len(group)


def _checked(features: Tensor) -> Tensor:
    wrong = int((~features.isfinite().all(dim=1)).sum())
    if wrong:
        raise InputError(f"features: {wrong} of {len(features)} rows are not finite: look at the clips and the network")
    return features
