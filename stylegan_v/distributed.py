"""Several processes, one batch: means over ranks, and a DDP strategy for modules that reduce their own gradients.

Alternating optimisers do not fit torch's DistributedDataParallel, which waits for the gradient of every parameter in
every backward pass. Here a module that declares ``reduces_own_gradients = True`` is not wrapped; it calls
`average_over_ranks` once per optimiser step, on all gradients together. Importing this file makes the strategy answer
to "ddp" and its relatives, so ``strategy: auto`` finds it when there are several devices.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import chain

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy, StrategyRegistry
from torch import Tensor, nn


def num_ranks() -> int:
    """How many processes train together; 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def launched_by_torchrun() -> bool:
    """Whether torchrun (or another program of torch.distributed.elastic) started this process and watches over it."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def restarted() -> bool:
    """Whether torchrun has started this process in place of one that ended (``--max-restarts``)."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def lost_peer(error: BaseException) -> bool:
    """Whether an error came up in talking to the other processes: one of them has died, or hangs."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, RuntimeError) and any(frame.filename == dist.distributed_c10d.__file__ for frame in frames)


def summed_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all ranks; the tensor itself stays as it is."""
    total = tensor.clone()
    if num_ranks() > 1:
        dist.all_reduce(total)
    return total


def average_over_ranks(tensors: Sequence[Tensor], bucket_bytes: int = 64 << 20) -> None:
    """Replaces every tensor, in place, by its mean over all ranks; every rank gets the same bits.

    Args:
        tensors: The same shapes and dtypes, in the same order, on every rank.
        bucket_bytes: Size of one message: large enough that latency does not matter, small beside the gradients.
    """
    if num_ranks() == 1:
        return
    for bucket in buckets(tensors, bucket_bytes):
        flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
        dist.all_reduce(flat)
        flat /= num_ranks()
        for tensor, part in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
            tensor.copy_(part.view_as(tensor))


def buckets(tensors: Iterable[Tensor], max_bytes: int) -> Iterator[list[Tensor]]:
    """The tensors in runs of one dtype, at most ``max_bytes`` long unless a single tensor is longer."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or size + tensor.nbytes > max_bytes):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket


@torch.no_grad()
def copy_from_first_rank(module: nn.Module) -> None:
    """Gives the parameters and buffers of every rank the values of rank 0."""
    if num_ranks() == 1:
        return
    for tensor in chain(module.parameters(), module.buffers()):
        value = tensor.contiguous()
        dist.broadcast(value, src=0)
        tensor.copy_(value)


class OwnReductionDDPStrategy(DDPStrategy):
    """Lightning's DDP, except that a module with ``reduces_own_gradients = True`` stays unwrapped.

    Such a module starts with rank 0's parameters and buffers on every rank and must keep them equal itself.
    """

    def configure_ddp(self) -> None:
        if getattr(self.lightning_module, "reduces_own_gradients", False):
            copy_from_first_rank(self.lightning_module)
        else:
            super().configure_ddp()

    def wait_at_most(self, seconds: float) -> None:
        """Sets for how long a process waits for the others before it ends; to be called before training."""
        self._timeout = timedelta(seconds=seconds)


def register() -> None:
    """Lets `OwnReductionDDPStrategy` answer to every strategy name that meant Lightning's own DDP."""
    plain = [name for name, entry in StrategyRegistry.items() if entry["strategy"] is DDPStrategy]
    for name in plain:
        StrategyRegistry.remove(name)
    if plain:
        OwnReductionDDPStrategy.register_strategies(StrategyRegistry)


register()
