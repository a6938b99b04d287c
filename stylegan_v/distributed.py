"""Several processes, one batch: means over ranks, and a DDP strategy for modules that reduce their own gradients.

Alternating optimisers do not fit torch's DistributedDataParallel, which waits for the gradient of every parameter in
every backward pass. Here a module that declares ``reduces_own_gradients = True`` is not wrapped; it averages all its
gradients once per optimiser step: afterwards (`average_over_ranks`), or from its last backward pass on (`Exchange`).
Importing this file makes the strategy answer to "ddp" and its relatives, so ``strategy: auto`` finds it when there are
several devices.
"""

from __future__ import annotations

import atexit
import os
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy, StrategyRegistry
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


def num_ranks() -> int:
    """How many processes train together; 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def launched_by_torchrun() -> bool:
    """Whether torchrun (or another program of torch.distributed.elastic) started this process and watches over it."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def restarted() -> bool:
    """Whether torchrun has started this process in place of one that ended (``--max-restarts``)."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def keeps_old_addresses() -> bool:
    """Whether torchrun lets processes meet in its own store, under the keys under which those of earlier starts met.

    So a restarted process can find the address of one that has ended (pytorch/pytorch#135712).
    """
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)


def store_of_this_start(timeout: timedelta) -> dist.Store:
    """A part of torchrun's store that no earlier start of the processes of one node has seen.

    Agents count restarts each for itself, so several nodes would not agree on which part it is.

    Args:
        timeout: For how long an answer is waited for.

    Returns:
        The part.

    Raises:
        RuntimeError: torchrun does not answer (`torch.distributed.DistError`).
    """
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    whole = dist.TCPStore(host, port, is_master=False, timeout=timeout)
    return dist.PrefixStore(f"start/{os.environ['TORCHELASTIC_RESTART_COUNT']}", whole)


def lost_peer(error: BaseException) -> bool:
    """Whether an error came up in talking to the other processes: one of them has died, or hangs."""
    frames = traceback.extract_tb(error.__traceback__)
    own = {(__file__, function.__name__) for function in (_wait, store_of_this_start)}
    talking = any(
        frame.filename == dist.distributed_c10d.__file__ or (frame.filename, frame.name) in own for frame in frames
    )
    return isinstance(error, RuntimeError) and talking


def gathered(value: object) -> list[Any]:
    """A value of each rank, in their order; small, since it goes as an object."""
    values = [value] * num_ranks()
    if num_ranks() > 1:
        dist.all_gather_object(values, value)
    return values


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
        _take_mean(flat, bucket)


def _take_mean(total: Tensor, tensors: Sequence[Tensor]) -> None:
    """Gives tensors their parts of a sum over all ranks, divided by their number; overwrites the sum."""
    total /= num_ranks()
    for tensor, part in zip(tensors, total.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def _wait(message: dist.Work) -> None:
    """Until a message has come; its own function, so that `lost_peer` knows an error of it."""
    message.wait()


def leaves_of(loss: Tensor) -> set[int]:
    """Ids of the tensors to whose gradients the backward pass of a scalar adds, if the gradients on the way exist."""
    leaves: set[int] = set()
    seen, waiting = {loss.grad_fn}, [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if hasattr(node, "variable"):
            leaves.add(id(node.variable))
        found = {after for after, _ in node.next_functions if after is not None} - seen
        seen |= found
        waiting += found
    return leaves


class Exchange:
    """The mean over ranks of the gradients of a step, under way while its last backward pass still makes more of them.

    Gradients lie in flat buckets, those of the parameters used last in front, since these are made first. A bucket goes
    when its gradients are there and all buckets before it have gone; what then is left follows in `finish`. So every
    rank sends the same messages in the same order, whichever parameters its losses reach.

    Every rank gets the same bits, and of two ranks those of `average_over_ranks`. Of more, the place of a value in its
    message decides in which order it is summed, so that the two differ by rounding.

    Args:
        parameters: In the order in which a forward pass uses them, the same on every rank.
        bucket_bytes: Size of one message: small enough that the first goes early.
    """

    def __init__(self, parameters: Sequence[Tensor], bucket_bytes: int = 8 << 20) -> None:
        self.buckets = list(buckets(reversed(parameters), bucket_bytes))
        self.missing = [0] * len(self.buckets)  # gradients that the last backward pass still owes
        self.sent: list[tuple[Tensor, dist.Work]] = []
        self.closed = False
        self.sent_early = 0  # buckets that went during the last backward pass

    @contextmanager
    def backward_pass(self, loss: Tensor, last: bool) -> Iterator[None]:
        """To be entered for every backward pass of the step.

        Args:
            loss: Whose it is.
            last: Whether no other one follows, so that gradients are whole as soon as it has added to them.

        Raises:
            RuntimeError: One follows the last.
        """
        if self.closed:
            raise RuntimeError("a backward pass follows the one that was said to be the last of its step")
        self.closed = last
        hooks = self._watch(leaves_of(loss)) if last and num_ranks() > 1 else []
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        self.sent_early = len(self.sent)

    def _watch(self, reached: set[int]) -> list[RemovableHandle]:
        """Waits for the gradients of the parameters of these ids; those of others are what they are."""
        hooks = []
        for number, bucket in enumerate(self.buckets):
            awaited = [parameter for parameter in bucket if id(parameter) in reached]
            self.missing[number] = len(awaited)
            hooks += [p.register_post_accumulate_grad_hook(partial(self._arrived, number)) for p in awaited]
        return hooks

    def _arrived(self, number: int, parameter: Tensor) -> None:
        self.missing[number] -= 1
        while len(self.sent) < len(self.buckets) and self.missing[len(self.sent)] == 0:
            self._send()

    def _send(self) -> None:
        """The first bucket that has not gone."""
        bucket = self.buckets[len(self.sent)]
        for parameter in bucket:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([parameter.grad.reshape(-1) for parameter in bucket])
        self.sent.append((flat, dist.all_reduce(flat, async_op=True)))

    def finish(self, others: Sequence[Tensor] = ()) -> None:
        """Replaces every gradient by its mean over all ranks; where a rank has none, it counts as zero.

        Args:
            others: What else is averaged, in place.
        """
        if num_ranks() == 1:
            return
        while len(self.sent) < len(self.buckets):
            self._send()
        average_over_ranks(others)
        for bucket, (flat, message) in zip(self.buckets, self.sent, strict=True):
            _wait(message)
            _take_mean(flat, [parameter.grad for parameter in bucket])


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

    def setup_distributed(self) -> None:
        if restarted() and keeps_old_addresses() and os.environ["GROUP_WORLD_SIZE"] == "1":
            self.set_world_ranks()
            device = None if self.root_device.type == "cpu" else self.root_device
            dist.init_process_group(
                self._get_process_group_backend(),
                store=store_of_this_start(self._timeout),
                rank=self.global_rank,
                world_size=self.world_size,
                timeout=self._timeout,
                device_id=device,
            )  # Lightning goes on with a group that there is, and leaves it to us to end it
            atexit.register(end_group)
        super().setup_distributed()

    def configure_ddp(self) -> None:
        if getattr(self.lightning_module, "reduces_own_gradients", False):
            copy_from_first_rank(self.lightning_module)
        else:
            super().configure_ddp()

    def wait_at_most(self, seconds: float) -> None:
        """Sets for how long a process waits for the others before it ends; to be called before training."""
        self._timeout = timedelta(seconds=seconds)


def end_group() -> None:
    """Ends the group of all processes, if there still is one; NCCL complains about one that is left."""
    if dist.is_initialized():
        dist.destroy_process_group()


def register() -> None:
    """Lets `OwnReductionDDPStrategy` answer to every strategy name that meant Lightning's own DDP."""
    plain = [name for name, entry in StrategyRegistry.items() if entry["strategy"] is DDPStrategy]
    for name in plain:
        StrategyRegistry.remove(name)
    if plain:
        OwnReductionDDPStrategy.register_strategies(StrategyRegistry)


register()
