"""The probability that adapts: its pace, its target, its state."""

from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from stylegan_v.augment import AdaptiveProbability


def watch(ada: AdaptiveProbability, logits: list[float], num_clips: int, updates: int) -> None:
    for _ in range(updates):
        ada.observe(torch.tensor(logits))
        ada.update(num_clips)


def test_probability_rises_by_the_clips_seen_while_reals_look_real() -> None:
    ada = AdaptiveProbability(ada_kclips=100)
    watch(ada, [2.0, 0.1], num_clips=64, updates=3)
    assert ada.p == 0
    watch(ada, [2.0, 0.1], num_clips=64, updates=1)
    assert ada.p.item() == pytest.approx(64 * 4 / 100_000)
    watch(ada, [2.0, 0.1], num_clips=64, updates=36)
    assert ada.p.item() == pytest.approx(10 * 64 * 4 / 100_000)


def test_default_pace_is_500_thousand_clips() -> None:
    ada = AdaptiveProbability()
    watch(ada, [1.0], num_clips=64, updates=4)
    assert ada.p.item() == pytest.approx(0.000512)


def test_probability_stays_between_zero_and_one() -> None:
    ada = AdaptiveProbability(ada_kclips=1, every=1, p=0.9)
    watch(ada, [1.0], num_clips=70, updates=5)
    assert ada.p == 1
    watch(ada, [-1.0], num_clips=700, updates=5)
    assert ada.p == 0


@pytest.mark.parametrize("positive, direction", [(7, -1), (8, 0), (9, 1)])
def test_target_is_the_mean_sign_over_the_interval(positive: int, direction: int) -> None:
    """Of ten logits eight positive have the mean sign 0.6: nothing moves. A single update does not decide."""
    ada = AdaptiveProbability(ada_kclips=1, every=2, p=0.5)
    logits = [3.0] * positive + [-0.5] * (10 - positive)
    for half in (logits[:5], logits[5:]):
        watch(ada, half, num_clips=5, updates=1)
    assert ada.p.item() == pytest.approx(0.5 + direction * 0.01)


def test_statistics_start_anew_after_each_change() -> None:
    ada = AdaptiveProbability(ada_kclips=1, every=1, p=0.5)
    watch(ada, [1.0] * 100, num_clips=10, updates=1)
    watch(ada, [-1.0], num_clips=10, updates=1)
    assert ada.p.item() == pytest.approx(0.5)


def test_ranks_that_add_up_their_sums_act_as_one() -> None:
    logits = [torch.randn(8) + 1.5 for _ in range(8)]
    whole = AdaptiveProbability(ada_kclips=1, p=0.5)
    ranks = [AdaptiveProbability(ada_kclips=1, p=0.5) for _ in range(2)]
    for values in logits:
        whole.observe(values)
        whole.update(8)
        for number, rank in enumerate(ranks):
            rank.observe(values[number::2])
        total = ranks[0].pending + ranks[1].pending
        for rank in ranks:
            rank.update(8, lambda pending, total=total: total)
        assert ranks[0].p == ranks[1].p == whole.p
        torch.testing.assert_close(ranks[0].sums, whole.sums)
    assert whole.p > 0.5


def test_state_dict_continues_in_the_middle_of_an_interval() -> None:
    ada = AdaptiveProbability(ada_kclips=1, p=0.2)
    watch(ada, [1.0, 1.0], num_clips=3, updates=6)
    ada.observe(torch.ones(2))
    resumed = AdaptiveProbability(ada_kclips=1)
    resumed.load_state_dict(ada.state_dict())
    for one in (ada, resumed):
        one.update(3)
        watch(one, [-1.0], num_clips=3, updates=1)
    assert resumed.state_dict().keys() == {"p", "pending", "sums", "clips", "updates"}
    assert torch.equal(resumed.p, ada.p)
    assert ada.p.item() == pytest.approx(0.2 + 0.012 + 0.012 * (1 if (2 * 3 - 1) / 7 > 0.6 else -1))


def test_fixed_probability_does_not_move() -> None:
    ada = AdaptiveProbability(target=None, p=0.3, ada_kclips=1)
    watch(ada, [1.0], num_clips=64, updates=8)
    assert ada.p.item() == pytest.approx(0.3)


def test_probability_waits_for_the_discriminator_to_warm_up() -> None:
    ada = AdaptiveProbability(ada_kclips=1, every=2, p=0.3, warmup_kclips=0.05)
    watch(ada, [1.0], num_clips=10, updates=4)
    resumed = AdaptiveProbability(ada_kclips=1, every=2, warmup_kclips=0.05)
    resumed.load_state_dict(ada.state_dict())
    watch(resumed, [1.0], num_clips=10, updates=1)
    assert resumed.p.item() == pytest.approx(0.3)  # 50 clips
    watch(resumed, [1.0], num_clips=10, updates=1)
    assert resumed.p.item() == pytest.approx(0.3 + 0.02)  # by the clips since the last chance alone


def test_values_that_are_not_finite_do_not_count() -> None:
    ada = AdaptiveProbability(ada_kclips=1, every=1)
    watch(ada, [math.nan, math.inf, -math.inf, 1.0], num_clips=10, updates=1)
    assert ada.p.item() == pytest.approx(0.01)
    watch(ada, [math.nan], num_clips=10, updates=1)
    assert ada.p.item() == pytest.approx(0.01)


@pytest.mark.parametrize("wrong", [{"p": 1.5}, {"p": -0.1}, {"every": 0}, {"ada_kclips": 0.0}, {"warmup_kclips": -1.0}])
def test_adaptation_refuses_numbers_out_of_range(wrong: dict) -> None:
    with pytest.raises(InputError, match=f"ada.{next(iter(wrong))}"):
        AdaptiveProbability(**wrong)
