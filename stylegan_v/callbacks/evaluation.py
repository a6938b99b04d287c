"""Scores of the averaged generator: while it trains, on a thread beside the loop, and by `train.py validate|test`.

Training stops for a moment, in which the averaged generator is copied (and, with a monitored protocol, the state
written); everything else happens on the thread. It draws no global random numbers and changes nothing that training
uses: a run with evaluation and one without have the same weights, bit for bit.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.rank_zero import rank_zero_info
from tqdm import tqdm

from errors import InputError
from stylegan_v.callbacks.background import Worker
from stylegan_v.callbacks.best import BestCheckpoint
from stylegan_v.callbacks.counters import Counters
from stylegan_v.callbacks.measuring import (
    Measurement,
    headline,
    load_measurements,
    read_protocols,
    real_side,
    scalars,
    try_out,
)
from stylegan_v.callbacks.scoring import Scoring, score
from stylegan_v.callbacks.together import agreed, interrupted, new_group

if TYPE_CHECKING:
    from stylegan_v.metrics.collecting import Options
    from stylegan_v.metrics.sides import Part, RealSide

_log = logging.getLogger(__name__)
_LOOK_EVERY = 0.2  # seconds, at what is still running at the end
_PATIENCE = 20.0  # seconds for a job that was told to stop


class Evaluation(Callback):
    """Scores by named protocols, every so many thousand frames and at the end, on the validation half of the data.

    Results go to ``metrics.jsonl`` and ``metrics.png`` of the run folder, to TensorBoard and to the log. One evaluation
    runs at a time: one that comes due before the last has ended is left out, since the loop must not wait for it; the
    one at the end of training always takes place.

    Args:
        protocols: Names of protocols, or YAML files; none: nothing is measured.
        every_kimg: Thousands of frames between two evaluations.
        monitor: The protocol whose best state is kept as ``best.ckpt``; None: none is kept.
        background: Measure beside training; false holds the loop until the scores are there.
        detectors: Files of weights, by name of the feature network; others are looked for in the cache folder.
        test_on: What `train.py test` measures on: the half that nothing was chosen on, or all videos.
        batch_frames: Frames that the networks work on at once.
        cache_dir: Where statistics of real videos are kept; None: stylegan_v/metrics in $XDG_CACHE_HOME or ~/.cache.
    """

    def __init__(
        self,
        protocols: list[str] | None = None,
        every_kimg: float = 200,
        monitor: str | None = None,
        background: bool = True,
        detectors: dict[str, str] | None = None,
        test_on: Literal["test", "all"] = "test",
        batch_frames: int = 128,
        cache_dir: str | None = None,
    ) -> None:
        if every_kimg <= 0 or batch_frames < 1:
            raise InputError("evaluation.every_kimg, evaluation.batch_frames: give more than 0")
        self.protocols = read_protocols(protocols) if protocols else []
        names = [protocol.name for protocol in self.protocols]
        if monitor is not None and monitor not in names:
            raise InputError(f"evaluation.monitor: {monitor} is none of evaluation.protocols ({', '.join(names)})")
        self.every_kimg, self.monitor, self.background = every_kimg, monitor, background
        self.detectors, self.test_on = detectors or {}, test_on
        self.batch_frames, self.cache_dir = batch_frames, cache_dir
        self.measurements: list[Measurement] = []
        self._real: RealSide | None = None
        self._worker: Worker | None = None
        self._job: Scoring | None = None
        self._best: BestCheckpoint | None = None
        self._due, self._scored_at, self._said_skipped = 0, 0, False
        self._since, self._held = 0.0, 0.0

    # What Lightning calls while training.

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        measurable = hasattr(pl_module, "generator_ema")
        if stage in ("validate", "test") and measurable and not self.protocols:
            raise InputError("evaluation.protocols: none, so there is nothing to measure: give, for example, [fvd_16f]")
        if not self.protocols or trainer.fast_dev_run:
            return
        if not measurable:
            raise InputError(f"evaluation.protocols: {type(pl_module).__name__} has no averaged generator to measure")
        self._real = real_side(trainer.datamodule, self._part(stage))
        self.measurements = load_measurements(
            self.protocols,
            self.detectors,
            trainer.strategy.root_device,
            partial(try_out, generator=pl_module.generator_ema, real=self._real),
            partial(agreed, trainer),
        )
        if stage != "fit" and not self.measurements:
            raise InputError("evaluation.protocols: none of them can be measured; the lines above say why")
        for measurement in self.measurements:
            if stage == "fit" and measurement.protocol.name == self.monitor:
                lower = measurement.protocol.lower_is_better
                self._best = BestCheckpoint(_folder(trainer), self.monitor, lower_is_better=lower)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        counters = Counters.of(trainer, pl_module)
        self._due, self._scored_at = self._num_due(counters), counters.updates
        self._since, self._held = time.monotonic(), 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.measurements:
            return
        counters = Counters.of(trainer, pl_module)
        with self._holding():
            self._collect(trainer)
            if self._num_due(counters) > self._due:
                self._due = self._num_due(counters)
                self._begin_unless_busy(trainer, pl_module, counters)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.measurements:
            return
        held, lasted = self._held, time.monotonic() - self._since
        counters = Counters.of(trainer, pl_module)
        with self._holding():
            if self._finish(trainer) and counters.updates != self._scored_at:
                self._begin(trainer, pl_module, counters)
                self._finish(trainer)
        self._log(trainer, {"metrics/held_share": self._held_share()}, counters.updates)
        waited = self._held - held
        rank_zero_info(f"evaluation: held training for {held / lasted:.1%} of its time, and {waited:.1f} s at its end")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SIGTERMException):
            self._collect(trainer)
        self._abandon(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    # What Lightning calls for `validate` and `test`: its loop over batches has a single empty one, since which clips
    # are looked at, and how often, is up to the protocols.

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._score_now(trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._score_now(trainer, pl_module)

    def _score_now(self, trainer: Trainer, module: LightningModule) -> None:
        """Prints and keeps all scores of the state at hand."""
        about = self._about(trainer, Counters.of(trainer, module)) | {"checkpoint": str(trainer.ckpt_path)}
        lost = []
        for measurement in self.measurements:
            name = measurement.protocol.name
            try:
                with _bar(trainer) as bar:
                    options = self._options(trainer, group=new_group(trainer), progress=partial(_show, bar, name))
                    record = score(measurement, module.generator_ema, self._real, options, about, _first_only(trainer))
            except InputError as error:
                lost.append(name)
                self._warn(trainer, f"evaluation: {name} left out: {error}")
                continue
            if trainer.is_global_zero:
                from stylegan_v.metrics.results import as_text

                print(as_text(record), flush=True)
        if lost:
            raise InputError(f"evaluation.protocols: {', '.join(lost)}: not measured; the lines above say why")

    # An evaluation from its beginning to its end.

    def _begin_unless_busy(self, trainer: Trainer, module: LightningModule, counters: Counters) -> None:
        if not agreed(trainer, self._job is None or self._job.over):
            if not self._said_skipped:
                self._said_skipped = True
                rank_zero_info(
                    f"evaluation: that of update {self._job.updates} still runs and that of update {counters.updates} "
                    "is left out, as will be others that come too early: a larger evaluation.every_kimg avoids it"
                )
            return
        self._close(trainer)
        self._begin(trainer, module, counters)

    def _begin(self, trainer: Trainer, module: LightningModule, counters: Counters) -> None:
        """Copies the generator and has its scores computed."""
        self._scored_at = counters.updates
        if self._best is not None:
            self._best.write_candidate(trainer, module)
        generator = copy.deepcopy(module.generator_ema)
        groups, options = [new_group(trainer) for _ in self.measurements], self._options(trainer)
        where = self._about(trainer, counters), _first_only(trainer)
        self._job = Scoring(self.measurements, generator, self._real, options, groups, *where)
        if self.background:
            self._worker = self._worker or Worker("evaluation")
            self._worker.submit(self._job)
        else:
            self._job.run()
            self._close(trainer)

    def _collect(self, trainer: Trainer) -> None:
        """Publishes what the job has found so far."""
        job = self._job
        while job is not None and not job.records.empty():
            record = job.records.get()
            self._log(trainer, scalars(record) | {"metrics/held_share": self._held_share()}, job.updates)
            rank_zero_info(headline(record))
            if self._best is not None and record["protocol"] == self.monitor and trainer.is_global_zero:
                self._best.settle(record)
        while job is not None and not job.failures.empty():
            self._warn(trainer, job.failures.get())

    def _close(self, trainer: Trainer) -> None:
        """Puts away a job that is over on all ranks."""
        if self._job is not None:
            self._collect(trainer)
            self._job.close()
            self._job = None
            self._drop_candidate(trainer)

    def _finish(self, trainer: Trainer) -> bool:
        """Waits for the job, with a bar; says whether it was not interrupted."""
        with _bar(trainer) as bar:
            while self._job is not None and not agreed(trainer, self._job.over):
                if interrupted(trainer):
                    self._collect(trainer)
                    self._abandon(trainer)
                    break
                self._job.wait(_LOOK_EVERY)
                _show(bar, self._job.label, *self._job.progress)
        self._close(trainer)
        return not interrupted(trainer)

    def _abandon(self, trainer: Trainer) -> None:
        """Ends a job early; its state has no score then."""
        if self._job is None:
            return
        self._job.stop()
        if self._job.wait(_PATIENCE):
            self._job.close()
        else:
            self._warn(trainer, f"evaluation of update {self._job.updates}: does not stop, and is left behind")
        self._job = None
        self._drop_candidate(trainer)

    def _drop_candidate(self, trainer: Trainer) -> None:
        if self._best is not None and trainer.is_global_zero:
            self._best.drop_candidate()

    # Small things.

    def _part(self, stage: str) -> Part:
        return self.test_on if stage == "test" else "validation"

    def _num_due(self, counters: Counters) -> int:
        """How many evaluations should have begun by now."""
        return int(counters.frames // (1000 * self.every_kimg))

    def _about(self, trainer: Trainer, counters: Counters) -> dict[str, Any]:
        return {"verb": str(trainer.state.fn.value), "updates": counters.updates, "kimg": counters.frames / 1000}

    def _options(self, trainer: Trainer, **more: Any) -> Options:
        from stylegan_v.metrics.collecting import Options

        return Options(trainer.strategy.root_device, self.cache_dir, self.batch_frames, **more)

    def _log(self, trainer: Trainer, values: Mapping[str, float], updates: int) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(values, step=updates)

    def _warn(self, trainer: Trainer, text: str) -> None:
        # On every rank: what goes wrong on one of them is not known to the others.
        _log.warning("%s", text if trainer.world_size == 1 else f"rank {trainer.global_rank}: {text}")

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Counts the time of the body as time in which the loop was held."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._held += time.monotonic() - begun

    def _held_share(self) -> float:
        return self._held / max(time.monotonic() - self._since, 1e-9)


def _folder(trainer: Trainer) -> Path:
    return Path(trainer.default_root_dir)


def _first_only(trainer: Trainer) -> Path | None:
    """The run folder, for the rank that writes to it."""
    if not trainer.is_global_zero:
        return None
    _folder(trainer).mkdir(parents=True, exist_ok=True)
    return _folder(trainer)


def _bar(trainer: Trainer) -> tqdm:
    """A bar, in a terminal only."""
    return tqdm(unit="frame", unit_scale=True, leave=False, disable=None if trainer.is_global_zero else True)


def _show(bar: tqdm, label: str, done: int, total: int) -> None:
    bar.set_description(label, refresh=False)
    bar.total, bar.n = total, done
    bar.refresh()
