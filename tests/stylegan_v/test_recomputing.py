from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from pytorch_lightning.demos.boring_classes import BoringModel

from errors import InputError
from stylegan_v.callbacks import RecomputeActivations
from stylegan_v.cost import rehearse
from stylegan_v.recomputing import Recomputed, recompute
from tests.checkpoint_state import assert_same
from tests.stylegan_v.tiny_gan import RecordingGAN, StopAfter, data, discriminator, gan, generator, trainer


def test_gradients_of_all_phases_stay_to_the_bit(tmp_path: Path) -> None:
    """R1 and path length, which differentiate twice, among them; the checkpoints hold the same under the same names."""
    gradients, states = [], []
    for number, callbacks in enumerate(([], [RecomputeActivations()])):
        model = gan(made=RecordingGAN, augmented=True, pl_weight=2.0, r1_every=1)
        run = trainer(tmp_path / str(number), *callbacks, StopAfter(2))
        run.fit(model, data())
        states.append(tmp_path / f"{number}.ckpt")
        run.save_checkpoint(states[-1])
        gradients.append(model.gradients)
    assert {name.split("/")[1] for name in gradients[0]} == {"generator", "path_length", "discriminator", "r1"}
    for phase, expected in gradients[0].items():
        assert all(torch.equal(a, b) for a, b in zip(expected, gradients[1][phase], strict=True)), phase
    assert_same(*states)


def test_blocks_run_again_only_where_gradients_are_wanted() -> None:
    network = discriminator().requires_grad_(True)
    recompute(network.blocks)
    passes: list[int] = []
    network.blocks["b16"].conv0.register_forward_hook(lambda *_: passes.append(1))
    clip, t = torch.randn(2, 3, 3, 16, 16), torch.arange(3.0).expand(2, -1)
    with torch.no_grad():
        network(clip, t)
    assert len(passes) == 1
    network(clip, t).sum().backward()
    assert len(passes) == 3


def test_copies_run_their_own_parameters_and_nothing_is_wrapped_twice() -> None:
    network = generator()
    recompute(network.synthesis.blocks)
    recompute(network.synthesis.blocks)
    block = copy.deepcopy(network).synthesis.blocks["b4"]
    assert isinstance(block.forward, Recomputed) and not isinstance(block.forward.forward, Recomputed)
    assert block.forward.forward.__self__ is block


@pytest.mark.slow
def test_less_is_alive_at_once_for_more_operations() -> None:
    networks = generator(), discriminator()
    before = rehearse(*networks, 8)
    recompute(networks[0].synthesis.blocks)
    recompute(networks[1].blocks)
    after = rehearse(*networks, 8)
    assert after.phases["generator"].peak < 0.75 * before.phases["generator"].peak
    assert after.phases["R1"].peak < before.phases["R1"].peak
    assert 1.2 * before.operations_per_clip < after.operations_per_clip < 1.5 * before.operations_per_clip


def test_one_of_the_networks_may_keep_its_activations(tmp_path: Path) -> None:
    model = gan()
    callback = RecomputeActivations(generator=False)
    trainer(tmp_path, callback, StopAfter(1)).fit(model, data())
    assert isinstance(model.discriminator.blocks["b16"].forward, Recomputed)
    assert not isinstance(model.generator.synthesis.blocks["b16"].forward, Recomputed)


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="RecomputeActivations: is for video GANs, model is BoringModel"):
        trainer(tmp_path, RecomputeActivations(), fast_dev_run=1).fit(BoringModel())
