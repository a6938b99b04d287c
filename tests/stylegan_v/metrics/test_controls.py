from __future__ import annotations

import numpy as np
import torch

from stylegan_v.metrics.controls import frozen, shuffled


def numbered_clips(num: int = 5, num_frames: int = 8) -> torch.Tensor:
    """Clips whose pixels say which clip and frame they are."""
    number = torch.arange(num * num_frames, dtype=torch.uint8).view(num, num_frames, 1, 1, 1)
    return number.expand(-1, -1, 3, 2, 2)


def test_frozen_clips_show_one_of_their_own_frames_throughout() -> None:
    clips = numbered_clips()
    still = frozen(clips, np.random.default_rng(0))
    assert still.shape == clips.shape and (still == still[:, :1]).all()
    shown = still[:, 0, 0, 0, 0].int()
    assert torch.equal(shown // 8, torch.arange(5, dtype=torch.int32))
    assert len(set((shown % 8).tolist())) > 1


def test_shuffled_clips_hold_their_own_frames_in_another_order() -> None:
    clips = numbered_clips()
    mixed = shuffled(clips, np.random.default_rng(0))
    order = mixed[:, :, 0, 0, 0]
    assert torch.equal(order.sort(dim=1).values, clips[:, :, 0, 0, 0])
    assert (order != clips[:, :, 0, 0, 0]).any(dim=1).all()
    assert not torch.equal(order[0] % 8, order[1] % 8)
