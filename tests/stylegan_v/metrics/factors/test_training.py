from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from errors import InputError
from stylegan_v.metrics.detectors.factors import CLASSES, VALUES, write_factors
from stylegan_v.metrics.factors.clips import draw_batch
from stylegan_v.metrics.factors.training import Settings, Training, interruptible, learning_rate, loss_of, train

SETTINGS = Settings(steps=8, batch=8, seed=3)


def run(path: Path, settings: Settings = SETTINGS, until: int | None = None) -> tuple[Training, list[float]]:
    """A training that goes on from ``path`` if that is there, up to step ``until``."""
    training, losses = Training(settings), []
    if path.exists():
        training.resume(path)
    done = train(training, path, 100, lambda: training.step == until, losses.append)
    assert done == (training.step == settings.steps)
    return training, losses


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, list[float]]:
    return run(tmp_path_factory.mktemp("whole") / "unfinished")


def same_weights(first: Training, second: Training) -> bool:
    pairs = zip(first.network.weights().values(), second.network.weights().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(
    tmp_path: Path, whole: tuple[Training, list[float]]
) -> None:
    again, losses = run(tmp_path / "unfinished")
    assert losses == whole[1] and same_weights(again, whole[0])
    assert not same_weights(run(tmp_path / "other", Settings(8, 8, seed=4), until=1)[0], whole[0])


def test_half_a_training_and_its_other_half_are_the_whole(tmp_path: Path, whole: tuple[Training, list[float]]) -> None:
    _, first = run(tmp_path / "unfinished", until=4)
    resumed, second = run(tmp_path / "unfinished")
    assert len(first) == 4 and first + second == whole[1]
    assert same_weights(resumed, whole[0])


def test_a_finished_training_has_nothing_left_to_do(tmp_path: Path, whole: tuple[Training, list[float]]) -> None:
    run(tmp_path / "unfinished")
    again, losses = run(tmp_path / "unfinished")
    assert losses == [] and again.step == 8 and same_weights(again, whole[0])


def test_steps_lower_the_loss() -> None:
    training, batch = Training(Settings(steps=15, batch=8, seed=0)), draw_batch(0, 0, 8)
    losses = [training.update(batch) for _ in range(15)]
    assert losses[-1] < 0.6 * losses[0]


def test_loss_equals_a_naive_sum_that_leaves_out_what_is_not_told() -> None:
    truth = draw_batch(0, 0, 24).truth
    generator = torch.Generator().manual_seed(0)
    told = {name: torch.randn(value.shape, generator=generator, requires_grad=True) for name, value in truth.items()}
    expected = 0.0
    for name in CLASSES:
        expected += float(-2 * (truth[name] * F.log_softmax(told[name].detach(), dim=1)).sum() / 24)
    for name in VALUES:
        errors = [
            (x - y).item() ** 2
            for x, y in zip(told[name].flatten(), truth[name].flatten(), strict=True)
            if not y.isnan()
        ]
        expected += sum(errors) / len(errors)
    loss = loss_of(told, truth)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert truth["velocity"].isnan().any()
    loss.backward()
    assert told["velocity"].grad[truth["velocity"].isnan()].eq(0).all()


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [learning_rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1.5e-4) and max(rates) == rates[9] == rates[10] == 1.5e-3
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] < 1e-5


@pytest.mark.parametrize("settings", [Settings(9, 8, 3), Settings(8, 4, 3), Settings(8, 8, 5)])
def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path, settings: Settings) -> None:
    run(tmp_path / "unfinished", until=1)
    with pytest.raises(InputError, match="was begun with"):
        Training(settings).resume(tmp_path / "unfinished")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "unfinished"
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(InputError, match="unfinished"):
        Training(SETTINGS).resume(path)
    write_factors(path, Training(SETTINGS).network, {})
    with pytest.raises(InputError, match="holds something else"):
        Training(SETTINGS).resume(path)


def test_the_first_ctrl_c_is_a_request_and_the_second_acts() -> None:
    # What a shell starts in the background ignores Ctrl-C, and so would the second one here.
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            with interruptible() as requested:
                assert not requested()
                os.kill(os.getpid(), signal.SIGINT)
                assert requested()
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, outside)
