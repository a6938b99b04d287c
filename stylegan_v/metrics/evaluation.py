"""A protocol carried out: reference, draws of fakes, late starts, sanity rows, one result.

Shape legend
    B, T    clips, frames of a clip
    N, D    items of features, feature dimension
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.clip_choice import Chosen, ClipAddress, choose_real
from stylegan_v.metrics.collecting import Ahead, Options, Stopped, Work, frames_of, grouped
from stylegan_v.metrics.detectors.interface import Detector
from stylegan_v.metrics.measures import Measure, measure_of
from stylegan_v.metrics.protocols import MetricProtocol
from stylegan_v.metrics.reference_cache import ReferenceCache
from stylegan_v.metrics.result import Result
from stylegan_v.metrics.sanity import Halves, sanity
from stylegan_v.metrics.sides import Filmed, FilmedSide, GeneratedSide, RealSide
from stylegan_v.metrics.version import version

__all__ = ["Options", "Result", "Stopped", "evaluate"]


def evaluate(
    protocol: MetricProtocol,
    real: RealSide,
    fake: GeneratedSide | FilmedSide,
    detector: Detector,
    options: Options = Options(),  # noqa: B008
) -> Result:
    """Carries a protocol out.

    Args:
        protocol: What is computed.
        real: The reference.
        fake: What is judged.
        detector: The feature network, where ``options.device`` says.
        options: How it is done.

    Raises:
        InputError: There are no clips of the length wanted, or features that are no numbers; or the network cannot
            give what the protocol wants.
        Stopped: ``options.stop`` said so.
    """
    return Evaluation(protocol, real, fake, detector, options).run()


class Evaluation:
    """One carrying out of a protocol; arguments as `evaluate`."""

    def __init__(
        self,
        protocol: MetricProtocol,
        real: RealSide,
        fake: GeneratedSide | FilmedSide,
        detector: Detector,
        options: Options,
    ) -> None:
        self.protocol, self.real, self.fake, self.detector, self.options = protocol, real, fake, detector, options
        check(protocol, detector)
        self.measure: Measure = measure_of(protocol.measure, protocol.seed)
        self.reference_clips = choose_real(real.videos.lengths, protocol.real, protocol.clip, protocol.seed)
        self.fake_clips = fake.choose(protocol) if isinstance(fake, FilmedSide) else None
        self.num_real, self.num_fake = self._numbers()
        if protocol.real.take == "random_frames":  # of all videos so many, not the first so many of more
            wanted = replace(protocol.real, max_num=self.num_real)
            self.reference_clips = choose_real(real.videos.lengths, wanted, protocol.clip, protocol.seed)
        num_draws, num_late = self._num_draws(), len(self._late_starts())
        self.draws, per_draw = range(num_draws), self._items_to_clips(self.num_fake)
        frames = (num_draws + num_late) * per_draw * protocol.clip.num_frames
        self.halves = Halves.choose(protocol, real.videos.lengths, detector.unit, self.num_fake)
        frames += self.halves.num_frames(self.measure)
        if self.measure.needs_reference:
            frames += frames_of(self._reference_addresses())
        self.work = Work(options, frames)

    def run(self) -> Result:
        """The result; see `evaluate`."""
        started = time.monotonic()
        reference, rows, cached = self._reference()
        first, draws = None, []
        for draw in self.draws:
            summary = self._fake_summary(draw)
            first = summary if draw == 0 else first
            draws.append(self.measure.compare(reference, summary))
        late = {
            str(start): self.measure.compare(reference, self._fake_summary(len(self.draws) + i, start))
            for i, start in enumerate(self._late_starts())
        }
        facts = self._facts(rows, late, self.measure.bootstrap(reference, first))
        facts |= {"cached": cached, "seconds": round(time.monotonic() - started, 3)}
        return self.work.ranks.of_first(Result(self.protocol, draws, facts))

    # The reference and the rows that go with it.

    def _reference(self) -> tuple[Any, dict[str, float], bool]:
        """Summary of the real clips, sanity rows, and whether both were found in the cache."""
        cache, key = ReferenceCache(self.options.cache_dir), self._key()
        found = self.work.ranks.of_first(cache.get(key) if self.work.ranks.rank == 0 else None)
        if found is not None:
            arrays, rows = found
            self.work.advance(self.work.total - self.work.done - self._frames_of_fakes())
            return self.measure.from_arrays(arrays) if arrays else None, rows, True
        summary = None
        if self.measure.needs_reference:
            groups = grouped(self._reference_addresses(), self.options.batch_frames)
            read = self._reader_of_real(groups)
            features = self.work.collect(groups, lambda group: self._look(read(group)), frames_of)
            summary = self.measure.summarize(features, self.num_real)
        rows = sanity(self.halves, self.measure, self._reader_of_real, self._look, self.work, self.protocol.seed)
        if self.work.ranks.rank == 0:
            cache.put(key, self.measure.to_arrays(summary) if summary is not None else {}, rows)
        return summary, rows, False

    def _key(self) -> dict[str, Any]:
        return {
            "manifest": self.real.manifest,
            "protocol": self.protocol.digest,
            "detector": self.detector.digest,
            "num": self.num_real,
            "num_sanity": len(self.halves.first),
            "size": list(self.fake.size),
        }

    def _reference_addresses(self) -> list[ClipAddress]:
        """The real clips that are looked at: as many as give ``num_real`` items."""
        items, taken = 0, []
        for address in self.reference_clips.clips:
            if items >= self.num_real:
                break
            taken.append(address)
            items += self._items(address)
        return taken

    # Fakes.

    def _fake_summary(self, draw: int, start: int | None = None) -> Any:
        """Summary of one draw of fakes; no two draws have a video in common."""
        per_draw = self._items_to_clips(self.num_fake)
        batch = max(1, self.options.batch_frames // self.protocol.clip.num_frames)
        numbers = range(draw * per_draw, (draw + 1) * per_draw)
        groups = [numbers[i : i + batch] for i in range(0, per_draw, batch)]

        if isinstance(self.fake, GeneratedSide):
            fake, num_frames = self.fake, self.protocol.clip.num_frames
            features = self.work.collect(
                groups,
                lambda group: self._look(fake.clips(self.protocol, group, start)),
                lambda group: len(group) * num_frames,
            )
        else:
            addresses = [[self.fake_clips.clips[number] for number in group] for group in groups]
            read = self._ahead(self.fake, addresses)
            features = self.work.collect(addresses, lambda group: self._look(read(group)), frames_of)
        return self.measure.summarize(features, self.num_fake)

    def _num_draws(self) -> int:
        """As the protocol says, or as many as videos in files are enough for."""
        if self.fake_clips is None:
            return self.protocol.num_draws
        return max(1, min(self.protocol.num_draws, len(self.fake_clips.clips) // self._items_to_clips(self.num_fake)))

    def _late_starts(self) -> tuple[int, ...]:
        return self.protocol.fake.late_starts if isinstance(self.fake, GeneratedSide) else ()

    def _frames_of_fakes(self) -> int:
        clips = (len(self.draws) + len(self._late_starts())) * self._items_to_clips(self.num_fake)
        return clips * self.protocol.clip.num_frames

    # Numbers.

    def _items(self, address: ClipAddress) -> int:
        return 1 if self.detector.unit == "clip" else address.clip.num_frames

    def _items_to_clips(self, items: int) -> int:
        per_clip = 1 if self.detector.unit == "clip" else self.protocol.clip.num_frames
        return math.ceil(items / per_clip)

    def _numbers(self) -> tuple[int, int]:
        """Items of the reference and of one draw of fakes."""
        num_real = sum(self._items(address) for address in self.reference_clips.clips)
        num_fake = self.protocol.fake.num
        if self.protocol.real.max_num is not None:
            num_real = min(num_real, self.protocol.real.max_num)
        if self.fake_clips is not None:
            num_fake = min(num_fake, sum(self._items(address) for address in self.fake_clips.clips))
            if num_fake == 0:
                raise too_short(self.fake.name, self.protocol, self.fake_clips)
        if num_real == 0 and self.measure.needs_reference:
            raise too_short(self.real.name, self.protocol, self.reference_clips)
        if self.protocol.equal_num and self.measure.needs_reference:
            num_real = num_fake = min(num_real, num_fake)
        fewest = min(num_real, num_fake) if self.measure.needs_reference else num_fake
        if fewest < self.measure.min_items:
            raise InputError(
                f"{self.protocol.name}: {fewest} {self.detector.unit}(s) on a side, and it takes "
                f"{self.measure.min_items}: give more videos"
            )
        return num_real, num_fake

    # Clips to features.

    def _reader_of_real(self, groups: list[list[ClipAddress]]) -> Ahead:
        return self._ahead(self.real, groups)

    def _ahead(self, side: Filmed, groups: list[list[ClipAddress]]) -> Ahead:
        """Reads those of the groups that are this rank's."""
        return Ahead(lambda group: side.fetch(group, self.fake.size), self.work.ranks.share(groups))

    def _look(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "N D"]:
        see: Callable[[Tensor], Tensor] = getattr(self.detector, self.measure.looks_at)
        return see(clips.to(torch.device(self.options.device)))

    def _facts(self, rows: dict[str, float], late: dict[str, float], bootstrap: dict[str, float]) -> dict[str, Any]:
        skipped = {"real": self.reference_clips.num_skipped}
        if self.fake_clips is not None:
            skipped["fake"] = self.fake_clips.num_skipped
        return {
            "bootstrap": bootstrap or None,
            "num_real": self.num_real if self.measure.needs_reference else None,
            "num_fake": self.num_fake,
            "sanity": rows or None,
            "late": late or None,
            "data": self.real.name,
            "part": self.real.part,
            "manifest_hash": self.real.manifest,
            "fake": self.fake.name,
            "fake_hash": self.fake.manifest,
            "labels": self.fake.labelled if isinstance(self.fake, GeneratedSide) else None,
            "size": list(self.fake.size),
            "detector": self.detector.name,
            "detector_hash": self.detector.digest,
            "caveat": self.detector.caveat or None,
            "comparable": None if self.detector.caveat else self.protocol.comparable or None,
            "skipped": skipped,
            "version": version(),
        }


