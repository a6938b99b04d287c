"""The smooth encoding's promises: phases that only advance, value and speed without a break, aligners at the codes."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from stylegan_v.networks import AcyclicEncoding, MotionEncoder, SmoothEncoding, TimeEncoding
from stylegan_v.networks.smooth_encoding import smoothstep
from stylegan_v.networks.time_encoding import locate
from stylegan_v.rendering import MotionNoise

D, F, DISTANCE = 6, 7, 12.0
KNOT = 5 * DISTANCE


def make_encoding(weight_scale: float = 1.0, **settings: float) -> SmoothEncoding:
    encoding = SmoothEncoding(D, F, **settings).double()
    for predictor in (encoding.periods_predictor, encoding.phase_predictor):
        predictor.weight.data.mul_(weight_scale)
    return encoding


def derivative(function: object, t: Tensor) -> Tensor:
    """Of every value of ``function`` with respect to the time of its frame."""
    return torch.autograd.functional.jvp(function, t, torch.ones_like(t), create_graph=True)[1]


def angle_speed(encoding: SmoothEncoding, left: Tensor, right: Tensor, t: Tensor) -> Tensor:
    """d theta / dt over omega, at times [1, T] of one segment, for predictions [1, P] of its two codes."""
    left, right = (side.expand(t.shape[1], -1) for side in (left, right))
    return derivative(lambda t: encoding.angle(left, right, locate(t, DISTANCE, t.dtype)), t) / encoding.freqs


@pytest.mark.parametrize("weight_scale", [0.3, 1.0, 10.0, 1e6])
def test_phases_advance_at_less_than_twice_their_frequency(weight_scale: float) -> None:
    encoding = make_encoding(weight_scale)
    codes = encoding.predict(torch.randn(60, D, dtype=torch.float64))
    t = KNOT + torch.linspace(0, DISTANCE * (1 - 1e-9), 101, dtype=torch.float64)[None]
    speeds = torch.stack(
        [angle_speed(encoding, codes[i : i + 1], codes[i + 1 : i + 2], t) for i in range(len(codes) - 1)]
    )
    assert speeds.min() > 1e-3 and speeds.max() < 2 - 1e-3
    assert speeds.max() - speeds.min() > 0.4  # they do vary


def test_phases_advance_whatever_two_codes_say() -> None:
    """All corners of what a saturated tanh can give, and their middles: the bound of the derivation is reached."""
    encoding = make_encoding()
    t = KNOT + torch.linspace(0, DISTANCE * (1 - 1e-9), 401, dtype=torch.float64)[None]

    def says(rate: float, phase: float) -> Tensor:
        return torch.tensor([[0.99 * rate] * F + [phase / 6] * F + [0.0] * 2 * F], dtype=torch.float64)

    corners = list(itertools.product((-1.0, 0.0, 1.0), repeat=2))
    speeds = torch.stack(
        [angle_speed(encoding, says(*left), says(*right), t) for left, right in itertools.product(corners, corners)]
    )
    assert speeds.min() > 0 and speeds.max() < 2
    bound = (1 + 0.99) / 2
    assert speeds.min().item() == pytest.approx(1 - bound, abs=1e-5)
    assert speeds.max().item() == pytest.approx(1 + bound, abs=1e-5)


def test_a_saturated_tanh_does_not_stop_a_phase_in_float32() -> None:
    encoding = SmoothEncoding(D, F)
    encoding.periods_predictor.weight.data.fill_(1e6)
    rates = encoding.rate(torch.ones(1, D))
    assert (rates == 0.99).all() and (encoding.rate(-torch.ones(1, D)) == -0.99).all()
    assert (encoding.phase(torch.full((1, D), 1e9)).abs() <= 1 / 6 + 1e-7).all()


@pytest.mark.parametrize("weight_scale", [1.0, 1e6])
def test_value_and_speed_are_continuous_at_a_code(weight_scale: float) -> None:
    encoding = make_encoding(weight_scale)
    codes = torch.randn(3, 1, D, dtype=torch.float64)
    before, after = (torch.tensor([[KNOT + shift]], dtype=torch.float64) for shift in (-1e-9, 0.0))

    def seen(pair: int, name: str) -> object:
        """Phase, aligner or embedding as a function of time, from one pair of neighbouring codes."""
        left, right = codes[pair], codes[pair + 1]
        predicted = encoding.predict(left), encoding.predict(right)

        def function(t: Tensor) -> Tensor:
            segments = locate(t, DISTANCE, t.dtype)
            if name == "embedding":
                return encoding(left, right, segments)
            angle = encoding.angle(*predicted, segments)
            waves = torch.cat([angle.sin(), angle.cos()], dim=1)
            return {"phase": angle, "waves": waves, "aligners": encoding(left, right, segments) - waves}[name]

        return function

    for name in ("waves", "aligners", "embedding"):
        torch.testing.assert_close(seen(0, name)(before), seen(1, name)(after), atol=1e-8, rtol=0)
    for name in ("phase", "aligners", "embedding"):
        speeds = derivative(seen(0, name), before), derivative(seen(1, name), after)
        torch.testing.assert_close(*speeds, atol=1e-7, rtol=0)

    # What both sides agree on, by the derivation.
    rate = 0.99 * torch.tanh(codes[1] @ encoding.periods_predictor.weight.T / D**0.5)
    torch.testing.assert_close(derivative(seen(1, "phase"), after), encoding.freqs * (1 + rate))
    torch.testing.assert_close(
        derivative(seen(1, "aligners"), after), torch.zeros(1, 2 * F).double(), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(seen(1, "aligners")(after), codes[1] @ encoding.aligners_predictor.weight.T / D**0.5)
    lead = encoding.freqs * DISTANCE * torch.tanh(codes[1] @ encoding.phase_predictor.weight.T / D**0.5) / 6
    expected = encoding.freqs * KNOT + lead
    torch.testing.assert_close((seen(1, "phase")(after) - expected).cos(), torch.ones(1, F).double())


def test_finite_differences_see_no_kink_where_the_original_has_one() -> None:
    torch.manual_seed(1)
    motion_z, h = torch.randn(1, 20, D, dtype=torch.float64), 1e-4
    t = torch.tensor([[KNOT - h, KNOT, KNOT + h, KNOT + 3, KNOT + 3 + h, KNOT + 3 + 2 * h]], dtype=torch.float64)
    bends = {}
    for made in (SmoothEncoding, AcyclicEncoding):
        sizes = {"v_dim": D, "num_frequencies": F}
        motion = MotionEncoder(D, **sizes, distance=12, kernel_size=3, encoding=made(**sizes)).double()
        v = motion(t, None, motion_z)[0].detach()
        bends[made] = [(v[i] - 2 * v[i + 1] + v[i + 2]).abs().max().item() / h**2 for i in (0, 3)]
    assert bends[SmoothEncoding][0] < 10 * bends[SmoothEncoding][1] < 10  # accelerations, per frame^2
    assert bends[AcyclicEncoding][0] > 1000 * bends[AcyclicEncoding][1]  # a jump of speed: grows as 1 / h


@pytest.mark.parametrize("start", [0, 10_000_000 * 12])
def test_at_a_code_the_aligner_is_what_is_added_to_the_waves(start: int) -> None:
    sizes = {"v_dim": D, "num_frequencies": F}
    motion = MotionEncoder(D, **sizes, distance=12, kernel_size=3, encoding=SmoothEncoding(**sizes))
    motion_z = torch.randn(1, 11, D)
    t = start + torch.tensor([[0, 24, 60]])
    v = motion(t, None, motion_z, first_code=start // 12)[0]
    codes = motion.trajectory(motion_z)[0, [0, 2, 5]]
    encoding = motion.time_encoder
    angle = encoding.freqs.double() * t.T.double() + encoding.freqs * 12 * encoding.phase(codes)
    waves = torch.cat([angle.sin(), angle.cos()], dim=1).float()
    torch.testing.assert_close(v - waves, encoding.aligners_predictor(codes), atol=1e-5, rtol=0)


def test_phases_of_long_times_are_wrapped_before_they_are_rounded() -> None:
    t = 1e7 + torch.linspace(0, 40, 9, dtype=torch.float64)[None]
    sizes = {"v_dim": D, "num_frequencies": F}
    motion = MotionEncoder(D, **sizes, distance=16, kernel_size=3, encoding=SmoothEncoding(**sizes))
    motion_z = torch.randn(1, 12, D)
    rounded = motion(t, None, motion_z, first_code=625_000)
    exact = motion.double()(t, None, motion_z.double(), first_code=625_000)
    torch.testing.assert_close(rounded.double(), exact, atol=1e-5, rtol=0)


def test_any_window_of_codes_gives_the_same_embedding() -> None:
    sizes = {"v_dim": D, "num_frequencies": F}
    motion = MotionEncoder(D, **sizes, distance=12, kernel_size=3, encoding=SmoothEncoding(**sizes))
    t, motion_z = torch.tensor([[40.25, 50.0, 70.0]]), torch.randn(1, 100, D)
    first, count = motion.window(t)
    part = motion(t, None, motion_z[:, first : int(first) + count], first_code=first)
    torch.testing.assert_close(part, motion(t, None, motion_z))
    other = motion_z.clone()
    other[:, : int(first)] = other[:, int(first) + count :] = 0  # neither past nor future matters
    torch.testing.assert_close(motion(t, None, other), motion(t, None, motion_z))


def knot_jump(encoding: TimeEncoding, distance: int, num_codes: int) -> float:
    """Root mean square of v(t + 1) - 2 v(t) + v(t - 1) at codes over that elsewhere; 16 videos, whole frames."""
    sizes = {name: getattr(encoding, name) for name in ("v_dim", "num_frequencies", "min_period", "max_period")}
    motion = MotionEncoder(32, **sizes, distance=distance, encoding=encoding)
    path = motion.path(MotionNoise(0, torch.arange(16), 32).window)
    t = torch.arange(num_codes * distance, dtype=torch.float64)
    v = path(t).double()
    bend = v[:, 2:] - 2 * v[:, 1:-1] + v[:, :-2]
    at_code = t[1:-1] % distance == 0
    return (bend[:, at_code].square().mean() / bend[:, ~at_code].square().mean()).sqrt().item()


@pytest.mark.parametrize(("distance", "num_codes", "expected"), [(16, 64, 4.5), (256, 12, 59.0)])
def test_motion_bends_at_codes_as_elsewhere(distance: int, num_codes: int, expected: float) -> None:
    sizes = {"v_dim": 32, "num_frequencies": 32, "min_period": distance}
    smooth = knot_jump(SmoothEncoding(**sizes), distance, num_codes)
    original = knot_jump(AcyclicEncoding(**sizes), distance, num_codes)
    print(f"distance {distance}: bends at codes over those elsewhere: smooth {smooth:.2f}, original {original:.1f}")
    assert smooth < 1.5
    assert original == pytest.approx(expected, rel=0.3)


def test_gradients_are_right_and_reach_both_codes_and_all_weights() -> None:
    encoding = make_encoding()
    left, right = torch.randn(2, 2, D, dtype=torch.float64, requires_grad=True).unbind()
    segments = locate(torch.tensor([[13.5, 20.0]], dtype=torch.float64), DISTANCE, torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: encoding(a, b, segments), (left, right))
    gradients = torch.autograd.grad(
        encoding(left, right, segments).square().sum(), [left, right, *encoding.parameters()]
    )
    assert len(gradients) == 5 and all((gradient != 0).any(dim=-1).all() for gradient in gradients)


def test_aligners_rest_at_codes() -> None:
    x = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    torch.testing.assert_close(smoothstep(x) + smoothstep(1 - x), torch.ones_like(x))
    torch.testing.assert_close(derivative(smoothstep, x), 30 * x**2 * (1 - x) ** 2)
    second = derivative(lambda x: derivative(smoothstep, x), x)
    torch.testing.assert_close(second[[0, -1]], torch.zeros(2).double())
