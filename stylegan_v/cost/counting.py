"""What runs, counted as it runs, with memory or without: multiply-adds, values moved, and bytes alive at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


def tensors_in(nested: object) -> Iterator[Tensor]:
    """The tensors of arguments or results, one after the other."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, dict):
        yield from tensors_in(list(nested.values()))
    elif isinstance(nested, list | tuple):
        for one in nested:
            yield from tensors_in(one)


@dataclass
class Work:
    """Operations that have to be done.

    Attributes:
        operations: (multiply-adds, values moved) of each matrix product and convolution.
        words: Float32 values moved beside them.
    """

    operations: list[tuple[int, int]] = field(default_factory=list)
    words: int = 0

    @property
    def multiply_adds(self) -> int:
        return sum(count for count, _ in self.operations)

    def bytes(self, width: int) -> int:
        """At least; ``width`` bytes per value of a product."""
        return width * sum(values for _, values in self.operations) + 4 * self.words

    def seconds(self, teraflops: float, terabytes: float, width: int) -> float:
        """At least, on a machine of these speeds.

        Args:
            teraflops: 10^12 operations per second of its matrix products.
            terabytes: 10^12 bytes per second that it moves.
            width: Bytes per value of a product.
        """
        products = sum(max(2 * n / teraflops, width * values / terabytes) for n, values in self.operations)
        return (products + 4 * self.words / terabytes) / 1e12

    def __add__(self, other: Work) -> Work:
        return Work(self.operations + other.operations, self.words + other.words)


class Counter(TorchDispatchMode):
    """Notes the products and convolutions that run inside, backward passes included."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Work()

    def __torch_dispatch__(
        self, func: torch._ops.OpOverload, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            count = formula(*args, **(kwargs or {}), out_val=out) // 2
            values = sum(tensor.numel() for tensor in tensors_in([args, out]))
            self.work.operations.append((count, values))
        return out


def worked(call: Callable[[], object]) -> Work:
    """What a call does."""
    with Counter() as counter:
        call()
    return counter.work


class LiveTensors(TorchDispatchMode):
    """The largest number of bytes of tensors, made inside, that are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._held = 0  # bytes of what is known, the dead among them since they were last looked for included
        self._known: dict[int, tuple[StorageWeakRef, int]] = {}

    def _remember(self, tensors: Iterator[Tensor], counted: bool) -> None:
        for storage in (tensor.untyped_storage() for tensor in tensors):
            if storage._cdata not in self._known:
                size = storage.nbytes() * counted
                self._known[storage._cdata] = StorageWeakRef(storage), size
                self._held += size

    def __torch_dispatch__(
        self, func: torch._ops.OpOverload, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        self._remember(tensors_in((args, kwargs or {})), counted=False)  # made before
        out = func(*args, **(kwargs or {}))
        self._remember(tensors_in(out), counted=True)
        if self._held > self.peak:  # perhaps a new peak: looking who is alive takes long
            self._known = {key: one for key, one in self._known.items() if not one[0].expired()}
            self._held = sum(size for _, size in self._known.values())
            self.peak = max(self.peak, self._held)
        return out


class StillMotion(nn.Module):
    """Stands for a motion, whose work on a few codes is not worth counting: time embeddings of its shape.

    Args:
        out_dim: Values of an embedding.
        segment_dim: Of what follows each, see `networks.Motion`; 0 where nothing does.
    """

    def __init__(self, out_dim: int, segment_dim: int = 0) -> None:
        super().__init__()
        self.out_dim, self.segment_dim = out_dim, segment_dim

    def forward(self, t: Tensor, c: Tensor | None = None, motion_z: Tensor | None = None, **where: object) -> Tensor:
        return torch.randn(*t.shape, self.out_dim + self.segment_dim)
