"""The networks of a new run from the weights of another: what fits is taken, what has a meaning is adapted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from errors import InputError
from stylegan_v.checkpoints import build, check_fits
from stylegan_v.networks import Discriminator, Generator
from stylegan_v.pretrained import read_model
from stylegan_v.transfer.discriminator import fill_discriminator
from stylegan_v.transfer.generator import fill_generator
from stylegan_v.transfer.ledger import Ledger
from stylegan_v.transfer.table import Row, Table
from stylegan_v.weights import Weights

_SOURCES = {  # where each network comes from, the best first
    "generator": ("generator", "generator_ema"),
    "generator_ema": ("generator_ema", "generator"),
    "discriminator": ("discriminator",),
}


def start_from(path: str, networks: Mapping[str, nn.Module]) -> Table:
    """Starts networks from those of a file or folder, in place; arguments and errors as `transfer`."""
    return transfer(read_model(path), networks)


def transfer(weights: Weights, networks: Mapping[str, nn.Module]) -> Table:
    """Starts networks from others, in place.

    Args:
        weights: The source.
        networks: What is filled, by name: ``generator``, ``generator_ema``, ``discriminator``.

    Raises:
        InputError: The source holds no generator, cannot be built, is not finite, or has nothing in common with these.
    """
    if not {"generator", "generator_ema"} & weights.networks.keys():
        found = ", ".join(weights.networks) or "nothing of a video GAN"
        raise InputError(f"{weights.path}: holds no generator ({found}): give weights that have one")
    rows, notes = [], []
    for name, new in networks.items():
        source = next((source for source in _SOURCES[name] if source in weights.networks), None)
        if source is None:
            notes.append(f"{weights.path} holds no {name}: it starts anew")
            rows += _all_new(name, new)
            continue
        ledger = Ledger(name, _source(weights, source), new)
        with torch.no_grad():
            fill(ledger)
        rows += ledger.rows()
        notes += [note for note in [*ledger.notes, *_frozen_but_new(ledger)] if note not in notes]
    _check_common(weights, rows)
    return Table(weights.path, rows, _clips_seen(weights.facts), notes)


def _all_new(name: str, network: nn.Module) -> list[Row]:
    how = "the source has none"
    return [Row(name, tensor, "new", None, tuple(v.shape), how) for tensor, v in network.state_dict().items()]


def _clips_seen(facts: Mapping[str, Any]) -> int | None:
    """All clips behind the weights, those of the runs that theirs started from included."""
    return facts["num_clips"] + facts.get("past_clips", 0) if "num_clips" in facts else None


def fill(ledger: Ledger) -> None:
    """Fills a network by the rules for its kind; one of an unknown kind is taken whole or not at all."""
    new, old = ledger.new, ledger.old
    if isinstance(new, Generator) and isinstance(old, Generator):
        fill_generator(ledger, new, old)
    elif isinstance(new, Discriminator) and isinstance(old, Discriminator):
        fill_discriminator(ledger, new, old)
    else:
        ledger.take(new, old)


def _frozen_but_new(ledger: Ledger) -> list[str]:
    """A warning where freeze_d keeps layers as they are that have learned nothing yet."""
    frozen = {name for name, _ in ledger.new.named_buffers() if name.endswith((".weight", ".bias"))}
    new = [row.name for row in ledger.rows() if row.outcome == "new" and row.name in frozen]
    return [f"model.freeze_d freezes layers that start anew, {new[0]} first: freeze fewer"] if new else []


def _source(weights: Weights, name: str) -> nn.Module:
    """A network of the source with its weights."""
    state = weights.networks[name]
    with torch.device("meta"):  # the tensors that were read take the place of these
        network = build(weights.model["init_args"].get(name.removesuffix("_ema")))
    if not isinstance(network, nn.Module):
        raise InputError(f"{weights.path}: its config names no {name}: give weights of a video GAN")
    check_fits(network.state_dict(), state, weights.path)
    _check_finite(weights, name, state)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _check_finite(weights: Weights, name: str, state: Mapping[str, Tensor]) -> None:
    for tensor, value in state.items():
        if not value.isfinite().all():
            raise InputError(f"{weights.path}: {name}.{tensor} is not finite: give an earlier checkpoint of that run")


def _check_common(weights: Weights, rows: list[Row]) -> None:
    if not any(row.outcome in ("taken", "adapted") for row in rows):
        raise InputError(
            f"{weights.path}: nothing of it fits these networks: give weights of networks with the same widths "
            "(channel_base, channel_max, w_dim), or leave init_from out"
        )
