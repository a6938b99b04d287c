"""Features of many clips, group by group: with progress, a way to stop, and several processes.

Shape legend
    N, D    items, feature dimension
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from stylegan_v.metrics.clip_choice import ClipAddress
from stylegan_v.metrics.ranks import Ranks

Group = TypeVar("Group")


class Stopped(Exception):
    """The evaluation was asked to stop; there is no result."""


@dataclass(frozen=True)
class Options:
    """How an evaluation is carried out; none of it changes its result.

    Args:
        device: Where feature networks work; a generator stays where it is.
        cache_dir: Where statistics of real videos are kept; None: stylegan_v/metrics in $XDG_CACHE_HOME or ~/.cache.
        batch_frames: Frames that are looked at together.
        group: Of torch.distributed, all of whose ranks evaluate together; None: all processes there are.
        progress: Told frames done and frames in all.
        stop: Asked between groups; once it says yes, on any rank, `Stopped` is raised on all.
    """

    device: str | torch.device = "cpu"
    cache_dir: str | Path | None = None
    batch_frames: int = 128
    group: Any = None
    progress: Callable[[int, int], None] | None = None
    stop: Callable[[], bool] | None = None


class Work:
    """What is being done of an evaluation, by all ranks together.

    Args:
        options: How.
        total: Frames in all.

    Attributes:
        ranks: The processes.
    """

    def __init__(self, options: Options, total: int) -> None:
        self.options, self.total, self.done = options, total, 0
        self.ranks = Ranks(options.group)

    def collect(
        self, groups: Sequence[Group], make: Callable[[Group], Tensor], num_frames: Callable[[Group], int]
    ) -> Iterator[Tensor]:
        """What is made of every group, on the CPU, in order.

        Args:
            groups: Of clips; the same on every rank.
            make: Features of a group.
            num_frames: Frames of a group.

        Raises:
            Stopped: Some rank was asked to stop.
        """

        def attempt(group: Group) -> Tensor | None:
            return None if self.options.stop is not None and self.options.stop() else make(group).cpu()

        for group, made in zip(groups, self.ranks.in_order(groups, attempt), strict=True):
            if made is None:
                raise Stopped
            self.advance(num_frames(group))
            yield made

    def advance(self, num_frames: int) -> None:
        """Counts frames as done."""
        self.done += num_frames
        if self.options.progress is not None:
            self.options.progress(self.done, self.total)


class Ahead:
    """Reads groups of clips, each while features of the one before it are made.

    Args:
        fetch: Begins to read a group.
        groups: Those that will be asked for, in this order.
    """

    def __init__(self, fetch: Callable[[Group], Future[Tensor]], groups: Sequence[Group]) -> None:
        self._fetch, self._groups = fetch, iter(groups)
        self._next = self._begin()

    def __call__(self, group: Group) -> Tensor:
        """The clips of the next group."""
        wanted, self._next = self._next, self._begin()
        if wanted is None or wanted[0] is not group:
            raise ValueError("groups are read in another order than was said")
        return wanted[1].result()

    def _begin(self) -> tuple[Group, Future[Tensor]] | None:
        return next(((group, self._fetch(group)) for group in self._groups), None)


def grouped(clips: Sequence[ClipAddress], batch_frames: int) -> list[list[ClipAddress]]:
    """The clips in runs of at most ``batch_frames`` frames, at least one clip each."""
    groups: list[list[ClipAddress]] = []
    room = 0
    for address in clips:
        if address.clip.num_frames > room or not groups:
            groups.append([])
            room = max(batch_frames, address.clip.num_frames)
        groups[-1].append(address)
        room -= address.clip.num_frames
    return groups


def frames_of(clips: Sequence[ClipAddress]) -> int:
    """Frames of some clips together."""
    return sum(address.clip.num_frames for address in clips)
