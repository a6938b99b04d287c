"""Trained generators, ready to use: from a run, from a folder made for sharing, from a snapshot of the original."""

from __future__ import annotations

import os
from collections.abc import Collection

import torch

from errors import InputError
from stylegan_v.checkpoints import build, check_fits
from stylegan_v.networks import Generator
from stylegan_v.weights import NETWORKS, Weights, find_weights, read_weights


def read_model(path: str | os.PathLike[str], wanted: Collection[str] = NETWORKS) -> Weights:
    """Weights of any form: what `weights.read_weights` takes, or a snapshot of the original system.

    Args:
        path: A file or a folder.
        wanted: Names of the networks to read; those that the file does not have are left out.

    Raises:
        InputError: There are no weights, or they cannot be read.
    """
    return read_weights(find_weights(path), wanted)


def load_generator(path: str | os.PathLike[str], *, ema: bool = True) -> Generator:
    """The generator of a model, ready to sample: on the CPU, in evaluation mode, without gradients.

    Args:
        path: A run folder (its last checkpoint is taken), a folder of weights, or a file.
        ema: Whether to take the averaged weights.

    Raises:
        InputError: There are no weights, or not those of a generator that this version can build.
    """
    network = "generator_ema" if ema else "generator"
    return make_generator(read_model(path, [network]), network)


def make_generator(weights: Weights, network: str = "generator_ema") -> Generator:
    """A generator from weights, in evaluation mode, without gradients.

    Args:
        weights: Whose tensors become the generator's own, without a copy.
        network: Which of its networks.

    Raises:
        InputError: They are not those of a generator that this version can build.
    """
    with torch.device("meta"):  # the tensors that are read take the place of these
        generator = build(weights.model["init_args"].get("generator"))
    if not isinstance(generator, Generator):
        raise InputError(f"{weights.path}: its config names no generator: give a checkpoint of a video GAN")
    if network not in weights.networks:
        raise InputError(f"{weights.path}: holds no {network}, only {', '.join(weights.networks) or 'other networks'}")
    state = weights.networks[network]
    check_fits(generator.state_dict(), state, weights.path)
    generator.load_state_dict(state, assign=True)
    return generator.eval().requires_grad_(False)
