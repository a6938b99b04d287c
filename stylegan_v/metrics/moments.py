"""Mean and covariance of features that arrive bit by bit.

Shape legend
    N       items of one call, or of all so far
    D       feature dimension
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from errors import InputError

_ROWS = 4096  # items in float64 at a time


class Moments:
    """Number, mean and covariance of items, in float64 on the CPU; memory for D^2 numbers, however many items.

    What is kept beside the mean is the sum of products of deviations from it. Two such summaries are joined exactly
    (Chan, Golub and LeVeque 1983), and unlike sums of squares, which are the same in exact arithmetic, they
    survive an offset that is large beside the spread. An empty one takes the dimension of what is added first.

    Attributes:
        num: Items so far.
    """

    def __init__(self) -> None:
        self.num = 0
        self._mean = torch.zeros(0, dtype=torch.float64)
        self._scatter = torch.zeros(0, 0, dtype=torch.float64)

    @classmethod
    def of(cls, features: Float[Tensor, "N D"]) -> Moments:
        """The moments of these items; see `add`."""
        moments = cls()
        moments.add(features)
        return moments

    def add(self, features: Float[Tensor, "N D"]) -> None:
        """Counts further items, all or none of them.

        Args:
            features: On any device, of any precision.

        Raises:
            InputError: Some are not finite, or of another dimension than those before.
        """
        refuse_infinite(features)
        for rows in features.split(_ROWS):
            if len(rows):
                rows = rows.cpu().double()
                mean = rows.mean(dim=0)
                centred = rows - mean
                self._join(len(rows), mean, centred.T @ centred)

    def merge(self, other: Moments) -> None:
        """Counts the items of another summary as well, as if they had been added here.

        Raises:
            InputError: They are of another dimension.
        """
        if other.num:
            self._join(other.num, other._mean, other._scatter)

    @property
    def mean(self) -> Float64[Tensor, " D"]:
        """The mean.

        Raises:
            InputError: No item has been added.
        """
        self._require(1, "a mean")
        return self._mean.clone()

    def covariance(self, unbiased: bool) -> Float64[Tensor, "D D"]:
        """The covariance, symmetric to the last bit.

        Args:
            unbiased: Divide by N - 1; else by N, which of a single item makes zero.

        Raises:
            InputError: Fewer items than that takes.
        """
        self._require(1 + unbiased, "an unbiased covariance (over N - 1)" if unbiased else "a covariance")
        return (self._scatter + self._scatter.T) / (2 * (self.num - unbiased))

    def state(self) -> dict[str, np.ndarray]:
        """What there is to keep, as arrays by name: num int64, mean [D] and scatter [D, D] float64."""
        arrays = {"mean": self._mean.numpy().copy(), "scatter": self._scatter.numpy().copy()}
        return {"num": np.array(self.num, dtype=np.int64), **arrays}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Moments:
        """The moments that `state` was taken of.

        Raises:
            InputError: The arrays are not of that form, or hold values that are not finite.
        """
        num, mean, scatter = (np.asarray(state[name]) if name in state else None for name in ("num", "mean", "scatter"))
        if num is None or mean is None or scatter is None:
            raise _damaged("num, mean and scatter are needed")
        if num.shape != () or num.dtype.kind not in "iu" or num < 0:
            raise _damaged("num is not a count")
        if mean.dtype != np.float64 or scatter.dtype != np.float64 or scatter.shape != (*mean.shape, *mean.shape):
            raise _damaged(f"mean is {mean.dtype} {mean.shape}, scatter {scatter.dtype} {scatter.shape}")
        if mean.ndim != 1 or not (np.isfinite(mean).all() and np.isfinite(scatter).all()):
            raise _damaged("a value is not finite, or the mean not a vector")
        moments = cls()
        moments.num = int(num)
        moments._mean, moments._scatter = torch.from_numpy(mean.copy()), torch.from_numpy(scatter.copy())
        return moments

    def _join(self, num: int, mean: Tensor, scatter: Tensor) -> None:
        if self.num == 0:
            self.num, self._mean, self._scatter = num, mean.clone(), scatter.clone()
            return
        if mean.shape != self._mean.shape:
            raise InputError(
                f"features: items of {len(mean)} numbers cannot join those of {len(self._mean)}: "
                "take all from one feature network"
            )
        together = self.num + num
        shift = mean - self._mean
        self._scatter += scatter
        self._scatter.addr_(shift, shift, alpha=self.num * num / together)
        self._mean += shift * (num / together)
        self.num = together

    def _require(self, num: int, what: str) -> None:
        if self.num < num:
            raise InputError(f"features: {what} needs at least {num} items, there are {self.num}: give more videos")


def refuse_infinite(features: Float[Tensor, "N D"]) -> None:
    """Checks that features are numbers.

    Raises:
        InputError: Some are NaN or infinite; says in how many rows.
    """
    bad = int((~features.isfinite().all(dim=1)).sum())
    if bad:
        raise InputError(
            f"features: {bad} of {len(features)} rows hold NaN or infinite values: check the weights of the generator "
            "and of the feature network"
        )


def _damaged(why: str) -> InputError:
    return InputError(f"stored statistics: damaged ({why}): remove them, they are computed anew")
