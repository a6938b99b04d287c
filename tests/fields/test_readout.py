from __future__ import annotations

import torch

from fields.encoders import EDSR
from fields.readout import NearestReadout


def test_at_its_own_size_the_image_of_the_tail_comes_back() -> None:
    model, image = NearestReadout(EDSR(1, 4, upscale=2)), torch.randn(2, 3, 3, 5)
    with torch.no_grad():
        assert torch.equal(model.render(image, (6, 10)), model.encode(image))


def test_other_sizes_repeat_its_pixels() -> None:
    model, image = NearestReadout(EDSR(1, 4, upscale=2)), torch.randn(1, 3, 3, 5)
    with torch.no_grad():
        expected = model.encode(image).repeat_interleave(2, 2).repeat_interleave(3, 3)
        assert torch.equal(model.render(image, (12, 30), chunk=50), expected)
    assert model.receptive_field == model.encoder.receptive_field
