"""Whether there is memory for a field, before any of it is taken."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from datasets.memory import available_memory, gigabytes
from errors import InputError

Size = tuple[int, int, int]
_COPIES = 5  # parameters, derivatives, two moments, the last good state


def bytes_to_fit(field: nn.Module) -> int:
    """Memory for a field in training, without that for its batches.

    Args:
        field: On any device, "meta" included.
    """
    trained = sum(parameter.numel() * parameter.element_size() for parameter in field.parameters())
    return _COPIES * trained + sum(buffer.numel() * buffer.element_size() for buffer in field.buffers())


def check_memory(field: nn.Module, size: Size, device: torch.device, available: int | None = None) -> None:
    """Refuses a field that cannot be trained in the memory that is left.

    Args:
        field: On any device, "meta" included.
        size: Frames, height and width of the video.
        device: Where it is to be trained.
        available: Bytes; None: what the system says, and if it says nothing, there is no check.

    Raises:
        InputError: There is less memory than it would take.
    """
    needed = bytes_to_fit(field)
    left = available_memory(device) if available is None else available
    if left is not None and needed > left:
        raise InputError(
            f"model.model: to fit a field of this size to {size[0]} frames of {size[1]}x{size[2]} takes "
            f"{gigabytes(needed)}, {gigabytes(left)} are left ({device}): give smaller grids, or fewer frames by "
            "data.num_frames"
        )


def built_within_memory(make: Callable[[Size], nn.Module], size: Size, available: int | None = None) -> nn.Module:
    """The field, on the CPU.

    Args:
        make: Builds it for frames, height and width.
        size: These.
        available: As for `check_memory`.

    Raises:
        InputError: There is less memory than it would take.
    """
    with torch.device("meta"):
        check_memory(make(size), size, torch.device("cpu"), available)
    return make(size)
