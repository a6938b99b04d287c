"""A generator filled from another draws what the other drew, wherever the two can be asked the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_v.networks import Generator, LSTMMotion, MotionEncoder, Motionless, TemporalModulation
from stylegan_v.networks.smooth_encoding import SmoothEncoding
from stylegan_v.ops.resample import upsample2d
from tests.stylegan_v.transfer.small_networks import (
    HORIZON,
    filled,
    generator,
    motion,
    one_hot,
    outcomes,
    without_gradient,
)

T = torch.tensor([[0.0, 3.5, 17.0]] * 3)


def draw(network: Generator, c: Tensor | None = None, **options: Any) -> Tensor:
    torch.manual_seed(5)
    z, motion_z = torch.randn(3, 8), torch.randn(3, 40, 6)
    return network(z, T, c, motion_z, **options)


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def lstm(c_dim: int = 0) -> LSTMMotion:
    return LSTMMotion(z_dim=6, v_dim=8, c_dim=c_dim, distance=1, max_num_frames=HORIZON)


def test_the_same_shapes_are_copied_bit_for_bit() -> None:
    old, new = generator(noise_inputs=True), generator(seed=1, noise_inputs=True)
    rows = filled(new, old).rows()
    assert {row.outcome for row in rows} == {"taken"}
    assert all(torch.equal(value, new.state_dict()[name]) for name, value in old.state_dict().items())


# Labels


@pytest.mark.parametrize(("num_old", "num_new"), [(0, 3), (2, 4), (4, 2), (1, 0)])
@pytest.mark.parametrize("kind", ["acyclic", "recurrent"])
def test_other_labels(num_old: int, num_new: int, kind: str) -> None:
    settings = [
        {} if kind == "acyclic" else {"motion": lstm(c_dim), "time_conditioning": "concat_w"}
        for c_dim in (num_old, num_new)
    ]
    old = generator(c_dim=num_old, **settings[0])
    new = generator(c_dim=num_new, seed=1, **settings[1])
    filled(new, old)
    common = [n % min(num_old or num_new, num_new or num_old) for n in range(3)]
    assert_same(draw(new, one_hot(num_new, *common)), draw(old, one_hot(num_old, *common)))
    assert torch.equal(new.mapping.w_avg, old.mapping.w_avg)


def test_new_labels_can_be_learned() -> None:
    new = generator(c_dim=3, seed=1)
    filled(new, generator())
    stuck = without_gradient(new, draw(new, one_hot(3, 0, 1, 2)))
    assert stuck == {"mapping.embed.weight", "mapping.embed.bias"}  # behind columns that are zero, which do move


# Resolution


@pytest.mark.parametrize("resolution", [32, 64])
def test_a_larger_generator_draws_the_old_frames_enlarged(resolution: int) -> None:
    old, new = generator(16), generator(resolution, seed=1)
    filled(new, old)
    expected = draw(old).flatten(0, 1)
    while expected.shape[-1] < resolution:
        expected = upsample2d(expected)
    found = draw(new)
    assert_same(found.flatten(0, 1), expected)
    stuck = without_gradient(new, found)
    assert not any(name.endswith(("torgb.weight", "torgb.bias")) for name in stuck)
    assert all("b32" in name or "b64" in name for name in stuck)


def test_a_larger_frame_that_is_not_square() -> None:
    old, new = generator((18, 32)), generator((36, 64), seed=1)
    filled(new, old)
    old.synthesis.resolution = (20, 32)  # the working size: the border of a crop would be enlarged differently
    new.synthesis.resolution = (40, 64)
    assert_same(draw(new).flatten(0, 1), upsample2d(draw(old).flatten(0, 1)))


def test_a_smaller_generator_leaves_blocks_out() -> None:
    old, new = generator(32), generator(16, seed=1)
    rows = filled(new, old).rows()
    assert {row.outcome for row in rows if "b32" in row.name} == {"unused"}
    assert {row.outcome for row in rows if "b32" not in row.name} == {"taken"}


def test_wider_blocks_start_anew_and_add_nothing_at_first() -> None:
    old, new = generator(32), generator(32, seed=1, channel_base=32 * 6)
    found = outcomes(filled(new, old))
    assert found["synthesis.blocks.b16.convs.0.weight"] == "taken"
    assert found["synthesis.blocks.b32.convs.0.weight"] == "new"
    small = generator(16)
    filled(small, old)
    assert_same(draw(new).flatten(0, 1), upsample2d(draw(small).flatten(0, 1)))


def test_another_base_is_another_first_block() -> None:
    new = generator((16, 32), seed=1)
    found = outcomes(filled(new, generator(32)))
    assert found["synthesis.const"] == found["synthesis.blocks.b8.convs.0.weight"] == "new"
    assert found["synthesis.blocks.b32.convs.0.weight"] == "taken"
    assert draw(new).std() > 0.1


# Motion


@pytest.mark.parametrize("image", [{"motion": Motionless()}, {"motion_input": False}])
@pytest.mark.parametrize("video", [{}, {"motion": lstm(), "time_conditioning": "concat_w"}])
def test_an_image_generator_goes_on_drawing_its_images(image: dict[str, Any], video: dict[str, Any]) -> None:
    old, new = generator(**image), generator(seed=1, **video)
    filled(new, old)
    found = draw(new)
    assert_same(found, draw(old))
    assert torch.equal(found, found[:, :1].expand_as(found))
    stuck = without_gradient(new, found)
    assert stuck == {f"synthesis.motion.{name}" for name, _ in new.synthesis.motion.named_parameters()}


def test_a_motion_of_another_kind_or_width_starts_without_effect() -> None:
    wider = {"motion": motion(num_frequencies=9)}
    recurrent = {"motion": LSTMMotion(z_dim=6, v_dim=16, distance=1, max_num_frames=HORIZON)}  # as wide as the old one
    for settings in (wider, recurrent):
        new = generator(seed=1, **settings)
        filled(new, generator())
        found = draw(new)
        assert torch.equal(found, found[:, :1].expand_as(found))


def test_video_to_images_keeps_everything_but_the_motion() -> None:
    old, new = generator(), generator(seed=1, motion=Motionless())
    rows = {row.name: row for row in filled(new, old).rows()}
    first = "synthesis.blocks.b4.convs.0"
    assert rows[f"{first}.weight"].outcome == rows[f"{first}.affine.weight"].outcome == "adapted"
    assert torch.equal(new.synthesis.blocks["b4"].convs[0].weight, old.synthesis.blocks["b4"].convs[0].weight[:, :8])
    assert {row.outcome for name, row in rows.items() if not name.startswith(first)} == {"taken", "unused"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"distance": 4}, "motion.distance was 8 and is 4"), ({"max_period": 256}, "motion.min_period or max_period")],
)
def test_motion_at_another_speed_is_taken_with_a_word(settings: dict[str, Any], told: str) -> None:
    old, new = generator(), generator(seed=1, motion=motion(**settings))
    expected = new.synthesis.motion.time_encoder.freqs.clone()
    ledger = filled(new, old)
    assert len(ledger.notes) == 1 and ledger.notes[0].startswith(told)
    assert torch.equal(new.synthesis.motion.conv[0].weight, old.synthesis.motion.conv[0].weight)
    assert torch.equal(new.synthesis.motion.time_encoder.freqs, expected)


def test_frequencies_that_differ_by_rounding_are_those_of_the_source() -> None:
    old, new = generator(), generator(seed=1)
    old.synthesis.motion.time_encoder.freqs *= 1 + 1e-6
    assert filled(new, old).notes == []
    assert torch.equal(new.synthesis.motion.time_encoder.freqs, old.synthesis.motion.time_encoder.freqs)
    assert isinstance(new.synthesis.motion, MotionEncoder)


def test_another_encoding_of_time_with_the_same_predictors_is_taken_with_a_word() -> None:
    sizes = {"v_dim": 8, "num_frequencies": 8}
    old, new = generator(), generator(seed=1, motion=motion(encoding=SmoothEncoding(**sizes)))
    (note,) = filled(new, old).notes
    assert note.startswith("time was encoded by AcyclicEncoding and is by SmoothEncoding")
    for name in ("periods_predictor", "aligners_predictor"):
        mine, theirs = (getattr(side.synthesis.motion.time_encoder, name).weight for side in (new, old))
        assert torch.equal(mine, theirs)
    assert draw(new).std(dim=1).mean() > 0.01  # it moves


def test_time_that_is_added_to_styles_is_said_to_change_frames() -> None:
    sizes = {"num_frequencies": 4}
    old = generator(motion=motion(**sizes))
    assert filled(generator(motion=motion(**sizes), time_conditioning="sum_w"), old).notes == [
        "time is added to every style in one of the two networks only: frames change with it"
    ]


# Temporal modulation


def modulated(seed: int = 1, v_dim: int = 8, **settings: Any) -> Generator:
    return generator(seed=seed, temporal_modulation=TemporalModulation(8, v_dim, num_knots=4, rank=3), **settings)


def test_temporal_modulation_that_the_source_does_not_have_starts_without_effect() -> None:
    old, new = generator(), modulated()
    new.synthesis.temporal_modulation.head.bias.data.zero_()  # which small networks do not leave at zero
    ledger = filled(new, old)
    with torch.no_grad():
        assert torch.equal(draw(new), draw(old))
    started = {name for name, outcome in outcomes(ledger).items() if outcome == "new"}
    assert {name.split(".")[1] for name in started} == {"temporal_modulation", "modulation_bases"}
    stuck = without_gradient(new, draw(new))
    assert not {name for name in stuck if ".temporal_modulation." in name}


def test_temporal_modulation_is_taken_along_or_left_behind() -> None:
    old, new, plain = modulated(seed=0), modulated(), generator(seed=2)
    assert set(outcomes(filled(new, old)).values()) == {"taken"}
    with torch.no_grad():
        assert torch.equal(draw(new), draw(old))
    unused = {row.name for row in filled(plain, old).rows() if row.outcome == "unused"}
    assert {name.split(".")[1] for name in unused} == {"temporal_modulation", "modulation_bases"}


def test_temporal_modulation_at_another_resolution_keeps_what_it_knows() -> None:
    old, new = modulated(seed=0), modulated(resolution=32)
    found = outcomes(filled(new, old))
    assert found["synthesis.temporal_modulation.head.weight"] == "taken"
    assert found["synthesis.modulation_bases.b16.0.gamma"] == "taken"
    assert found["synthesis.modulation_bases.b32.0.gamma"] == "new"


def test_temporal_modulation_by_other_codes_starts_anew() -> None:
    old, new = modulated(seed=0), modulated(v_dim=4, motion=motion(v_dim=4))
    before = new.synthesis.temporal_modulation.head.weight.clone()
    found = outcomes(filled(new, old))
    assert {found[name] for name in found if "modulation" in name} == {"new"}
    assert torch.equal(new.synthesis.temporal_modulation.head.weight, before)
