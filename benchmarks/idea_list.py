"""The list of ideas: for each, what the networks do and other ways to the same values, ready to be timed.

Features have the shapes of one block at full width; the first way of an idea is the project's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import ways
from stylegan_v.networks import Generator
from stylegan_v.networks.conditioning import ProjectionConditioning
from stylegan_v.networks.discriminator import DiscriminatorBlock
from stylegan_v.networks.geometry import levels
from stylegan_v.ops.bias_act import scaled_lrelu
from stylegan_v.ops.modulated_conv import conv2d_resample, modulated_conv2d
from stylegan_v.ops.resample import blur2d, downsample2d, upsample2d
from stylegan_v.steps import AdversarialAdam, move_average

_CLAMP = 256.0
_LAST = torch.channels_last
Way = Callable[..., Tensor]


@dataclass(frozen=True)
class Sizes:
    """Of the block that is looked at.

    Attributes:
        resolution: Side of its result, pixels.
        videos: In the batch.
        frames: Of each.
        dtype: Of features.
        device: Where.
        channel_base: Channels at r are ``min(channel_base // r, 512)``.
    """

    resolution: int
    videos: int
    frames: int
    dtype: torch.dtype
    device: torch.device
    channel_base: int = 16384

    @property
    def channels(self) -> tuple[int, int]:
        """Of the block below, and of this one."""
        below, here = levels((self.resolution, self.resolution), self.channel_base, 512)[-2:]
        return below.channels, here.channels

    def features(self, channels: int, *, halved: bool = False) -> Tensor:
        """Features of all frames, channels last, as they lie in the networks."""
        side = self.resolution // 2 if halved else self.resolution
        x = torch.randn(self.videos * self.frames, channels, side, side, device=self.device)
        return x.to(self.dtype, memory_format=_LAST).requires_grad_()

    def parameter(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self.device, requires_grad=True)


@dataclass(frozen=True)
class Idea:
    """Ways to the same values.

    Attributes:
        name: Of it.
        ours: The way that the project goes.
        stages: What is timed, by stage and way: calls, each giving values that all ways should agree in.
    """

    name: str
    ours: str
    stages: dict[str, dict[str, Callable[[], list[Tensor]]]]


def derivatives(
    way: Way, leaves: Sequence[Tensor], seed: Tensor, order: int, layout: torch.memory_format | None
) -> list[Tensor]:
    """A result, or derivatives of it.

    Args:
        way: To go.
        leaves: Its arguments.
        seed: What stands for the gradient of the result.
        order: 0: the result; 1: and its gradients; 2: those of the square of its first gradient, as R1 takes them.
        layout: That the next layer wants; None takes it as it comes.
    """
    if order == 0:
        with torch.no_grad():
            return [_in_layout(way(*leaves), layout)]
    result = _in_layout(way(*leaves), layout)
    seed = torch.empty_like(result).copy_(seed).requires_grad_(order == 2)
    if order == 1:
        return [result, *torch.autograd.grad(result, leaves, seed)]
    (slope,) = torch.autograd.grad(result, leaves[:1], seed, create_graph=True)
    return [slope, *torch.autograd.grad(slope.square().sum(), [seed, *leaves[1:]], materialize_grads=True)]


def _in_layout(result: Tensor, layout: torch.memory_format | None) -> Tensor:
    return result if layout is None else result.contiguous(memory_format=layout)


def idea(
    name: str,
    ways_there: Mapping[str, Way],
    leaves: Sequence[Tensor] | Mapping[str, Sequence[Tensor]],
    *,
    twice: bool = False,
    layout: torch.memory_format | None = _LAST,
) -> Idea:
    """An idea that is differentiated; the first way is the project's.

    Args:
        name: Of it.
        ways_there: Functions of the leaves, by name.
        leaves: Arguments of all ways, or of each by its name.
        twice: Whether the discriminator differentiates it twice, for R1.
        layout: Of results.
    """
    of_way = leaves if isinstance(leaves, Mapping) else dict.fromkeys(ways_there, leaves)
    first = next(iter(ways_there))
    with torch.no_grad():
        seed = torch.randn_like(ways_there[first](*of_way[first]))
    orders = {"forward": 0, "and backward": 1} | ({"twice backward": 2} if twice else {})
    return Idea(
        name,
        first,
        {
            stage: {key: partial(derivatives, way, of_way[key], seed, order, layout) for key, way in ways_there.items()}
            for stage, order in orders.items()
        },
    )


# The ideas.


def modulation(sizes: Sizes) -> Idea:
    """One kernel of all frames between scaled channels, or kernels that hold the styles."""
    channels = sizes.channels[1]
    ways_there = {
        "scaled activations": modulated_conv2d,
        "folded, groups are videos": ways.grouped_by_video,
        "folded, video by video": ways.video_by_video,
        "kernel per frame, grouped": ways.grouped_by_frame,
    }
    shapes = (channels, channels, 3, 3), (sizes.videos, channels)
    return idea("modulation", ways_there, [sizes.features(channels), *(sizes.parameter(*shape) for shape in shapes)])


def colours(sizes: Sizes) -> Idea:
    """Features to RGB, modulated: a matrix for each image, or one kernel on scaled features."""
    channels = sizes.channels[1]
    ways_there = {
        "a matrix for each image": partial(modulated_conv2d, demodulate=False),
        "scaled activations": ways.colours_of_scaled,
        "matrices, autograd's gradients": ways.colours_by_matrices,
    }
    shapes = (3, channels, 1, 1), (sizes.videos, channels)
    return idea("colours", ways_there, [sizes.features(channels), *(sizes.parameter(*shape) for shape in shapes)])


def layout(sizes: Sizes) -> Idea:
    """A block of the discriminator on features, or weights too, that lie one way or the other."""
    below, here = sizes.channels

    def block(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(made, dict(zip(names, parameters, strict=True)), (x, None))

    made = DiscriminatorBlock(here, here, below, ProjectionConditioning(num_frames=sizes.frames), _CLAMP).to(
        sizes.device
    )
    names = [name for name, _ in made.named_parameters()]
    weights = [parameter.detach().requires_grad_() for parameter in made.parameters()]
    turned = [w.detach().to(memory_format=_LAST).requires_grad_() if w.ndim == 4 else w for w in weights]
    x = sizes.features(here)
    plain = x.detach().contiguous().requires_grad_()
    leaves = {
        "channels last": [x, *weights],
        "contiguous": [plain, *weights],
        "channels last, weights too": [x, *turned],
    }
    return idea("layout", dict.fromkeys(leaves, block), leaves, twice=True, layout=None)


def upsampling(sizes: Sizes) -> Idea:
    """Twice the size."""
    ways_there = {
        "depthwise, each map the other's gradient": upsample2d,
        "depthwise, torch's gradients": ways.up_depthwise,
        "zeros, filter (reference)": ways.up_reference,
        "one axis after the other": ways.up_separable,
        "shifted adds": ways.up_shifted_adds,
        "polyphase": ways.up_polyphase,
        "bilinear on zeros around": ways.up_bilinear,
    }
    return idea("upsampling", ways_there, [sizes.features(sizes.channels[1], halved=True)])


def downsampling(sizes: Sizes) -> Idea:
    """Half the size."""
    ways_there = {
        "depthwise, each map the other's gradient": downsample2d,
        "depthwise, torch's gradients": ways.down_depthwise,
        "filter, decimate (reference)": ways.down_reference,
        "one axis after the other": ways.down_separable,
        "shifted adds": ways.down_shifted_adds,
        "polyphase": ways.down_polyphase,
    }
    return idea("downsampling", ways_there, [sizes.features(sizes.channels[1])], twice=True)


def blur(sizes: Sizes) -> Idea:
    """The filter alone, before or after a convolution that resamples."""
    ways_there = {
        "depthwise, each map the other's gradient": partial(blur2d, padding=2),
        "depthwise, torch's gradients": ways.blur_depthwise,
        "reference": ways.blur_reference,
        "one axis after the other": ways.blur_separable,
        "shifted adds": ways.blur_shifted_adds,
    }
    return idea("blur", ways_there, [sizes.features(sizes.channels[1])], twice=True)


def up_conv(sizes: Sizes) -> Idea:
    """Convolution that doubles, and filter: one after the other, or as one kernel."""
    below, here = sizes.channels
    ways_there = {
        "apart": lambda x, weight: conv2d_resample(x, weight.to(x.dtype), up=2),
        "one kernel of 6 x 6, transposed": ways.up_conv_composed,
        "one kernel, four phases of 3 x 3": ways.up_conv_phases,
    }
    return idea("up_conv", ways_there, [sizes.features(below, halved=True), sizes.parameter(here, below, 3, 3)])


def down_conv(sizes: Sizes) -> Idea:
    """Filter and convolution that halves: one after the other, or as one kernel."""
    below, here = sizes.channels
    ways_there = {
        "apart": lambda x, weight: conv2d_resample(x, weight.to(x.dtype), down=2),
        "one kernel of 6 x 6": ways.down_conv_composed,
    }
    return idea("down_conv", ways_there, [sizes.features(here), sizes.parameter(below, here, 3, 3)], twice=True)


def activation(sizes: Sizes) -> Idea:
    """Scale, bias, leaky ReLU, gain and clamp."""
    channels = sizes.channels[1]
    ways_there = {
        "in place, slopes from the result": scaled_lrelu,
        "separate operations (reference)": ways.separate,
        "addcmul, gain apart": ways.addcmul,
        "gain on small operands, addcmul": ways.addcmul_with_gain,
        "activation in place": ways.in_place,
        "hardtanh as clamp": ways.hardtanh,
    }
    ways_there = {name: partial(way, clamp=_CLAMP) for name, way in ways_there.items()}
    x, scale = sizes.features(channels), sizes.parameter(sizes.videos * sizes.frames, channels)
    return idea("activation", ways_there, [x, scale, sizes.parameter(channels)], twice=True)


def adam(sizes: Sizes) -> Idea:
    """A step of the generator's optimiser; all parameters have gradients."""
    made = _parameters(sizes)
    gradients = [torch.randn_like(parameter) for parameter in made]
    settings = {"fused": {"fused": True}, "one by one": {"foreach": False}, "in lists": {"foreach": True}}
    calls: dict[str, Callable[[], list[Tensor]]] = {}
    for name, setting in settings.items():
        own = [parameter.detach().clone().requires_grad_() for parameter in made]
        for parameter, gradient in zip(own, gradients, strict=True):
            parameter.grad = gradient
        make = AdversarialAdam if name == "fused" else torch.optim.Adam
        calls[name] = partial(_step, make(own, lr=0.002, betas=(0.0, 0.99), **setting), own)
    return Idea("adam", "fused", {"step": calls})


def _step(optimizer: torch.optim.Optimizer, parameters: list[Tensor]) -> list[Tensor]:
    optimizer.step()
    return parameters


def average(sizes: Sizes) -> Idea:
    """A step of the averaged generator."""
    current = torch.nn.ParameterList(_parameters(sizes))
    ways_there: dict[str, Callable] = {
        "lerp in lists": move_average,
        "lerp, one by one": ways.average_one_by_one,
        "product and sum in lists": ways.average_in_two,
    }
    calls = {name: partial(_average, way, copy.deepcopy(current), current) for name, way in ways_there.items()}
    return Idea("average", "lerp in lists", {"step": calls})


def _average(way: Callable, average: nn.Module, current: nn.Module) -> list[Tensor]:
    way(average, current, 0.998)
    return list(average.parameters())


def _parameters(sizes: Sizes) -> list[nn.Parameter]:
    """Values of the shapes of the generator's parameters."""
    with torch.device("meta"):
        shapes = [
            parameter.shape for parameter in Generator(sizes.resolution, channel_base=sizes.channel_base).parameters()
        ]
    return [nn.Parameter(torch.randn(shape, device=sizes.device)) for shape in shapes]


IDEAS: dict[str, Callable[[Sizes], Idea]] = {
    "modulation": modulation,
    "colours": colours,
    "layout": layout,
    "upsampling": upsampling,
    "downsampling": downsampling,
    "blur": blur,
    "up_conv": up_conv,
    "down_conv": down_conv,
    "activation": activation,
    "adam": adam,
    "average": average,
}
