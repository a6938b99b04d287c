"""What stays open between reads: a few handles for each process and thread, never shared between them."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class OpenFiles(Generic[T]):
    """The handles used last by this process and this thread, at most ``capacity`` of them.

    A decoder opened before a fork crashes in the child, and so does closing it there; one used by two threads aborts.
    So every (process, thread) has handles of its own, and those inherited through a fork are left alone, unused.

    Args:
        capacity: Handles kept open per thread; the one unused for longest is let go.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._handles: dict[tuple[int, int], OrderedDict[Hashable, T]] = {}

    def get(self, key: Hashable, open_one: Callable[[], T]) -> T:
        """The handle of ``key``, opened by ``open_one`` when this thread has none."""
        mine = self._mine()
        if key not in mine:
            handle = open_one()
            while len(mine) >= self.capacity:
                mine.popitem(last=False)
            mine[key] = handle
        mine.move_to_end(key)
        return mine[key]

    def drop(self, key: Hashable) -> None:
        """Lets go of this thread's handle of ``key``, if there is one."""
        self._mine().pop(key, None)

    def __len__(self) -> int:
        return len(self._mine())

    def _mine(self) -> OrderedDict[Hashable, T]:
        return self._handles.setdefault((os.getpid(), threading.get_ident()), OrderedDict())
