from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
import torch
from scipy import stats

from stylegan_v.noise import AddressedRandom, GlobalRandom, RandomSource, philox

MASK = 0xFFFFFFFF
# Known answers published with the Random123 library for ten rounds of Philox4x32: counter, key, output.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((MASK, MASK, MASK, MASK), (MASK, MASK), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def draws(n: int | list[int] = 0, *, seed: int = 7, update: int = 11, phase: str = "generator") -> AddressedRandom:
    return AddressedRandom(seed, update, phase, torch.tensor([n] if isinstance(n, int) else n))


@pytest.mark.parametrize("counter, key, words", KNOWN_ANSWERS)
def test_philox_gives_the_published_words(
    counter: tuple[int, int, int, int], key: tuple[int, int], words: tuple[int, int, int, int]
) -> None:
    c0, c1, c2, c3 = counter
    as_tensors = philox((torch.tensor([c0]), torch.tensor([c1]), c2, c3), key)
    assert tuple(int(word) for word in as_tensors) == words


def test_philox_works_elementwise_on_broadcast_counters() -> None:
    index, clips = torch.arange(5)[None], torch.tensor([0, 3, MASK])[:, None]
    together = torch.stack(torch.broadcast_tensors(*philox((index, clips, 9, 0), (1, 2))))
    for i in range(3):
        for j in range(5):
            alone = philox((index[0, j], clips[i, 0], 9, 0), (1, 2))
            assert together[:, i, j].tolist() == [int(word) for word in alone]


def test_draws_of_no_values_are_empty() -> None:
    assert draws([3, 4]).normal("z", 2, 0).shape == (2, 2, 0)
    assert draws([3, 4]).uniform("z", 0).shape == (2, 0)


def test_draws_are_the_words_of_their_address() -> None:
    """Against the definition, in Python's integers: counter (index, clip, update, 0), key (seed, name)."""
    seed, update, n = -1, 2**32 + 5, 6
    key = (seed & MASK, zlib.crc32(b"generator/z"))
    words = [int(w) for index in range(2) for w in philox((torch.tensor(index), torch.tensor(n), 5, 0), key)]

    random = draws(n, seed=seed, update=update)
    uniform = [((words[2 * i] >> 5) * 2**26 + (words[2 * i + 1] >> 6)) / 2**53 for i in range(4)]
    assert random.uniform("z", 2, 2).flatten().tolist() == uniform

    radii = [math.sqrt(-2 * math.log((words[2 * i] + 1) / 2**32)) for i in range(4)]
    angles = [2 * math.pi * words[2 * i + 1] / 2**32 for i in range(4)]
    normal = [r * part(a) for r, a in zip(radii, angles, strict=True) for part in (math.cos, math.sin)]
    np.testing.assert_allclose(random.normal("z", 7).flatten(), normal[:7], rtol=1e-6, atol=1e-7)


def test_shapes_and_types() -> None:
    for random in (draws([0, 1, 2]), GlobalRandom(3)):
        assert isinstance(random, RandomSource)
        assert (random.uniform("a").shape, random.uniform("a").dtype) == ((3,), torch.float64)
        assert (random.normal("a", 4, 5).shape, random.normal("a", 4, 5).dtype) == ((3, 4, 5), torch.float32)
        assert random.normal("a", 0, 2).shape == (3, 0, 2)


def test_a_clip_draws_the_same_whoever_asks() -> None:
    """The whole batch, the ranks' interleaved shares, micro-batches in any order, and a repeated call agree."""
    for kind in ("uniform", "normal"):
        whole = getattr(draws(list(range(8))), kind)("motion_z", 5, 3)
        for share in ([0, 2, 4, 6], [1, 3, 5, 7], [6, 1], [4]):
            part = getattr(draws(share), kind)("motion_z", 5, 3)
            assert torch.equal(part, whole[share])


def test_asking_for_more_keeps_the_beginning() -> None:
    random = draws([0, 1])
    for kind in ("uniform", "normal"):
        many = getattr(random, kind)("motion_z", 101)
        for count in (1, 2, 3, 64, 99):
            assert torch.equal(getattr(random, kind)("motion_z", count), many[:, :count])


def test_every_part_of_the_address_matters() -> None:
    base = draws().normal("z", 1000)
    others = [
        draws(1).normal("z", 1000),
        draws(seed=8).normal("z", 1000),
        draws(update=12).normal("z", 1000),
        draws(phase="discriminator").normal("z", 1000),
        draws().normal("motion_z", 1000),
    ]
    for other in others:
        assert (base != other).float().mean() > 0.99
        correlation = np.corrcoef(base.flatten(), other.flatten())[0, 1]
        assert abs(correlation) < 4 / math.sqrt(1000)  # four standard deviations of unrelated draws


def test_uniform_draws_fill_the_unit_interval_evenly() -> None:
    x = draws(list(range(40))).uniform("u", 1000).flatten()
    assert x.min() >= 0
    assert x.max() < 1
    assert len(x.unique()) == len(x)
    assert x.mean().item() == pytest.approx(1 / 2, abs=0.006)
    assert x.var().item() == pytest.approx(1 / 12, abs=0.002)
    assert stats.kstest(x.numpy(), "uniform").pvalue > 1e-3


def test_normal_draws_are_standard_normal() -> None:
    x = draws(list(range(40))).normal("n", 1000).double().flatten()
    assert torch.isfinite(x).all()
    assert x.mean().item() == pytest.approx(0, abs=0.02)
    assert x.var().item() == pytest.approx(1, abs=0.03)
    assert x.pow(3).mean().item() == pytest.approx(0, abs=0.1)
    assert x.pow(4).mean().item() == pytest.approx(3, abs=0.25)
    assert stats.kstest(x.numpy(), "norm").pvalue > 1e-3


def test_neighbouring_clips_updates_and_elements_are_unrelated() -> None:
    x = torch.stack([draws(list(range(20)), update=update).normal("n", 100) for update in range(20)]).double()
    for axis in range(3):
        near = (x.narrow(axis, 0, x.shape[axis] - 1) * x.narrow(axis, 1, x.shape[axis] - 1)).mean()
        assert abs(near.item()) < 4 / math.sqrt(x.numel() * 0.9)


def test_global_draws_are_those_of_torch() -> None:
    random = GlobalRandom(2)
    torch.manual_seed(3)
    got = random.uniform("any", 4), random.normal("name", 4)
    torch.manual_seed(3)
    assert torch.equal(got[0], torch.rand(2, 4, dtype=torch.float64))
    assert torch.equal(got[1], torch.randn(2, 4))


@pytest.mark.gpu
def test_a_gpu_draws_what_a_cpu_draws() -> None:
    clips = torch.arange(4)
    here, there = AddressedRandom(1, 2, "p", clips), AddressedRandom(1, 2, "p", clips.cuda())
    assert torch.equal(there.uniform("u", 33).cpu(), here.uniform("u", 33))
    torch.testing.assert_close(there.normal("n", 33).cpu(), here.normal("n", 33), rtol=1e-6, atol=1e-6)
