from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from fields.encodings import FourierFeatures, PositionalEncoding


def test_fourier_features_are_sines_then_cosines() -> None:
    features, v = FourierFeatures(2, 5, 3.0), torch.rand(4, 6, 2)
    angles = 2 * math.pi * torch.einsum("abd,md->abm", v, features.frequencies)
    expected = torch.cat((angles.sin(), angles.cos()), dim=-1)
    torch.testing.assert_close(features(v), expected, rtol=0, atol=1e-5)
    assert features.out_dim == 10 and "frequencies" in features.state_dict()


def test_sigma_per_axis() -> None:
    frequencies = FourierFeatures(3, 4000, (1.0, 10.0, 30.0)).frequencies
    torch.testing.assert_close(frequencies.std(dim=0), torch.tensor([1.0, 10.0, 30.0]), rtol=0.05, atol=0)


def test_phases_stay_exact_under_autocast() -> None:
    features, v = FourierFeatures(2, 16), torch.rand(50, 2)
    exact = features(v)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(features(v), exact)


def test_octaves_of_positional_encoding() -> None:
    v = torch.tensor([[0.1, -0.3]])
    expected = [0.1, -0.3]
    for k in range(3):
        expected += [math.sin(2**k * math.pi * x) for x in (0.1, -0.3)]
        expected += [math.cos(2**k * math.pi * x) for x in (0.1, -0.3)]
    encoding = PositionalEncoding(2, 3)
    torch.testing.assert_close(encoding(v), torch.tensor([expected]), rtol=0, atol=1e-6)
    assert encoding.out_dim == len(expected)


def test_other_layouts_bases_and_scales() -> None:
    v = torch.rand(5, 2)
    waves = PositionalEncoding(2, 3, 1.25, 1.0, identity=False, layout="wave octave axis")(v)
    angles = torch.stack([1.25**k * v for k in range(3)], dim=1).flatten(1)
    torch.testing.assert_close(waves, torch.cat((angles.sin(), angles.cos()), dim=1))
    pairs = PositionalEncoding(1, 2, scale=1.0, identity=False, layout="octave axis wave")(v[:, :1])
    expected = [v[:, 0].sin(), v[:, 0].cos(), (2 * v[:, 0]).sin(), (2 * v[:, 0]).cos()]
    torch.testing.assert_close(pairs, torch.stack(expected, dim=1))


def test_unknown_layouts_are_refused() -> None:
    with pytest.raises(InputError, match="octave, axis and wave"):
        PositionalEncoding(2, 3, layout="sines cosines")
