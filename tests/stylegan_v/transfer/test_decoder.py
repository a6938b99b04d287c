"""Fine-tuning with a decoder: native frames stay, what was learned is taken where it means the same."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tests.stylegan_v.networks.decoded import KINDS, draw, generator, stir
from tests.stylegan_v.transfer.small_networks import filled, outcomes


def of_decoder(found: dict[str, str]) -> set[str]:
    return {outcome for name, outcome in found.items() if ".decoder." in name}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("resolution", [16, (36, 50)])
def test_a_decoder_that_the_source_does_not_have_leaves_native_frames(kind: str, resolution: int | tuple) -> None:
    old, new = generator(None, resolution), generator(kind, resolution, stirred=False)
    with torch.no_grad():
        for parameter in old.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        found = outcomes(filled(new, old))
        torch.testing.assert_close(draw(new), draw(old), rtol=0, atol=1e-4)
    assert of_decoder(found) == {"new"}
    assert {outcome for name, outcome in found.items() if ".decoder." not in name} == {"taken"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoder_is_taken_along(kind: str) -> None:
    old, new = generator(kind), generator(kind, stirred=False)
    assert set(outcomes(filled(new, old)).values()) == {"taken"}
    with torch.no_grad():
        assert torch.equal(draw(new, size=(23, 30)), draw(old, size=(23, 30)))


def test_a_decoder_that_is_not_wanted_is_left_behind() -> None:
    old, new = generator("conv"), generator(None)
    unused = [row.name for row in filled(new, old).rows() if row.outcome == "unused"]
    assert unused and all(".decoder." in name for name in unused)


def test_another_kind_or_resolution_starts_without_effect() -> None:
    old = generator("conv")
    for new in (generator("point", stirred=False), generator("conv", 32, stirred=False)):
        assert of_decoder(outcomes(filled(new, old))) == {"new"}
        assert not new.decoder.last_weight.any()
    wider = generator("conv", decoder=partial(KINDS["conv"], width=12), stirred=False)
    assert of_decoder(outcomes(filled(wider, old))) == {"new"}


def test_the_last_block_may_be_dropped_and_come_back() -> None:
    full, short = generator("conv"), generator("conv", mode="replace_last_block")
    stir(full.decoder)
    assert set(outcomes(filled(short, full)).values()) == {"taken"}
    found = outcomes(filled(generator("conv"), short))
    assert {outcome for name, outcome in found.items() if ".b16." in name} == {"new"} and of_decoder(found) == {"taken"}
