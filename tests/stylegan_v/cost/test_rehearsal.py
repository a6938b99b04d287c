from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.memory import ALLOCATOR
from stylegan_v.cost import rehearse
from tests.stylegan_v.cost.updating import CountedGAN, networks, updated
from tests.stylegan_v.tiny_gan import discriminator, generator

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def counted() -> tuple:
    return updated(CountedGAN, 32, 256, 1)


def test_each_phase_does_what_a_real_update_does(counted: tuple) -> None:
    model, cost = counted
    assert cost.phases.keys() == model.found.keys() == {"generator", "discriminator", "R1"}
    for name, (multiply_adds, _) in model.found.items():
        assert cost.phases[name].work.multiply_adds == multiply_adds, name


def test_each_phase_holds_about_what_a_real_update_holds(counted: tuple) -> None:
    model, cost = counted
    for name, (_, peak) in model.found.items():
        assert cost.phases[name].peak == pytest.approx(peak, rel=0.1), name


@pytest.mark.slow
def test_the_sum_is_made_of_its_parts() -> None:
    nets = generator(c_dim=3), discriminator(c_dim=3)
    cost = rehearse(*nets, 4, r1_every=8, pl_every=2)
    numbers = [sum(p.numel() for p in net.parameters()) for net in nets]
    buffers = sum(b.nbytes for b in nets[0].buffers()) * 2 + sum(b.nbytes for b in nets[1].buffers())
    clips = 4 * 3 * 3 * 16 * 16 * 5
    assert list(cost.parameters.values()) == numbers and cost.gradients == 4 * sum(numbers)
    # The weights, the average, and two means of Adam.
    assert cost.standing == 4 * (2 * numbers[0] + numbers[1]) + 8 * sum(numbers) + buffers + clips
    done = {name: 2 * phase.work.multiply_adds / 4 for name, phase in cost.phases.items()}
    expected = done["generator"] + done["discriminator"] + done["R1"] / 8 + done["path length"] / 2
    assert cost.operations_per_clip == pytest.approx(expected)
    assert cost.peak >= cost.standing + cost.phases[cost.fullest].peak
    assert all(p.grad is None and p.requires_grad for net in nets for p in net.parameters())


@pytest.mark.slow
def test_parts_and_half_precision_take_less_memory_for_the_same_operations() -> None:
    nets = list(networks(32, 256).values())
    state = torch.get_rng_state()
    whole = rehearse(*nets, 4, r1_every=None)
    parts, half = rehearse(*nets, 4, num_micro_batches=2, r1_every=None), rehearse(*nets, 4, bf16=True, r1_every=None)
    assert parts.operations_per_clip == whole.operations_per_clip == half.operations_per_clip
    activations = [cost.peak - cost.standing - cost.gradients for cost in (whole, parts, half)]
    assert 0.45 * activations[0] < activations[1] < 0.6 * activations[0]
    assert 0.45 * activations[0] < activations[2] < 0.8 * activations[0]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_the_process_grows_by_the_estimate_to_a_quarter() -> None:
    command = [sys.executable, "-m", "tests.stylegan_v.cost.updating"]
    environment = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": "1"}
    said = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=600)
    found = json.loads(said.stdout.splitlines()[-1])
    if found["grown"] is None:
        pytest.skip("the system does not tell the memory of a process")
    assert found["estimated"] == pytest.approx(found["grown"], rel=0.25)
