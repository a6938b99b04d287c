"""Motion by the path: against a plain evaluation in extended precision, and the same bits whoever asks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan_v.networks import AcyclicEncoding, MotionEncoder, SmoothEncoding
from stylegan_v.rendering import MotionNoise

ENCODINGS = {"acyclic": AcyclicEncoding, "smooth": SmoothEncoding}
VIDEOS = (3, 7)


def make_motion(
    encoding: str, c_dim: int = 0, distance: int = 4, size: int = 6, num_frequencies: int = 8
) -> MotionEncoder:
    torch.manual_seed(0)
    sizes = {"v_dim": size, "num_frequencies": num_frequencies, "min_period": distance}
    made = ENCODINGS[encoding](**sizes)
    return MotionEncoder(size, c_dim=c_dim, distance=distance, kernel_size=3, encoding=made, **sizes)


def make_path(motion: MotionEncoder, videos: tuple[int, ...] = VIDEOS, c: Tensor | None = None) -> object:
    return motion.path(MotionNoise(5, torch.tensor(videos), motion.z_dim).window, c)


def times(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def evaluate(motion: MotionEncoder, video: int, t: float, c: Tensor | None = None) -> np.ndarray:
    """The embedding of one moment, by its formulas, one code after the other, in the widest floats of numpy."""
    wide = np.longdouble

    def weights(module: torch.nn.Module) -> np.ndarray:
        return module.weight.detach().numpy().astype(wide)

    def convolve(layer: torch.nn.Module, x: np.ndarray) -> np.ndarray:
        kernel = weights(layer)
        kernel = kernel * (wide(0.01) / np.sqrt(wide(kernel.shape[1] * kernel.shape[2])))
        windows = [x[i : i + kernel.shape[2]] for i in range(len(x) - kernel.shape[2] + 1)]
        x = np.stack([np.einsum("oik,ki->o", kernel, window) for window in windows])
        return np.where(x > 0, x, x * wide(0.2))

    code, encoding = int(t // motion.distance), motion.time_encoder
    noise = MotionNoise(5, torch.tensor([video]), motion.z_dim).window(code, 2 + motion.reach)[0].numpy().astype(wide)
    if c is not None:
        noise = np.concatenate([noise, np.repeat(c.numpy().astype(wide)[None], len(noise), axis=0)], axis=1)
    codes = convolve(motion.conv[1], convolve(motion.conv[0], noise))
    rates, phases, aligners = (
        codes @ weights(layer).T / np.sqrt(wide(codes.shape[1]))
        for layer in (encoding.periods_predictor, encoding.phase_predictor, encoding.aligners_predictor)
    )
    omega = encoding.freqs[0].numpy().astype(wide)
    tau = (wide(t) - code * motion.distance) / motion.distance
    ends = [wide(code * motion.distance), wide((code + 1) * motion.distance)]

    def waves(angle: np.ndarray) -> np.ndarray:
        return np.concatenate([np.sin(angle), np.cos(angle)])

    if isinstance(encoding, AcyclicEncoding):
        shift = phases[0] * encoding.phase_scales[0].numpy().astype(wide)
        here, first, last = (waves(omega * (1 + np.tanh(rates[0])) * x + shift) for x in (wide(t), *ends))
        return here - (1 - tau) * first - tau * last + (1 - tau) * aligners[0] + tau * aligners[1]
    (r, r_next), (p, p_next) = wide(0.99) * np.tanh(rates), np.tanh(phases) / 6
    b = p_next - p - (r + r_next) / 2
    ahead = p + r * tau + (r_next - r) * tau**2 / 2 + b * (3 * tau**2 - 2 * tau**3)
    share = 6 * tau**5 - 15 * tau**4 + 10 * tau**3
    return waves(omega * t + omega * motion.distance * ahead) + (1 - share) * aligners[0] + share * aligners[1]


@pytest.mark.parametrize("start", [0.0, 1e7, 1e9])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_embeddings_are_exact_at_any_time(encoding: str, start: float) -> None:
    motion, labels = make_motion(encoding, c_dim=2), torch.eye(2)
    t = start + torch.linspace(0, 16, 23, dtype=torch.float64)
    found = make_path(motion, c=labels)(t)
    expected = [[evaluate(motion, video, x, c) for x in t.tolist()] for video, c in zip(VIDEOS, labels, strict=True)]
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), np.array(expected, dtype=np.float64), rtol=0, atol=1e-5)


def test_float32_loses_the_original_encoding_where_the_path_does_not() -> None:
    motion, t = make_motion("acyclic"), 1e7 + torch.linspace(0, 16, 23, dtype=torch.float64)
    first, num = motion.window(t[None])
    motion_z = MotionNoise(5, torch.tensor(VIDEOS), motion.z_dim).window(int(first), num)
    rounded = motion(t.expand(2, -1), None, motion_z, first_code=int(first))
    assert (rounded - make_path(motion)(t)).abs().max() > 0.1


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_early_embeddings_are_those_of_training(encoding: str) -> None:
    motion, t = make_motion(encoding), torch.linspace(0, 60, 50, dtype=torch.float64)
    motion_z = MotionNoise(5, torch.tensor(VIDEOS), motion.z_dim).window(0, motion.num_codes(t))
    torch.testing.assert_close(make_path(motion)(t), motion(t.expand(2, -1), None, motion_z), atol=2e-4, rtol=0)


@pytest.mark.parametrize("start", [0.0, 1e7])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_whoever_asks_gets_the_same_bits(encoding: str, start: float) -> None:
    motion = make_motion(encoding)
    t = start + torch.arange(0, 300, 0.75, dtype=torch.float64)
    whole = make_path(motion)(t)
    for size in (1, 7, 64):
        path = make_path(motion)
        assert torch.equal(torch.cat([path(part) for part in t.split(size)], dim=1), whole)
    order = torch.randperm(len(t))
    assert torch.equal(make_path(motion)(t[order]), whole[:, order])
    assert torch.equal(make_path(motion)(t.flip(0)), whole.flip(1))
    assert torch.equal(make_path(motion, videos=(7,))(t[100:]), whole[1:, 100:])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(make_path(motion)(t[50:80]), whole[:, 50:80])


@pytest.mark.slow
def test_whoever_asks_gets_the_same_bits_at_full_width() -> None:
    torch.manual_seed(0)
    motion = MotionEncoder()
    t = 1e7 + torch.arange(0, 600, 5.5, dtype=torch.float64)
    whole = make_path(motion)(t)
    for part in (slice(0, 1), slice(40, 41), slice(3, 99)):
        assert torch.equal(make_path(motion, videos=(7,))(t[part]), whole[1:, part])


@pytest.mark.gpu
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_gpu_gives_the_embeddings_of_the_host(encoding: str) -> None:
    motion, t = make_motion(encoding), 1e7 + torch.arange(0, 100, 0.75, dtype=torch.float64)
    expected = make_path(motion)(t)
    path = motion.cuda().path(MotionNoise(5, torch.tensor(VIDEOS, device="cuda"), motion.z_dim).window)
    whole = path(t)
    torch.testing.assert_close(whole.cpu(), expected, atol=1e-5, rtol=0)
    assert torch.equal(torch.cat([path(part) for part in t.split(7)], dim=1), whole)


def test_moments_far_apart_need_no_codes_between_them() -> None:
    motion, asked = make_motion("acyclic"), []

    def noise(first: int, num: int) -> Tensor:
        asked.append(first)
        return MotionNoise(5, torch.tensor(VIDEOS), motion.z_dim).window(first, num)

    path, t = motion.path(noise), times(0, 0.25, 1e6 + 0.5, 3)
    found = path(t)
    assert asked == [0, 250_000]  # blocks of 16 codes
    assert path(t[:2]).equal(found[:, :2]) and asked == [0, 250_000]  # still held
    path(t[2:3]), path(t[:1])
    assert asked == [0, 250_000, 250_000, 0]  # forgotten once they were not asked for


def test_a_path_stays_what_it_was_when_its_motion_learns_on() -> None:
    motion, t = make_motion("smooth"), times(3, 80)
    path = make_path(motion)
    motion.conv[0].weight.data.zero_()
    assert torch.equal(path(t), make_path(make_motion("smooth"))(t))
    assert motion.conv[0].weight.dtype == torch.float32 and motion.conv[0].weight.requires_grad
