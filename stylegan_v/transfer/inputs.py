"""How the inputs of an old layer follow from those of the new one that takes its place.

Every change of labels, frames, time differences or motion channels is a linear map, x_old = S x_new + r. A layer that
was W x_old + b becomes (W S) x_new + (W r + b), and goes on saying what it said.

Shape legend
    O       output features of a layer
    A, B    inputs of the old and of the new layer
    P, Q    frames, or differences of times, of the old and of the new network
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """x_old = S x_new + r.

    Attributes:
        matrix: S.
        rest: r, what inputs that are no longer there are held at.
        how: What changed, in a few words.
    """

    matrix: Float[Tensor, "A B"]
    rest: Float[Tensor, " A"]
    how: str = ""

    @property
    def unchanged(self) -> bool:
        """Whether they are the same inputs."""
        same_number = self.matrix.shape[0] == self.matrix.shape[1]
        return same_number and torch.equal(self.matrix, torch.eye(len(self.matrix))) and not self.rest.any()

    def columns(self, weight: Float[Tensor, "O A ..."]) -> Float[Tensor, "O B ..."]:
        """W S: the weights on the new inputs."""
        return torch.einsum("oa...,ab->ob...", weight, self.matrix)

    def offset(self, weight: Float[Tensor, "O A ..."]) -> Float[Tensor, " O"]:
        """W r: what the inputs that are no longer there add; with a kernel, at all of its taps."""
        return weight.flatten(2).sum(dim=2) @ self.rest if weight.ndim > 2 else weight @ self.rest

    def shared(self, values: Float[Tensor, "A ..."], otherwise: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Values of the old inputs for the new ones: the mean over those that each stands for.

        Args:
            values: Per old input.
            otherwise: For new inputs that stand for none.
        """
        total = self.matrix.sum(dim=0)
        means = torch.einsum("ab,a...->b...", self.matrix / total.where(total > 0, 1.0), values)
        known = (total > 0).reshape(-1, *[1] * (values.ndim - 1))
        return torch.where(known, means, otherwise)

    def per_frame(self, frames: Float[Tensor, "P Q"]) -> Inputs:
        """These inputs once per frame, or per difference, of which the number changes too."""
        return Inputs(torch.kron(frames, self.matrix), self.rest.repeat(len(frames)), self.how)


def same(num: int) -> Inputs:
    """Inputs that stay as they are."""
    return Inputs(torch.eye(num), torch.zeros(num))


def unrelated(num_old: int, num_new: int, how: str = "") -> Inputs:
    """Inputs that have nothing to do with the old ones: both count for nothing at first."""
    return Inputs(torch.zeros(num_old, num_new), torch.zeros(num_old), how)


def held(rest: Float[Tensor, " A"], how: str = "") -> Inputs:
    """Inputs that are no longer there, held at a value."""
    return Inputs(torch.zeros(len(rest), 0), rest, how)


def joined(*parts: Inputs) -> Inputs:
    """Inputs one after the other."""
    how = ", ".join(dict.fromkeys(part.how for part in parts if part.how))
    return Inputs(torch.block_diag(*(p.matrix for p in parts)), torch.cat([p.rest for p in parts]), how)


def scaled(factors: Float[Tensor, " A"], how: str) -> Inputs:
    """Inputs that are the old ones times factors."""
    return Inputs(torch.diag(1 / factors), torch.zeros(len(factors)), how)


def labels(num_old: int, num_new: int) -> Inputs:
    """Classes: the first ones stay, new ones start as the mean class; without labels it is the mean class always."""
    if num_old == num_new:
        return same(num_old)
    matrix = torch.full((num_old, num_new), 1 / max(num_old, 1))
    common = min(num_old, num_new)
    matrix[:, :common] = torch.eye(num_old, common)
    rest = torch.full((num_old,), 0.0 if num_new else 1 / max(num_old, 1))
    return Inputs(matrix, rest, f"{num_old} -> {num_new} classes")


def shares(num_old: int, num_new: int) -> Float[Tensor, "P Q"]:
    """Each old frame as a mean of the new ones that overlap its share of the clip; rows sum to one.

    A clip of equal frames stays what it was, whatever the two numbers.
    """
    old, new = torch.arange(num_old)[:, None], torch.arange(num_new)[None, :]
    # In units of 1 / (num_old num_new) of the clip, so that shares that only touch have nothing in common.
    end = torch.minimum((old + 1) * num_new, (new + 1) * num_old)
    start = torch.maximum(old * num_new, new * num_old)
    return (end - start).clamp(min=0).float() / max(num_new, 1)
