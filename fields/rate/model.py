"""The steps in which the numbers of a field are kept, and the bits that these take: learned with the field.

Shape legend
    G       groups of a tensor
    R, C    rows and columns of a tensor seen as a matrix
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from datasets.single_signal import draws
from fields.rate.contexts import NUM_CONTEXTS, contexts
from fields.rate.grouping import Grouping, groupings
from fields.rate.laplace import laplace_bits
from fields.rate.steps import LIMIT, nearest_step, step_of, symbols_of, values_of

GROUP = 8  # slices of a volume that are decoded together where nothing else is said


def uniform_noise(key: Sequence[int], count: int, device: torch.device) -> Float[Tensor, " N"]:
    """Numbers in [-0.5, 0.5), the same on every device for the same key."""
    return (draws(key, torch.arange(count, device=device)).double() / 2**63 - 0.5).float()


def num_contexts(group: Grouping) -> int:
    """Distributions of a tensor: of contexts where it has pictures, else of groups."""
    return group.count if group.pictures is None else NUM_CONTEXTS


def context_matrix(group: Grouping, symbols: Int64[Tensor, "R C"], together: int) -> Int64[Tensor, "R_or_1 C"]:
    """Which distribution every symbol has.

    Args:
        group: Of the tensor.
        symbols: All of them.
        together: Slices of a volume that are decoded together.
    """
    if group.pictures is None:
        return group.spread(torch.arange(group.count, device=symbols.device))
    stacks = group.stacks(symbols.abs())
    return group.unstack([contexts(stack, group.channels, together) for stack in stacks])


class _Rounded(torch.autograd.Function):
    """The nearest whole number, with the derivative of the identity."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:
        return values.round().clamp(-LIMIT, LIMIT)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class RateModel(nn.Module):
    """Steps of all groups of a field, and the distributions of its symbols.

    Args:
        field: What is coded.
        log2_grid_step: Where the logarithms of the steps of grids start.
        log2_weight_step: Of weights of the network.
    """

    def __init__(self, field: nn.Module, log2_grid_step: float = -5.0, log2_weight_step: float = -6.0) -> None:
        super().__init__()
        self.groupings = groupings(field)
        starts = [float(log2_grid_step if group.pictures else log2_weight_step) for group in self.groupings]
        tensors = dict(field.named_parameters())
        mean = torch.stack([tensors[group.name].detach().abs().mean() for group in self.groupings])
        scales = (mean.clamp(min=1e-6).log2() - mean.new_tensor(starts)).clamp(min=-1)
        self.log2_step = nn.Parameter(_repeated(mean.new_tensor(starts), [one.count for one in self.groupings]))
        self.log2_scale = nn.Parameter(_repeated(scales, [num_contexts(one) for one in self.groupings]))

    def forward(
        self, tensors: Mapping[str, Tensor], noise: Sequence[int] | None
    ) -> tuple[dict[str, Tensor], Float[Tensor, ""]]:
        """The tensors as they come out of a file, with derivatives, and the bits of the file.

        Args:
            tensors: Of the field, by name.
            noise: Key of the noise that stands for rounding, so that the steps can be learned; None: they are rounded,
                in steps that files have.
        """
        found, bits = {}, []
        for number, (group, log2_step, log2_scale) in enumerate(self._each()):
            if noise is None:
                step = group.spread(step_of(nearest_step(log2_step)))
                symbols = _Rounded.apply(group.matrix(tensors[group.name]) / step)
            else:
                step = group.spread(torch.exp2(log2_step))
                symbols = group.matrix(tensors[group.name]) / step
                symbols = symbols + uniform_noise((*noise, number), symbols.numel(), symbols.device).view_as(symbols)
            context = context_matrix(group, symbols.detach().round().long(), GROUP)
            found[group.name] = (symbols * step).reshape(group.shape)
            bits.append(laplace_bits(symbols, log2_scale[context]).sum())
        return found, torch.stack(bits).sum()

    @torch.no_grad()
    def steps(self) -> dict[str, Int64[Tensor, " G"]]:
        """Numbers of the steps of every tensor."""
        return {group.name: nearest_step(log2_step) for group, log2_step, _ in self._each()}

    def _each(self) -> list[tuple[Grouping, Tensor, Tensor]]:
        steps = self.log2_step.split([group.count for group in self.groupings])
        scales = self.log2_scale.split([num_contexts(group) for group in self.groupings])
        return list(zip(self.groupings, steps, scales, strict=True))


def rounded(group: Grouping, tensor: Float[Tensor, "..."], step: Int64[Tensor, " G"]) -> Float[Tensor, "..."]:
    """A tensor as it comes out of a file.

    Args:
        group: Its groups.
        tensor: Of any numbers.
        step: Numbers of its steps.
    """
    width = group.spread(step_of(step))
    return values_of(symbols_of(group.matrix(tensor.float()), width), width).reshape(group.shape)


def _repeated(values: Tensor, counts: Sequence[int]) -> Tensor:
    return torch.cat([value.expand(count) for value, count in zip(values, counts, strict=True)]).clone()
