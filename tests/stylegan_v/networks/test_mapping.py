"""The mapping network's running mean and truncation."""

from __future__ import annotations

import pytest
import torch

from stylegan_v.networks.mapping import MappingNetwork


def network(c_dim: int = 0) -> MappingNetwork:
    return MappingNetwork(8, 6, c_dim, num_ws=5)


def test_the_running_mean_moves_in_training_only_and_can_be_told_not_to() -> None:
    mapping, z = network(), torch.randn(4, 8)
    mapping.eval()(z)
    assert not mapping.w_avg.any()
    mapping.train()(z, update_w_avg=False)
    assert not mapping.w_avg.any()
    w = mapping(z)[:, 0]
    torch.testing.assert_close(mapping.w_avg, 0.005 * w.mean(dim=0).detach())


def test_truncation_pulls_the_first_layers_towards_the_mean() -> None:
    mapping, z = network().eval(), torch.randn(4, 8)
    mapping.w_avg.normal_()
    ws = mapping(z)
    truncated = mapping(z, truncation_psi=0.25, truncation_cutoff=2)
    torch.testing.assert_close(truncated[:, :2], mapping.w_avg + 0.25 * (ws[:, :2] - mapping.w_avg))
    torch.testing.assert_close(truncated[:, 2:], ws[:, 2:])
    torch.testing.assert_close(mapping(z, truncation_psi=0.0), mapping.w_avg.expand(4, 5, 6))


def test_labels_matter_and_are_required() -> None:
    mapping, z = network(c_dim=3), torch.randn(2, 8)
    one, other = (torch.eye(3)[[i, i]] for i in (0, 1))
    assert not torch.allclose(mapping(z, one), mapping(z, other))
    with pytest.raises(ValueError, match="pass c"):
        mapping(z)


def test_the_scale_of_noise_does_not_matter() -> None:
    mapping, z = network(), torch.randn(2, 8)
    torch.testing.assert_close(mapping(z), mapping(3 * z))
