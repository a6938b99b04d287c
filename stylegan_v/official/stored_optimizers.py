"""Stored Adam optimisers: their settings, and their moments by the names of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from errors import InputError
from stylegan_v.official.embedded import PlainReader
from stylegan_v.official.machine import Record
from stylegan_v.official.storages import TensorReader, stored_number
from stylegan_v.official.stored_modules import StoredNetwork, mapping

_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class OptimizerState:
    """What a stored Adam holds.

    Attributes:
        settings: Of its one group: ``lr``, ``betas``, ``eps``, ... as stored, so after the correction for lazy
            regularisation.
        moments: By official parameter name: ``step`` (an int), ``exp_avg`` and ``exp_avg_sq`` (tensors of the
            parameter's shape). Parameters that never had a gradient have no entry; nobody has where they were not
            asked for.
    """

    settings: dict[str, Any]
    moments: dict[str, dict[str, Any]]


def read_optimizer(
    stored: object,
    name: str,
    network: StoredNetwork,
    tensors: TensorReader,
    plain: PlainReader,
    *,
    with_moments: bool = True,
) -> OptimizerState | None:
    """An optimiser's settings and moments; None, with a note, when it is no Adam for the parameters of the network.

    The optimiser keeps its own copies of the parameters, in the order of the network's; its state is found by the
    identity of these copies.

    Args:
        stored: The optimiser's record.
        name: What messages call it: "G_opt" or "D_opt".
        network: The network that it trained.
        tensors: Makes the tensors.
        plain: Reads the settings and keeps the notes.
        with_moments: Whether to read the moments, which are twice as large as the network.

    Raises:
        InputError: What it holds is damaged.
    """
    state = mapping(stored.state, name) if isinstance(stored, Record) and stored.kind == "Adam" else {}
    groups = state.get("param_groups")
    group = mapping(groups[0], f"{name}.param_groups[0]") if isinstance(groups, list) and len(groups) == 1 else {}
    copies = group.get("params")
    if not isinstance(copies, list) or len(copies) != len(network.parameters):
        plain.skipped.append(
            f"{name}: no Adam with one group of the {len(network.parameters)} parameters of its network"
        )
        return None
    stored_moments = mapping(state.get("state"), f"{name}.state") if with_moments else {}
    moments = {
        parameter: _moments(stored_moments[copy], f"{name}.{parameter}", network.tensors[parameter], tensors)
        for parameter, copy in zip(network.parameters, copies, strict=True)
        if isinstance(copy, Record) and copy in stored_moments
    }
    if len(moments) != len(stored_moments):
        raise InputError(f"{name} has moments of parameters that are not in its group: the file is damaged")
    settings = {key: value for key, value in group.items() if key != "params"}
    return OptimizerState(plain.section(settings, f"{name}.param_groups[0]"), moments)


def _moments(stored: object, name: str, parameter: Tensor, tensors: TensorReader) -> dict[str, Any]:
    entry: Mapping[Any, Any] = mapping(stored, name)
    step = stored_number(entry.get("step"), tensors, f"{name}.step")
    if step < 0 or step != int(step):
        raise InputError(f"{name}.step is not a number of steps: {step}")
    moments: dict[str, Any] = {"step": int(step)}
    for key in _MOMENTS:
        moments[key] = tensors.tensor(entry.get(key), f"{name}.{key}")
        if moments[key].shape != parameter.shape:
            raise InputError(f"{name}.{key} does not have the shape {tuple(parameter.shape)} of its parameter")
    return moments
