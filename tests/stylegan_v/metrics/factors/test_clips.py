from __future__ import annotations

import numpy as np
import pytest
import torch

from datasets.synthetic import SpriteVideo
from stylegan_v.metrics.factors import clips as module
from stylegan_v.metrics.factors.clips import Batch, draw_batch
from stylegan_v.metrics.factors.truth import ORDERS


@pytest.fixture(scope="module")
def batch() -> Batch:
    return draw_batch(0, 0, 96)


def test_clips_are_functions_of_their_number(batch: Batch) -> None:
    some = draw_batch(0, 40, 8)
    assert torch.equal(some.clips, batch.clips[40:48])
    for name, value in some.truth.items():
        torch.testing.assert_close(value, batch.truth[name][40:48], rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(draw_batch(1, 40, 8).clips, some.clips)


def test_frames_are_what_the_truth_says_of_their_order(batch: Batch) -> None:
    changing = (batch.clips[:, 1:] != batch.clips[:, :-1]).flatten(1).any(dim=1)
    is_frozen = batch.truth["order"][:, ORDERS.index("frozen")] == 1
    assert torch.equal(~changing, is_frozen)
    steps = batch.clips.float().diff(dim=1).abs().mean(dim=(1, 2, 3, 4))
    is_shuffled = batch.truth["order"][:, ORDERS.index("shuffled")] == 1
    assert steps[is_shuffled].mean() > 1.5 * steps[~is_shuffled & ~is_frozen].mean()


def test_all_orders_occur_and_some_clips_leave_the_direction_of_time_open(batch: Batch) -> None:
    order = batch.truth["order"]
    assert ((order == 1).sum(dim=0) >= 5).all() and ((order == 0.5).any(dim=1).sum() >= 20)


def test_scenes_of_held_out_clips_are_odd_and_those_of_training_even(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    class Noted(SpriteVideo):
        def __init__(self, seed: int, **settings: object) -> None:
            seeds.append(seed)
            super().__init__(seed, **settings)

    monkeypatch.setattr(module, "SpriteVideo", Noted)
    draw_batch(0, 0, 8)
    draw_batch(0, 0, 8, held_out=True)
    assert [seed % 2 for seed in seeds] == [0] * 8 + [1] * 8 and len(set(seeds)) == 16


def test_plain_clips_run_forwards_from_the_beginning_at_a_steady_pace() -> None:
    plain = draw_batch(0, 0, 32, held_out=True, plain=True)
    assert (plain.truth["order"][:, 0] == 1).all()
    torch.testing.assert_close(plain.truth["pace"], torch.zeros(32, 1), atol=0.1, rtol=0)  # circles bend the steps


def test_times_warp_from_a_slow_to_a_fast_pace_and_end_where_they_would() -> None:
    times = module._warped(0.8)
    np.testing.assert_allclose([times[0], times[-1]], [0, 15])
    paces = np.diff(times)
    np.testing.assert_allclose(np.diff(paces), 2 * 0.8 / 15)
    assert 0.2 < paces[0] < 0.3 and 1.7 < paces[-1] < 1.8
