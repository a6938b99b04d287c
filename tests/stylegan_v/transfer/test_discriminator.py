"""A discriminator filled from another says what the other said, wherever the two can be asked the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stylegan_v.networks import Discriminator, HypernetworkConditioning, ProjectionConditioning
from stylegan_v.networks.conditioning import Conditioning
from tests.stylegan_v.transfer.small_networks import discriminator, filled, one_hot, outcomes, without_gradient

KINDS = (HypernetworkConditioning, ProjectionConditioning)
FRAMES = torch.randn(4, 1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
TIMES = torch.tensor([[0, 3, 9], [0, 1, 2], [5, 12, 30], [0, 20, 21]])


def still(network: Discriminator, spacing: int = 1, c: Tensor | None = None) -> Tensor:
    """Logits of clips of equal frames at equal distances."""
    num_frames = network.num_frames
    clip = FRAMES.repeat(1, num_frames, 1, 1, 1)
    return network(clip, (torch.arange(num_frames) * spacing).expand(4, -1), c)


def moving(network: Discriminator, c: Tensor | None = None, t: Tensor = TIMES) -> Tensor:
    """Logits of clips of three frames."""
    clip = torch.cat([FRAMES, FRAMES.flip(3), FRAMES.flip(4) * 0.5], dim=1)
    return network(clip, t, c)


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_shapes_are_copied_bit_for_bit(kind: type[Conditioning]) -> None:
    old, new = discriminator(kind, c_dim=2), discriminator(kind, c_dim=2, seed=1)
    assert set(outcomes(filled(new, old)).values()) == {"taken"}
    assert all(torch.equal(value, new.state_dict()[name]) for name, value in old.state_dict().items())


# Number of frames


@pytest.mark.parametrize("concat_res", [8, 4])  # before a block, and before the epilogue
@pytest.mark.parametrize(("k", "new_k"), [(1, 3), (2, 3), (3, 5), (3, 6), (3, 2), (3, 1), (2, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_still_clips_are_judged_as_before(kind: type[Conditioning], k: int, new_k: int, concat_res: int) -> None:
    old = discriminator(kind, k, concat_res=concat_res)
    new = discriminator(kind, new_k, seed=1, concat_res=concat_res)
    filled(new, old)
    assert_same(still(new), still(old))


@pytest.mark.parametrize("c_dim", [0, 2])
@pytest.mark.parametrize(("k", "new_k"), [(1, 3), (3, 6)])
@pytest.mark.parametrize("kind", KINDS)
def test_with_whole_shares_under_any_condition(kind: type[Conditioning], k: int, new_k: int, c_dim: int) -> None:
    old, new = discriminator(kind, k, c_dim), discriminator(kind, new_k, c_dim, seed=1)
    filled(new, old)
    c = one_hot(c_dim, *([0, 1, 0, 1] if c_dim else []))
    assert_same(still(new, 7, c), still(old, 7, c))


@pytest.mark.parametrize(("k", "new_k"), [(3, 5), (5, 3), (3, 2)])
def test_plain_convolutions_hold_at_any_equal_spacing(k: int, new_k: int) -> None:
    old, new = discriminator(ProjectionConditioning, k), discriminator(ProjectionConditioning, new_k, seed=1)
    filled(new, old)
    for spacing in (1, 4, 11):
        assert_same(still(new, spacing), still(old, spacing))


@pytest.mark.parametrize("kind", KINDS)
def test_uniform_spacing_encodes_one_difference_for_all(kind: type[Conditioning]) -> None:
    old, new = discriminator(kind), discriminator(kind, seed=1, uniform_spacing=True)
    filled(new, old)
    for spacing in (1, 9):
        assert_same(still(new, spacing), still(old, spacing))


@pytest.mark.parametrize("kind", KINDS)
def test_a_video_discriminator_from_images_can_learn_times(kind: type[Conditioning]) -> None:
    new = discriminator(kind, 3, seed=1)
    filled(new, discriminator(kind, 1))
    layers, behind = "conditioning.mapping.layers.1", ("conditioning.mapping", "conditioning.time_encoder")
    stuck = without_gradient(new, moving(new))
    assert f"{layers}.weight" not in stuck and f"{layers}.bias" not in stuck
    assert all(name.startswith(behind) for name in stuck)
    with torch.no_grad():
        new.get_parameter(f"{layers}.weight").add_(new.get_parameter(f"{layers}.weight").grad)
    # Only rows of differences that did not occur are left.
    assert without_gradient(new, moving(new)) == set()


def test_the_projection_of_constant_ones_stays_open_in_every_direction() -> None:
    new = discriminator(ProjectionConditioning, 3, seed=1)
    filled(new, discriminator(ProjectionConditioning, 1))
    h = new.conditioning(TIMES)
    torch.testing.assert_close(h, torch.ones(4, 8))
    assert torch.linalg.matrix_rank(new.head.out.weight) == 8


# Times


@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_horizon_judges_all_times_as_before(kind: type[Conditioning]) -> None:
    old, new = discriminator(kind, max_num_frames=32), discriminator(kind, max_num_frames=200, seed=1)
    found = outcomes(filled(new, old))
    t = torch.tensor([[0, 3, 9], [0, 50, 60], [2, 10, 150], [0, 1, 2]])
    assert_same(moving(new, t=t), moving(old, t=t))
    encoder = new.conditioning.time_encoder
    assert torch.equal(encoder.const_embed.weight[31:], encoder.const_embed.weight[31:32].expand(169, -1))
    assert encoder.fourier_coefs.shape == (1, 8) and found["conditioning.time_encoder.fourier_coefs"] == "new"


@pytest.mark.parametrize("kind", KINDS)
def test_a_shorter_horizon_judges_neighbouring_frames_as_before(kind: type[Conditioning]) -> None:
    old, new = discriminator(kind, max_num_frames=200), discriminator(kind, max_num_frames=32, seed=1)
    filled(new, old)
    t = torch.arange(3).expand(4, -1)
    assert_same(moving(new, t=t), moving(old, t=t))


@pytest.mark.parametrize("ignored", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_that_is_ignored(kind: type[Conditioning], ignored: tuple[bool, bool]) -> None:
    old, new = (discriminator(kind, ignored=flag, seed=seed) for seed, flag in enumerate(ignored))
    filled(new, old)
    assert_same(still(new), still(old))
    if any(ignored):
        assert_same(moving(new), moving(new, t=TIMES.flip(0)))


# Labels


@pytest.mark.parametrize("num_frames", [1, 3])
@pytest.mark.parametrize(("num_old", "num_new"), [(0, 3), (2, 4), (4, 2), (1, 0)])
@pytest.mark.parametrize("kind", KINDS)
def test_other_labels(kind: type[Conditioning], num_old: int, num_new: int, num_frames: int) -> None:
    old, new = discriminator(kind, num_frames, num_old), discriminator(kind, num_frames, num_new, seed=1)
    filled(new, old)
    common = [n % min(num_old or num_new, num_new or num_old) for n in range(4)]
    c, new_c = one_hot(num_old, *common), one_hot(num_new, *common)
    assert_same(still(new, 5, new_c), still(old, 5, c))
    if num_frames == 3:
        assert_same(moving(new, new_c), moving(old, c))


def test_without_labels_a_projection_gives_the_mean_over_classes() -> None:
    old, new = discriminator(ProjectionConditioning, 1, 3), discriminator(ProjectionConditioning, 1, 0, seed=1)
    filled(new, old)
    mean = torch.stack([still(old, c=one_hot(3, *[n] * 4)) for n in range(3)]).mean(dim=0)
    assert_same(still(new), mean)


@pytest.mark.parametrize("kind", KINDS)
def test_new_labels_can_be_learned(kind: type[Conditioning]) -> None:
    new = discriminator(kind, 3, 3, seed=1)
    filled(new, discriminator(kind, 3))
    stuck = without_gradient(new, moving(new, one_hot(3, 0, 1, 2, 0)))
    assert all(name.startswith("head.label_mapping") and "layers.1" not in name for name in stuck)
    assert not any(name.startswith("conditioning.mapping.embed") for name in stuck)


# Another kind of conditioning


@pytest.mark.parametrize("c_dim", [0, 1])
@pytest.mark.parametrize("concat_res", [8, 4])
@pytest.mark.parametrize(("k", "new_k"), [(3, 3), (1, 3), (3, 5), (3, 1), (1, 1)])
@pytest.mark.parametrize("kinds", [KINDS, KINDS[::-1]])
def test_another_conditioning_judges_neighbouring_frames_as_before(
    kinds: tuple[type[Conditioning], ...], k: int, new_k: int, concat_res: int, c_dim: int
) -> None:
    old = discriminator(kinds[0], k, c_dim, concat_res=concat_res)
    new = discriminator(kinds[1], new_k, c_dim, seed=1, concat_res=concat_res)
    filled(new, old)
    c = one_hot(c_dim, *[0] * 4) if c_dim else None
    assert_same(still(new, c=c), still(old, c=c))


def test_modulation_that_starts_from_plain_convolutions_ignores_times_and_learns_them() -> None:
    old, new = discriminator(ProjectionConditioning), discriminator(HypernetworkConditioning, seed=1)
    filled(new, old)
    assert_same(moving(new), moving(new, t=TIMES.flip(0)))
    neighbours = torch.arange(3).expand(4, -1)
    assert_same(moving(new, t=neighbours), moving(old, t=neighbours))
    assert torch.equal(
        new.conditioning(TIMES), old.conditioning(TIMES)
    )  # what was learned of times is there to be used
    stuck = without_gradient(new, moving(new))
    assert all(name.startswith("conditioning.") for name in stuck)


def test_a_condition_of_another_width_starts_with_the_styles_of_neighbours() -> None:
    old, new = discriminator(), discriminator(seed=1, dim=6)
    found = outcomes(filled(new, old))
    neighbours = torch.arange(3).expand(4, -1)
    assert_same(moving(new), moving(old, t=neighbours))
    assert found["conditioning.mapping.embed.weight"] == "new"
    assert found["blocks.b16.conv0.weight"] == "taken"


# What starts anew


def test_frames_joined_elsewhere_start_a_block_anew() -> None:
    old, new = discriminator(ProjectionConditioning, 2), discriminator(ProjectionConditioning, 2, seed=1, concat_res=4)
    found = outcomes(filled(new, old))
    # With two frames of half the channels the shapes agree, the meaning does not.
    assert new.blocks["b8"].conv0.weight.shape == old.blocks["b8"].conv0.weight.shape
    assert found["blocks.b8.conv0.weight"] == found["epilogue.conv.weight"] == "new"
    assert found["blocks.b16.conv0.weight"] == "taken"


def test_other_widths_start_anew() -> None:
    old, new = discriminator(), discriminator(seed=1, channel_base=64)
    before = {name: value.clone() for name, value in new.state_dict().items()}
    ledger = filled(new, old)
    for name, outcome in outcomes(ledger).items():
        assert outcome in ("taken", "new", "adapted")
        if outcome == "new" and "conditioning" not in name:
            assert torch.equal(new.state_dict()[name], before[name]), name
    assert outcomes(ledger)["blocks.b16.conv0.weight"] == "new"
    assert outcomes(ledger)["epilogue.conv.weight"] == "taken"


def test_a_smaller_frame_starts_with_new_colours() -> None:
    old, new = discriminator(resolution=32), discriminator(seed=1)
    ledger = filled(new, old)
    assert {name for name, outcome in outcomes(ledger).items() if outcome == "new"} == {
        "fromrgb.weight",
        "fromrgb.bias",
    }
    unused = [row.name for row in ledger.rows() if row.outcome == "unused"]
    assert unused and all(name.startswith(("blocks.b32", "fromrgb")) for name in unused)


@pytest.mark.parametrize("kind", KINDS)
def test_views_start_without_effect_or_as_the_source_knows_them(kind: type[Conditioning]) -> None:
    view = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    told = lambda network: network(FRAMES.repeat(1, 3, 1, 1, 1), TIMES, None, view)  # noqa: E731
    old, new = discriminator(kind), discriminator(kind, views=True, seed=1)
    rows = outcomes(filled(new, old))
    assert {name for name, what in rows.items() if what == "new"} == {
        f"conditioning.view_encoder.{name}" for name in ("hidden.weight", "hidden.bias", "out.weight", "out.bias")
    }
    assert_same(told(new), moving_equal(old))
    old, new = discriminator(kind, views=True), discriminator(kind, views=True, seed=1)
    assert set(outcomes(filled(new, old)).values()) == {"taken"}
    assert_same(told(new), told(old))


def moving_equal(network: Discriminator) -> Tensor:
    """Logits of clips of three equal frames at other distances each."""
    return network(FRAMES.repeat(1, 3, 1, 1, 1), TIMES)
