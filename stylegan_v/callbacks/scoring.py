"""The scores of one state of a generator, computed beside training or by themselves."""

from __future__ import annotations

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

    What goes wrong is reported and does not reach training. Where several ranks work together, the one that failed
    closes the group that they talk through, so that the others fail as well instead of waiting for it.

    Args:
        measurements: What is measured, in this order.
        generator: In evaluation mode; nobody else changes it.
        real: What it is measured against.
        options: How; a group of theirs belongs to this job alone.
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
        about: Mapping[str, Any],
        folder: Path | None,
    ) -> None:
        super().__init__()
        self.measurements, self.generator, self.real, self.about, self.folder = (
            measurements,
            generator,
            real,
            dict(about),
            folder,
        )
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
            for measurement in self.measurements:
                self.label = measurement.protocol.name
                if not self._attempt(measurement):
                    break
            if self._stream is not None:
                self._stream.synchronize()  # its tensors may be given to training from here on

    def _attempt(self, measurement: Measurement) -> bool:
        """Measures and keeps what comes of it; says whether the next protocol can be tried."""
        from stylegan_v.metrics.collecting import Stopped

        try:
            self.records.put(score(measurement, self.generator, self.real, self.options, self.about, self.folder))
        except Stopped:
            return False
        except BaseException as error:  # on a thread, nobody else would hear of it
            said = " ".join(str(error).split()) if isinstance(error, InputError) else traceback.format_exc()
            self.failures.put(f"evaluation of update {self.updates}, {self.label}: {said}")
            return self._alone()
        return True

    def _alone(self) -> bool:
        """Whether no other rank waits for this one; if so, they are let go."""
        if self.options.group is None:
            return True
        close_group(self.options.group)
        return False

    def _beside(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def close_group(group: Any) -> None:
    """Ends a process group, if it has not ended yet."""
    if group in dist.distributed_c10d._world.pg_map:
        dist.destroy_process_group(group)


def _stream_after_now(device: torch.device) -> torch.cuda.Stream | None:
    """A stream whose work comes after all that was asked of the device so far; None where there are no streams."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream
