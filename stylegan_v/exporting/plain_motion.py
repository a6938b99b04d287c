"""Motion as a graph: float64 from the codes to the last rounding, in operations that every runtime has.

In float32 the phases of late frames would lose what makes them move (see `networks.exact_motion`), and two runtimes
would draw different ones. Weights stay float32 in the file and are widened where they are used.

Shape legend
    B, T    videos and frames of a video; N = B * T frames folded together
    L, Z    motion noise codes of a window in time, and the dimension of one
    S, D    motion codes and the dimension of one
    C       dimension of the label
    V       values of the embedding
    I, O    input and output channels
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor, nn
from torch.func import functional_call

from errors import InputError
from stylegan_v.networks import Motion, MotionEncoder, Motionless
from stylegan_v.networks.layers import EqualizedConv1d
from stylegan_v.networks.time_encoding import locate

_SLOPE = 0.2


class TapwiseConv1d(nn.Module):
    """An `EqualizedConv1d` along axis 1, with its leaky ReLU, in operations that files and runtimes have in float64.

    The convolution is a sum of products, one per tap; ONNX keeps the slope of its own leaky ReLU in float32.

    Args:
        layer: Whose weights are used, in the precision of the input.
    """

    def __init__(self, layer: EqualizedConv1d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Float[Tensor, "B L I"]) -> Float[Tensor, "B l O"]:
        weight = self.layer.weight.to(x.dtype) * self.layer.weight_gain
        length = x.shape[1] - weight.shape[2] + 1
        y = sum(x[:, i : i + length] @ tap.t() for i, tap in enumerate(weight.unbind(dim=2)))
        y = y + self.layer.bias.to(x.dtype) * self.layer.bias_gain
        return torch.maximum(y, _SLOPE * y)


def _around(
    codes: Float[Tensor, "B S D"], index: Int64[Tensor, "B T"]
) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
    """The codes before and after each frame, frames folded; a runtime refuses what lies outside of the window."""
    index = torch.where(index < 0, codes.shape[1], index)  # in files, negative positions count from the end
    left, right = (codes.gather(1, repeat(i, "b t -> b t d", d=codes.shape[2])) for i in (index, index + 1))
    return rearrange(left, "b t d -> (b t) d"), rearrange(right, "b t d -> (b t) d")


class PlainMotion(nn.Module):
    """Motion noise of a window in time, and times within it, to embeddings: a `MotionEncoder` in float64.

    Args:
        motion: The network, with any encoding of time.
    """

    def __init__(self, motion: MotionEncoder) -> None:
        super().__init__()
        self.c_dim, self.distance = motion.c_dim, motion.distance
        self.convs = nn.Sequential(*map(TapwiseConv1d, motion.conv))
        self.encoding = motion.time_encoder

    def forward(
        self,
        t: Float64[Tensor, "B T"],
        motion_z: Float32[Tensor, "B L Z"],
        first_code: Int64[Tensor, " B"],
        c: Float32[Tensor, "B C"] | None = None,
    ) -> Float32[Tensor, "B T V"]:
        # Noise codes to motion codes.
        x = motion_z.double()
        if self.c_dim:
            x = torch.cat([x, repeat(c.double(), "b c -> b l c", l=x.shape[1])], dim=2)
        codes = self.convs(x)

        # Motion codes around each frame to its embedding.
        segments = locate(t, self.distance, torch.float64)
        left, right = _around(codes, segments.index - rearrange(first_code, "b -> b 1"))
        tensors = [*self.encoding.named_parameters(), *self.encoding.named_buffers()]
        widened = {name: tensor.double() for name, tensor in tensors}
        embedding = functional_call(self.encoding, widened, (left, right, segments))
        return rearrange(embedding, "(b t) v -> b t v", b=t.shape[0]).float()


def plain_motion(motion: Motion) -> PlainMotion | None:
    """The graph of a motion; None of one that does not move.

    Raises:
        InputError: There is none for its kind.
    """
    if isinstance(motion, Motionless):
        return None
    if not isinstance(motion, MotionEncoder):
        raise InputError(
            f"ckpt: its motion, {type(motion).__name__}, cannot be exported, as it is a recurrence of open length: "
            "give a model with a MotionEncoder"
        )
    return PlainMotion(motion)
