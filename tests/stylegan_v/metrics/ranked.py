"""Scores of a tiny generator by all processes together, each of which writes down what it was given.

python -m tests.stylegan_v.metrics.ranked WHAT REAL OUT    WHAT: whole, or spoilt or stopped on the second rank
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from stylegan_v.metrics.command import processes
from stylegan_v.metrics.evaluation import Options, Stopped, evaluate
from stylegan_v.metrics.protocols import read_protocol
from stylegan_v.metrics.ranks import Ranks
from stylegan_v.metrics.sides import FilmedSide, GeneratedSide, RealSide
from tests.stylegan_v.metrics.coded_videos import Stub
from tests.stylegan_v.tiny_gan import generator

NAMES = ("styleganv_fvd2048_16f", "kvd_16f", "styleganv_kid", "styleganv_ucf_is")


class SpoiltStub(Stub):
    """Fails at its second group."""

    def features(self, clips: Tensor) -> Tensor:
        if len(self.clips) == 1:
            raise MemoryError("no memory is left")
        return super().features(clips)


def scores(root: Path, kept: Path, stub: type[Stub] = Stub, stop: Callable[[], bool] | None = None) -> list[Any]:
    """Records of a generator by several protocols, the last one twice, and of videos in files."""
    real, told, records = RealSide.open(root), [], []
    options = Options(cache_dir=kept, batch_frames=32, progress=lambda *n: told.append(n), stop=stop)
    for name in (*NAMES, NAMES[-1]):
        protocol = read_protocol(name).changed(fake__num=11, num_draws=2, fake__late_starts=(), real__max_num=9)
        unit = "frame" if protocol.detector == "inception" else "clip"
        records.append(evaluate(protocol, real, GeneratedSide(generator(), real), stub(unit), options).record())
        assert told[-1][0] == told[-1][1]
    protocol = read_protocol("fvd_16f").changed(fake__num=5)
    records.append(evaluate(protocol, real, FilmedSide.open(root), stub(), options).record())
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def main(what: str, root: str, out: str) -> None:
    with processes():
        second = Ranks().rank == 1
        said: Any
        try:
            stub = SpoiltStub if what == "spoilt" and second else Stub
            said = scores(Path(root), Path(out) / "kept", stub, lambda: what == "stopped" and second)
        except (Stopped, ValueError, MemoryError) as error:
            said = f"{type(error).__name__}: {error}"
        (Path(out) / f"rank{Ranks().rank}.json").write_text(json.dumps(said, allow_nan=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
