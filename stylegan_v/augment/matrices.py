"""From random numbers to the matrices of the transforms.

Shape legend
    N       images (clips, or frames where each has its own transform)
    H, W    height and width
"""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stylegan_v.augment.draws import Draws
from stylegan_v.augment.settings import Settings


def inverse_geometry(settings: Settings, draws: Draws, height: int, width: int) -> Float[Tensor, "N 3 3"]:
    """Where each output pixel comes from: homogeneous matrices on (x, y, 1) in pixels from the centre of the frame.

    The transforms act on the image in the order of `Settings`, so their inverses multiply from the left to the right.
    """
    square = height == width
    turns = draws.whole("rotate90", 4) if square else 2 * draws.whole("rotate90", 2)
    scale = torch.exp2(-settings.scale_std * draws.gaussian("scale"))
    aniso = torch.exp2(-settings.aniso_std * draws.gaussian("aniso"))
    steps = [
        _scaling(1 - 2 * draws.whole("xflip", 2), torch.ones_like(scale)),
        _rotation(90 * turns),
        _translation(
            -torch.round(settings.xint_max * width * draws.centred("xint_x", "xint")),
            -torch.round(settings.xint_max * height * draws.centred("xint_y", "xint")),
        ),
        _scaling(scale, scale),
        _rotation(180 * settings.rotate_max * draws.centred("rotate_before")),
        _scaling(aniso, 1 / aniso),
        _rotation(180 * settings.rotate_max * draws.centred("rotate_after")),
        _translation(
            -settings.xfrac_std * width * draws.gaussian("xfrac_x", "xfrac"),
            -settings.xfrac_std * height * draws.gaussian("xfrac_y", "xfrac"),
        ),
    ]
    return reduce(torch.matmul, steps)


def colour_map(settings: Settings, draws: Draws) -> tuple[Float[Tensor, "N 3 3"], Float[Tensor, "N 3 1"]]:
    """The map of colours, y = matrix x + offset: brightness, contrast, luma flip, hue, saturation, in this order."""
    from kornia.geometry.conversions import axis_angle_to_rotation_matrix

    def factor(values: Float[Tensor, " N"]) -> Float[Tensor, "N 1 1"]:
        return values[:, None, None]

    brightness = settings.brightness_std * draws.gaussian("brightness")
    contrast = torch.exp2(settings.contrast_std * draws.gaussian("contrast"))
    hue = torch.pi * settings.hue_max * draws.centred("hue")
    saturation = torch.exp2(settings.saturation_std * draws.gaussian("saturation"))

    # Grey lies along (1, 1, 1); ``luma`` projects a colour onto it, what remains is chroma.
    identity = torch.eye(3, dtype=torch.float64, device=hue.device)
    luma = torch.full_like(identity, 1 / 3)
    flip = identity - 2 * factor(draws.whole("lumaflip", 2)) * luma
    turn = axis_angle_to_rotation_matrix(hue[:, None].expand(-1, 3) / 3**0.5)
    matrix = (luma + factor(saturation) * (identity - luma)) @ turn @ flip * factor(contrast)
    return matrix, matrix @ factor(brightness).expand(-1, 3, 1)


def _scaling(x: Float[Tensor, " N"], y: Float[Tensor, " N"]) -> Float[Tensor, "N 3 3"]:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _translation(x: Float[Tensor, " N"], y: Float[Tensor, " N"]) -> Float[Tensor, "N 3 3"]:
    matrix = torch.eye(3, dtype=x.dtype, device=x.device).repeat(len(x), 1, 1)
    matrix[:, :2, 2] = torch.stack([x, y], dim=1)
    return matrix


def _rotation(degrees: Float[Tensor, " N"]) -> Float[Tensor, "N 3 3"]:
    """The inverse of a turn counter-clockwise as seen on the screen."""
    from kornia.geometry.conversions import angle_to_rotation_matrix

    matrix = F.pad(angle_to_rotation_matrix(-degrees), (0, 1, 0, 1))
    matrix[:, 2, 2] = 1
    return matrix
