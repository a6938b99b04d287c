from __future__ import annotations

import torch
from torch import Tensor

from datasets.shots import find_shots
from datasets.synthetic import SpriteVideo


def film(*lengths: int, speed: float = 0.02) -> Tensor:
    """Shots of unlike videos, one after the other."""
    shots = [SpriteVideo(seed, length, (32, 32), speed=(speed, speed)) for seed, length in enumerate(lengths)]
    return torch.cat([shot.read(range(len(shot))) for shot in shots])


def test_cuts_are_found_where_they_are() -> None:
    assert find_shots(film(20, 7, 33)) == [(0, 20), (20, 27), (27, 60)]


def test_one_shot_is_one_shot() -> None:
    assert find_shots(film(30)) == [(0, 30)]
    assert find_shots(film(1)) == [(0, 1)]


def test_fast_motion_is_no_cut() -> None:
    assert find_shots(film(30, speed=0.3)) == [(0, 30)]


def test_a_frame_of_noise_at_the_end_counts_as_a_cut() -> None:
    noise = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    assert find_shots(torch.cat([film(10), noise])) == [(0, 10), (10, 11)]


def test_a_slow_dissolve_is_no_cut() -> None:
    start, end = film(1, 1).float()
    weight = torch.linspace(0, 1, 40)[:, None, None, None]
    assert find_shots((start + weight * (end - start)).to(torch.uint8)) == [(0, 40)]