def check(protocol: MetricProtocol, detector: Detector) -> None:
    """Refuses a feature network that a protocol does not mean, or that cannot look at its clips.

    Raises:
        InputError: It has other weights than the protocol says, looks at clips instead of frames, or needs longer ones.
    """
    if protocol.detector_sha256 not in (None, detector.digest):
        raise InputError(
            f"{protocol.name}: the weights of {detector.name} have sha256 {detector.digest}, and the protocol wants "
            f"{protocol.detector_sha256}: give that file"
        )
    if protocol.real.take != "one_clip_per_video" and detector.unit == "clip":
        raise InputError(
            f"{protocol.name}: is of single frames, and {detector.name} looks at clips: choose another of either"
        )
    if protocol.clip.num_frames < detector.min_frames and detector.unit == "clip":
        raise InputError(
            f"{protocol.name}: clips of {protocol.clip.num_frames} frames are too short for {detector.name}, which "
            f"needs {detector.min_frames}: choose another protocol or detector"
        )


def too_short(name: str, protocol: MetricProtocol, chosen: Chosen) -> InputError:
    """What is said where no video is long enough."""
    return InputError(
        f"{protocol.name}: {name}: no video has {protocol.clip.required} frames ({chosen.num_skipped} are shorter): "
        "choose a protocol of shorter clips"
    )
