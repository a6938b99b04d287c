"""Whether there is memory for a field, before any of it is taken."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from datasets.memory import available_memory, gigabytes
from errors import InputError

_COPIES = 5  # parameters, derivatives, two moments, the last good state


def bytes_to_fit(field: nn.Module) -> int:
    """Memory for a field in training, without that for its batches.

    Args:
        field: On any device, "meta" included.
    """
    trained = sum(parameter.numel() * parameter.element_size() for parameter in field.parameters())
    return _COPIES * trained + sum(buffer.numel() * buffer.element_size() for buffer in field.buffers())


def check_memory(
    field: nn.Module,
    what: str,
    device: torch.device,
    remedy: str = "give smaller grids",
    available: int | None = None,
) -> None:
    """Refuses a field that cannot be trained in the memory that is left.

    Args:
        field: On any device, "meta" included.
        what: What it is to be fitted to, for the message.
        device: Where it is to be trained.
        remedy: What to do, for the message.
        available: Bytes; None: what the system says, and if it says nothing, there is no check.

    Raises:
        InputError: There is less memory than it would take.
    """
    needed = bytes_to_fit(field)
    left = available_memory(device) if available is None else available
    if left is not None and needed > left:
        raise InputError(
            f"model.model: to fit a field of this size to {what} takes {gigabytes(needed)}, {gigabytes(left)} are left "
            f"({device}): {remedy}"
        )


def built_within_memory(
    make: Callable[[], nn.Module], what: str, remedy: str = "give smaller grids", available: int | None = None
) -> nn.Module:
    """The field, on the CPU.

    Args:
        make: Builds it.
        what: What it is to be fitted to, for the message.
        remedy: What to do where there is no memory for it, for the message.
        available: As for `check_memory`.

    Raises:
        InputError: There is less memory than it would take.
    """
    with torch.device("meta"):
        check_memory(make(), what, torch.device("cpu"), remedy, available)
    return make()
