"""What a generator that draws at any scale learns besides its discriminator: to draw one picture at all of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from errors import InputError
from stylegan_v.networks import Generator
from stylegan_v.scale_losses import distance, inner_view
from stylegan_v.training_clips import Drawn, draw_canvas, frames_of


@dataclass(frozen=True)
class MultiScale:
    """How strongly, and how often, the scales of a generator are held together.

    Args:
        teacher_weight: Of the difference between patches above the native scale, reduced to it, and what the averaged
            generator draws there from the same latents; 0 leaves it out.
        consistency_weight: Of the difference between patches, reduced to a scale between theirs and the native one, and
            what the generator itself draws there; 0 leaves it out.
        every: Updates between two that these losses are part of; they then weigh so much more.
    """

    teacher_weight: float = 1.0
    consistency_weight: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        if min(self.teacher_weight, self.consistency_weight) < 0 or self.every < 1:
            raise InputError("model.multi_scale: weights have to be 0 or more, and every at least 1")

    def acts(self, update: int) -> bool:
        """Whether the losses are part of this update."""
        return update % self.every == 0

    def losses(
        self, drawn: Drawn, teacher: Generator, style_mixing_prob: float = 0.0
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """What is added to the generator's loss, and its parts by name; means over all clips.

        Args:
            drawn: The clips.
            teacher: The averaged generator.
            style_mixing_prob: As the clips were drawn with.
        """
        zero = torch.zeros((), device=drawn.canvas.rgb.device)
        parts = {
            "loss/teacher": teacher_loss(drawn, teacher, style_mixing_prob) if self.teacher_weight else zero,
            "loss/consistency": consistency_loss(drawn) if self.consistency_weight else zero,
        }
        total = self.teacher_weight * parts["loss/teacher"] + self.consistency_weight * parts["loss/consistency"]
        return total * self.every, parts


def teacher_loss(drawn: Drawn, teacher: Generator, style_mixing_prob: float = 0.0) -> Float[Tensor, ""]:
    """How far patches, reduced to the native scale, are from another generator's native frames; mean over all clips.

    Args:
        drawn: The clips.
        teacher: The other generator; it gets no gradient.
        style_mixing_prob: As the clips were drawn with.
    """
    resolution = teacher.resolution
    wanted = {i: inner for i, view in enumerate(drawn.views) if (inner := inner_view(view, resolution)) is not None}
    total = torch.zeros((), device=drawn.canvas.rgb.device)
    if not wanted:
        return total
    with torch.no_grad():
        canvas, _ = draw_canvas(teacher, drawn.inputs.some(list(wanted)), style_mixing_prob)
        frames = [frames_of(canvas, place, len(wanted)) for place in range(len(wanted))]
        targets = [one.look(inner) for one, inner in zip(frames, wanted.values(), strict=True)]
    for (i, inner), target in zip(wanted.items(), targets, strict=True):
        total = total + distance(drawn.patches[i], drawn.views[i], target, inner)
    return total / len(drawn.patches)


def consistency_loss(drawn: Drawn) -> Float[Tensor, ""]:
    """How far patches, reduced to a smaller scale, are from what their generator draws there; mean over all clips."""
    total = torch.zeros((), device=drawn.canvas.rgb.device)
    for i, (view, size) in enumerate(zip(drawn.views, drawn.inputs.coarser, strict=True)):
        inner = inner_view(view, size)
        if inner is not None:
            total = total + distance(drawn.patches[i], view, drawn.look(i, inner), inner)
    return total / len(drawn.patches)
