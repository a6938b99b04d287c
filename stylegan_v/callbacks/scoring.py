"""The scores of one state of a generator, computed beside training or by themselves."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from errors import InputError
from stylegan_v.callbacks.background import Job
from stylegan_v.callbacks.measuring import Measurement, append_result, measure

if TYPE_CHECKING:
    from stylegan_v.metrics.collecting import Options
    from stylegan_v.metrics.sides import RealSide
    from stylegan_v.networks import Generator


def score(
    measurement: Measurement,
    generator: Generator,
    real: RealSide,
    options: Options,
    about: Mapping[str, Any],
    folder: Path | None,
) -> dict[str, Any]:
    """One score, on record.

    Args:
        measurement: What is measured.
        generator: In evaluation mode.
        real: What it is measured against.
        options: How it is computed.
        about: What stands before the result in the record: where the run was.
        folder: Of the run, to whose files the record is added; None: it is not.
    """
    record = {**about, **measure(measurement, generator, real, options)}
    if folder is not None:
        append_result(folder, record)
    return record


class Scoring(Job):
    """The scores of one state, as a job.

    What goes wrong is kept and does not reach training, nor the other protocols. Where several ranks work together,
    each protocol has a group of its own, which the rank that failed closes: the others fail as well instead of waiting.

    Args:
        measurements: What is measured, in this order.
        generator: In evaluation mode; nobody else changes it.
        real: What it is measured against.
        options: How.
        groups: Of processes, one per measurement, for this job alone; None where there is one process.
        about: Where the run is: ``updates`` among other values.
        folder: Of the run, to whose files the records are added; None: they are not, as on all ranks but the first.

    Attributes:
        records: What was found, as it comes.
        failures: What went wrong, as one line or with a traceback.
        label: The protocol that is being measured.
    """

    def __init__(
        self,
        measurements: Sequence[Measurement],
        generator: Generator,
        real: RealSide,
        options: Options,
        groups: Sequence[Any],
        about: Mapping[str, Any],
        folder: Path | None,
    ) -> None:
        super().__init__()
        self.measurements, self.groups = list(measurements), list(groups)
        self.generator, self.real, self.about, self.folder = generator, real, dict(about), folder
        self.options = replace(options, progress=self.report, stop=self.stopping)
        self.records: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.failures: SimpleQueue[str] = SimpleQueue()
        self.label = ""
        self._stream = _stream_after_now(torch.device(options.device))

    @property
    def updates(self) -> int:
        """Of the state."""
        return self.about["updates"]

    def work(self) -> None:
        # Gradients are switched per thread, as is the stream: kernels of training do not wait for those of the job.
        with torch.no_grad(), self._beside():
            for measurement, i in zip(self.measurements, range(len(self.groups)), strict=True):
                if not self.stopping():
                    self.label = measurement.protocol.name
                    if not self._attempt(measurement, i):
                        self._hang_up([i])
            if self._stream is not None:
                self._stream.synchronize()  # its memory may be given to training from here on

    def close(self) -> None:
        """Ends the groups, once the job is over; other ranks that still wait in one of them fail."""
        self._hang_up(range(len(self.groups)))

    def _attempt(self, measurement: Measurement, i: int) -> bool:
        """Measures, in group ``i``, and keeps what comes of it; says whether nothing went wrong."""
        from stylegan_v.metrics.collecting import Stopped

        options = replace(self.options, group=self.groups[i])
        try:
            self.records.put(score(measurement, self.generator, self.real, options, self.about, self.folder))
        except Stopped:
            self.stop()
        except BaseException as error:  # on a thread, nobody else would hear of it
            said = " ".join(str(error).split()) if isinstance(error, InputError) else traceback.format_exc()
            self.failures.put(f"evaluation of update {self.updates}, {self.label}: {said}")
            return False
        return True

    def _hang_up(self, numbers: Sequence[int]) -> None:
        """Ends some groups: other ranks may wait there for this one, and shall not."""
        mine = [i for i in numbers if self.groups[i] is not None]
        for i in mine:
            dist.destroy_process_group(self.groups[i])
            self.groups[i] = None
        if mine:
            gc.collect()  # connections end with the last reference, and what evaluated may be a circle of them

    def _beside(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def _stream_after_now(device: torch.device) -> torch.cuda.Stream | None:
    """A stream whose work comes after all that was asked of the device so far; None where there are no streams."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream
