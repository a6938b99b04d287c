"""Work shared by several processes, with the result of one: parts go round, results come back in their order.

Shape legend
    n, D    items of a part, feature dimension
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch.distributed as dist

from errors import InputError

Part = TypeVar("Part")
Made = TypeVar("Made")


class Ranks:
    """The processes that evaluate together; one, where nothing is distributed.

    Args:
        group: Of torch.distributed; None: all processes, if there are several.
    """

    def __init__(self, group: Any = None) -> None:
        distributed = dist.is_available() and dist.is_initialized()
        self.group = group
        self.size = dist.get_world_size(group) if distributed else 1
        self.rank = dist.get_rank(group) if distributed else 0

    def gather(self, value: Made) -> list[Made]:
        """The values of all ranks, on every rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.group)
        return values

    def of_first(self, value: Made) -> Made:
        """What the first rank has."""
        if self.size == 1:
            return value
        values = [value if self.rank == 0 else None]
        first = 0 if self.group is None else dist.get_global_rank(self.group, 0)
        dist.broadcast_object_list(values, src=first, group=self.group)
        return values[0]

    def share(self, parts: Sequence[Part]) -> Sequence[Part]:
        """The parts of this rank, in the order in which `in_order` asks for them."""
        return parts[self.rank :: self.size]

    def in_order(self, parts: Sequence[Part], make: Callable[[Part], Made]) -> Iterator[Made]:
        """What is made of every part, in the order of the parts, on every rank.

        Each part is made by one rank, whole, as a single process makes it: so the results are the same for any number
        of ranks. What goes wrong on one rank ends the work on all, instead of leaving the others waiting.

        Args:
            parts: The same on every rank.
            make: Called for the parts of this rank.

        Raises:
            Exception: Whatever ``make`` raises here; or `InputError`, for what it raised elsewhere.
        """
        for first in range(0, len(parts), self.size):
            together = parts[first : first + self.size]
            made, failure = None, None
            try:
                made = make(together[self.rank]) if self.rank < len(together) else None
            except Exception as error:  # the others are told before it goes on
                failure = error
            all_made = self.gather((made, failure and f"{type(failure).__name__}: {failure}"))
            if failure is not None:
                raise failure
            if elsewhere := [message for _, message in all_made if message]:
                raise InputError(f"another process failed: {elsewhere[0]}")
            yield from (value for value, _ in all_made[: len(together)])
