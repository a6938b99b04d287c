from __future__ import annotations

import numpy as np
import torch

from datasets.synthetic import SpriteVideo
from stylegan_v.metrics.controls import frozen, shuffled
from stylegan_v.metrics.measure import COLUMNS, Measure


def sprite_clips(first_seed: int, num: int = 96) -> torch.Tensor:
    return torch.stack([SpriteVideo(first_seed + i, 64, (32, 32)).read(np.arange(16)) for i in range(num)])


def test_tells_frozen_and_shuffled_sprites_from_moving_ones_and_noise_from_all() -> None:
    measure, rng = Measure(torch.device("cpu")), np.random.default_rng(0)
    real = sprite_clips(1000)
    sets = {
        "floor": real,
        "frozen": frozen(real, rng),
        "shuffled": shuffled(real, rng),
        "noise": torch.from_numpy(rng.integers(256, size=real.shape, dtype=np.uint8)),
    }
    reference = measure.features(sprite_clips(0))
    rows = {name: measure.distances(reference, measure.features(clips)) for name, clips in sets.items()}
    assert all(tuple(row) == COLUMNS for row in rows.values())
    for name, factor in (("frozen", 30), ("shuffled", 10), ("noise", 100)):
        assert rows[name]["motion_frechet"] > factor * rows["floor"]["motion_frechet"]
        assert rows[name]["motion_kernel"] > 10 * abs(rows["floor"]["motion_kernel"])
    for name in ("frozen", "shuffled"):
        assert rows[name]["appearance_frechet"] < 2 * rows["floor"]["appearance_frechet"]
    assert rows["noise"]["appearance_frechet"] > 50 * rows["floor"]["appearance_frechet"]


def test_features_do_not_depend_on_the_other_clips() -> None:
    measure, clips = Measure(torch.device("cpu")), sprite_clips(0, 20)
    whole, part = measure.features(clips), measure.features(clips[17:])
    torch.testing.assert_close(whole.motion[17:], part.motion)
    torch.testing.assert_close(whole.appearance[17 * 4 :], part.appearance)
