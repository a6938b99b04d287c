from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning import Callback

from stylegan_v.callbacks import GracefulStop
from stylegan_v.gan import VideoGAN
from tests.stylegan_v import tiny_gan


class _Interrupted(VideoGAN):
    """Is interrupted in the middle of its second update, so many times."""

    presses = 1

    def on_gradients(self, phase: str) -> None:
        if self.updates == 1:
            for _ in range(self.presses):
                self.presses -= 1
                os.kill(os.getpid(), signal.SIGINT)


def _gan(presses: int) -> VideoGAN:
    gan = tiny_gan.gan(made=_Interrupted, total_kimg=0.120)  # would make 10 updates
    gan.presses = presses
    return gan


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_the_first_ctrl_c_finishes_the_update(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    before = signal.getsignal(signal.SIGINT)
    stop, model = GracefulStop(), _gan(presses=1)
    tiny_gan.trainer(tmp_path, stop).fit(model, tiny_gan.data())
    assert (stop.stopped, model.updates) == (True, 2)
    assert signal.getsignal(signal.SIGINT) is before
    assert "finishing this update" in capfd.readouterr().err


def test_the_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    stop, model = GracefulStop(), _gan(presses=2)
    with pytest.raises(SystemExit):
        tiny_gan.trainer(tmp_path, stop).fit(model, tiny_gan.data())
    assert (stop.stopped, model.updates) == (False, 1)
    with pytest.raises(KeyboardInterrupt):  # whatever Lightning restored, Ctrl-C works again
        os.kill(os.getpid(), signal.SIGINT)


def test_a_run_that_nobody_interrupts_ends_by_itself(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    stop = GracefulStop()
    tiny_gan.trainer(tmp_path, stop, tiny_gan.StopAfter(1)).fit(tiny_gan.gan(), tiny_gan.data())
    assert not stop.stopped
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_the_first_update_makes_none(tmp_path: Path) -> None:
    class Early(Callback):
        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    stop, model = GracefulStop(), _gan(presses=0)
    tiny_gan.trainer(tmp_path, stop, Early()).fit(model, tiny_gan.data())
    assert (stop.stopped, model.updates) == (True, 0)


def test_a_loader_worker_ignores_ctrl_c() -> None:
    stop = GracefulStop()
    stop._process = os.getpid() + 1  # as seen from a worker: the handler was installed by another process
    stop._handle(signal.SIGINT, None)
    assert not stop._requested
