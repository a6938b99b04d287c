"""Optimisers that a config names: made with clear errors, restored by the names of their parameters."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer

from errors import InputError

logger = logging.getLogger(__name__)


def make_optimizer(key: str, make: Callable[[Any], Optimizer], network: nn.Module) -> Optimizer:
    """An optimiser of all parameters of a network.

    Its state is saved with their names. Loading a state keeps what it holds on those that are there, so a run may go on
    with more or fewer frozen layers; settings, such as the learning rate, stay as they were given to ``make``.

    Args:
        key: Where the config names it, for messages.
        make: Parameters to optimiser.
        network: What it moves.

    Raises:
        InputError: ``make`` refuses its settings.
    """
    try:
        optimizer = make(network.parameters())
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{key}: {error}: change its init_args") from error
    names = {parameter: name for name, parameter in network.named_parameters()}
    for group in optimizer.param_groups:
        group["param_names"] = [names[parameter] for parameter in group["params"]]
    optimizer.register_load_state_dict_pre_hook(_fitting_state)
    return optimizer


def _fitting_state(optimizer: Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
    """A saved state, brought to the parameters and settings of ``optimizer``.

    Raises:
        InputError: The saved state is that of an optimiser of another make.
    """
    here, there = optimizer.param_groups, saved["param_groups"]
    if len(here) != len(there) or not all("param_names" in group for group in there):
        raise InputError(
            "ckpt_path: the state of its optimisers does not belong to those of this config: "
            "give the optimisers of that run, or another checkpoint"
        )
    state_of = {
        name: saved["state"][number]
        for group in there
        for name, number in zip(group["param_names"], group["params"], strict=True)
        if number in saved["state"]
    }
    names = [name for group in here for name in group["param_names"]]
    _say_what_differs(set(names), {name for group in there for name in group["param_names"]})
    # What the constructor takes is a setting and follows the config; anything else in a group is state.
    settings = inspect.signature(type(optimizer)).parameters.keys() - {"params"}
    groups, first = [], 0
    for mine, theirs in zip(here, there, strict=True):
        given = {name: value for name, value in mine.items() if name in settings or name == "param_names"}
        groups.append(theirs | given | {"params": list(range(first, first + len(mine["params"])))})
        first += len(mine["params"])
    state = {number: state_of[name] for number, name in enumerate(names) if name in state_of}
    return saved | {"state": state, "param_groups": groups}


def _say_what_differs(here: set[str], there: set[str]) -> None:
    if dropped := there - here:
        logger.info("optimiser state of %d parameters that no longer move is dropped", len(dropped))
    if fresh := here - there:
        logger.info("%d parameters start to move, with fresh optimiser state", len(fresh))
