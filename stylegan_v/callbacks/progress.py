"""The line that says how far a run is: a bar in a terminal, a line now and then in a log file."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from datetime import timedelta
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from tqdm import tqdm

from stylegan_v.callbacks.counters import Counters

_WINDOW_SECONDS = 60.0


class RunProgress(ProgressBar):
    """Thousands of frames (else updates) done and to do, time left, speed, losses; it knows no epochs.

    Args:
        refresh_seconds: Between two states of the bar in a terminal.
        line_seconds: Between two lines where the output is no terminal.
    """

    def __init__(self, refresh_seconds: float = 0.5, line_seconds: float = 30.0) -> None:
        super().__init__()
        self.refresh_seconds, self.line_seconds = refresh_seconds, line_seconds
        self._enabled = True
        self._bar: tqdm | None = None
        self._recent: deque[tuple[float, Counters]] = deque()
        self._shown_at = -math.inf

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def print(self, *args: Any, sep: str = " ", **kwargs: Any) -> None:
        if self._enabled:
            tqdm.write(sep.join(map(str, args)), file=sys.stderr)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        counters = Counters.of(trainer, pl_module)
        self._recent = deque([(time.monotonic(), counters)])
        if self._enabled and sys.stderr.isatty():
            layout = "{percentage:3.0f}%|{bar}| {desc}" if counters.total else "{desc}"
            self._bar = tqdm(
                total=counters.total, initial=counters.done, bar_format=layout, file=sys.stderr, leave=True
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        pause = self.line_seconds if self._bar is None else self.refresh_seconds
        if self._enabled and time.monotonic() - self._shown_at >= pause:
            self._show(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._enabled:
            self._show(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self, trainer: Trainer, module: LightningModule) -> None:
        now, counters = time.monotonic(), Counters.of(trainer, module)
        self._shown_at = now
        while len(self._recent) > 1 and now - self._recent[0][0] > _WINDOW_SECONDS:
            self._recent.popleft()
        before, earlier = self._recent[0]
        self._recent.append((now, counters))
        losses = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("loss/")}
        text = describe(earlier, counters, now - before, losses | trainer.progress_bar_metrics)
        if self._bar is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._bar.n = counters.done
            self._bar.set_description_str(text)


def describe(earlier: Counters, now: Counters, seconds: float, metrics: dict[str, float]) -> str:
    """The state of a run in one line.

    Args:
        earlier: Where it was.
        now: Where it is.
        seconds: Time between the two.
        metrics: Values to show, by name.
    """
    parts = [f"update {now.updates}" + (f"/{now.total_updates}" if now.total_updates else "")]
    if now.frames:
        total = f"/{now.total_frames / 1000:g}" if now.total_frames else ""
        parts.append(f"kimg {now.frames / 1000:.{1 if now.frames >= 10_000 else 3}f}{total}")
    per_second = (now.done - earlier.done) / seconds if seconds > 0 else 0.0
    if now.total and per_second:
        left = max(0.0, now.total - now.done) / per_second
        parts.append(f"ETA {timedelta(seconds=round(left))}")
    if seconds > 0:
        unit = "clips" if now.clips else "images" if now.images else "updates"
        done = getattr(now, unit) - getattr(earlier, unit)
        parts.append(f"{done / seconds:.1f} {unit}/s")
    return "  ".join([*parts, *(f"{name} {value:.3g}" for name, value in metrics.items())])
