from __future__ import annotations

import torch

from benchmarks.head.clips import cubic, enlarged, generated, large_view, true_clips, true_enlarged
from stylegan_v.callbacks.scale_slices import canvas_of
from stylegan_v.rendering import draw_latents
from tests.stylegan_v.test_multi_scale import data, generator, stirred


def test_a_head_without_effect_draws_the_enlargement() -> None:
    network = generator().eval()
    ((head, bicubic),) = generated(network, 24, 3, 2, seed=1)
    assert head.shape == (3, 2, 3, 32, 32) and torch.equal(head, bicubic)
    ((head, bicubic),) = generated(stirred().eval(), 24, 3, 2, seed=1)
    assert not torch.equal(head, bicubic)


def test_the_enlargement_is_that_of_the_native_frames() -> None:
    network = stirred().eval()
    canvas = canvas_of(network, draw_latents(network, 0, [0]), torch.zeros(1, dtype=torch.float64))
    constant = torch.full((1, 3, 16, 16), 0.3)
    assert torch.allclose(cubic(constant, large_view(network)), torch.full((1, 3, 32, 32), 0.3))
    assert enlarged(canvas, large_view(network, (0.5, 0.5))).shape == (1, 3, 32, 32)


def test_true_clips_are_held_out_and_differ_by_seed() -> None:
    clips = data()
    one, again, other = (torch.cat(list(true_clips(clips, 10, 4, seed))) for seed in (0, 0, 1))
    assert one.shape == (10, 4, 3, 32, 32) and torch.equal(one, again) and not torch.equal(one, other)
    small = torch.cat(list(true_enlarged(clips, 10, 4, 0)))
    difference = (small.float() - one.float()).abs().mean()
    assert small.shape == one.shape and 0 < difference < 8, "the same clips, a little blurred"
