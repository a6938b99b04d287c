from __future__ import annotations

import pytest
import torch

from fields.unfolding import linear_on_features, unfold


def test_channels_are_the_neighbours_row_by_row_within_each_channel() -> None:
    features = torch.randn(2, 3, 4, 5)
    padded = torch.nn.functional.pad(features, (1, 1, 1, 1))
    unfolded = unfold(features)
    for c in range(3):
        for ky in range(3):
            for kx in range(3):
                expected = padded[:, c, ky : ky + 4, kx : kx + 5]
                assert torch.equal(unfolded[:, 9 * c + 3 * ky + kx], expected)


@pytest.mark.parametrize("unfolded", [False, True])
def test_a_linear_layer_on_features_is_a_convolution(unfolded: bool) -> None:
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    columns = unfold(features) if unfolded else features
    weight, bias = torch.randn(7, columns.shape[1], dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    expected = torch.einsum("bkhw,dk->bdhw", columns, weight) + bias[:, None, None]
    torch.testing.assert_close(linear_on_features(features, weight, bias), expected)
