"""What the user can say where the original's file is silent."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from errors import InputError


@dataclass(frozen=True)
class Flags:
    """Settings that no tensor tells, in place of what the file says of them or of what would be assumed.

    There is none for the periods of the motion: the frequencies are tensors. The distance of the motion codes is not,
    and a run of the original may have had one that differs from the shortest period.

    Args:
        motion_z_distance: Frames between two motion codes; a wrong one shows as motion that is too fast or too slow.
        max_num_frames: Longest stretch of a video, in frames, that training looked at; the discriminator tells it,
            unless it takes single frames.
        time_conditioning: Where time enters the generator.
        conv_clamp: Largest absolute value of features, or the word none.
        mbstd_group_size: Clips in a group of the minibatch standard deviation.
        fps: Frames per second of the training data.
        data: Folder, zip or store with videos that config.yaml names.
    """

    motion_z_distance: int | None = None
    max_num_frames: int | None = None
    time_conditioning: Literal["concat_const", "concat_w", "sum_w"] | None = None
    conv_clamp: float | Literal["none"] | None = None
    mbstd_group_size: int | None = None
    fps: float | None = None
    data: str | None = None

    def given(self) -> dict[str, Any]:
        """Those that were given, by the names that settings have."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name: value for name, value in values.items() if value is not None}
        for name, value in given.items():
            if isinstance(value, int | float) and not 0 < value < math.inf:
                raise InputError(f"{name}: {value} is not possible: give a number above 0")
        clamp = given.pop("conv_clamp", None)
        if clamp is not None:
            given |= dict.fromkeys(("g_conv_clamp", "d_conv_clamp"), None if clamp == "none" else clamp)
        return given
