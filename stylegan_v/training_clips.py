"""The clips of an update: real ones as the loader brings them, generated ones as functions of (seed, update, phase, n).

Shape legend
    B       clips of a micro-batch
    T       frames of a clip
    C, H, W colours, height, width
    Z, K    dimension of the content noise and of the label
    M, N    codes of motion noise and the dimension of one
    L, D    layers that take a style, width of a style (``w_dim``)
    A       facts of a view: log2 of its scale, centre (y, x) of its window
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from datasets.datamodule import ClipDataModule
from datasets.view_sampling import ClipView, patch_share, scale_shares, surrounded
from stylegan_v.networks import Generator
from stylegan_v.networks.decoder import Canvas, View
from stylegan_v.noise import AddressedRandom


@dataclass(frozen=True)
class Clips:
    """Clips of a micro-batch, real or generated.

    Attributes:
        clip: Frames, float in [-1, 1].
        t: Frame numbers.
        c: Labels; None without labels.
        numbers: Numbers of the clips in the global batch.
        view: What the discriminator is told of their views; None where all are whole native frames.
        drawn: Of generated clips with views: what they were cut from.
    """

    clip: Float[Tensor, "B T C H W"]
    t: Float64[Tensor, "B T"]
    c: Float[Tensor, "B K"] | None
    numbers: list[int]
    view: Float[Tensor, "B A"] | None = None
    drawn: Drawn | None = None

    @property
    def shares(self) -> Float[Tensor, " B"] | None:
        """Pixels that are seen of each clip over those of a native frame; None where all are native."""
        return None if self.view is None else patch_share(self.view)

    @property
    def facts(self) -> dict[str, Tensor]:
        """For the record: mean log2 scale of the views, shares of clips by scale, and of all but the native one."""
        if self.view is None:
            return {}
        scales = self.view[:, 0]
        shares = {f"views/scale_{name}": share for name, share in scale_shares(self.view).items()}
        return {"views/scaled": (scales != 0).float().mean(), "views/log2_scale": scales.mean()} | shares


def split(batch: dict[str, Tensor], numbers: list[int], num_micro_batches: int) -> list[Clips]:
    """The micro-batches of a batch: every so many-th clip, so that groups of neighbours stay groups.

    Args:
        batch: From the loader: clip uint8, t, c, with views also view.
        numbers: Numbers of its clips in the global batch, on the host.
        num_micro_batches: How many; divides the batch.
    """
    parts = [slice(i, None, num_micro_batches) for i in range(num_micro_batches)]
    labelled = batch["c"].shape[1] > 0
    return [
        Clips(
            clip=batch["clip"][part] / 127.5 - 1,
            t=batch["t"][part].double(),
            c=batch["c"][part] if labelled else None,
            numbers=numbers[part],
            view=batch["view"][part] if "view" in batch else None,
        )
        for part in parts
    ]


@dataclass(frozen=True)
class FakeInputs:
    """What generated clips are made from.

    Attributes:
        z: Content noise.
        t: Frame times.
        c: Labels; None without labels.
        motion_z: Motion noise.
        first_code: Number of the motion code that ``motion_z[:, 0]`` is, for all clips or for each.
        random: Further draws for the same clips.
        views: Of the clips; None where all are whole native frames.
        coarser: With views, the size of frame of each clip that it is compared at with itself.
    """

    z: Float[Tensor, "B Z"]
    t: Float64[Tensor, "B T"]
    c: Float[Tensor, "B K"] | None
    motion_z: Float[Tensor, "B M N"]
    first_code: int | Int64[Tensor, " B"]
    random: AddressedRandom
    views: list[ClipView] | None = None
    coarser: list[tuple[int, int]] | None = None

    def some(self, which: list[int]) -> FakeInputs:
        """Those of some of the clips."""
        index = torch.tensor(which).to(self.z.device, non_blocking=True)
        chosen = {name: getattr(self, name)[index] for name in ("z", "t", "motion_z")}
        drawn = self.random
        known = None if drawn.known is None else drawn.known[which]
        random = AddressedRandom(drawn.seed, drawn.update, drawn.phase, drawn.clips[index], known)
        return FakeInputs(
            **chosen,
            c=None if self.c is None else self.c[index],
            first_code=self.first_code if isinstance(self.first_code, int) else self.first_code[index],
            random=random,
            views=None if self.views is None else [self.views[i] for i in which],
            coarser=None if self.coarser is None else [self.coarser[i] for i in which],
        )


@dataclass(frozen=True)
class Drawn:
    """Generated clips with their views, and what can be looked at again in others.

    Attributes:
        inputs: What the clips were made from.
        canvas: What was drawn of all their frames.
        patches: What is seen of each clip [T, 3, h, w], without surroundings.
    """

    inputs: FakeInputs
    canvas: Canvas
    patches: list[Tensor]

    @property
    def views(self) -> list[View]:
        """Of the clips, as the generator takes them."""
        return [as_view(view) for view in self.inputs.views]

    def look(self, clip: int, view: View) -> Float[Tensor, "T 3 h w"]:
        """A clip in another view."""
        return frames_of(self.canvas, clip, len(self.patches)).look(view)


def frames_of(canvas: Canvas, clip: int, num_clips: int) -> Canvas:
    """What was drawn of one clip."""
    num_frames = len(canvas.rgb) // num_clips
    return canvas[clip * num_frames : (clip + 1) * num_frames]


def look_at_each(canvas: Canvas, views: list[View]) -> list[Float[Tensor, "T 3 h w"]]:
    """Every clip in its view; those that share one are drawn together, as half of them do.

    Args:
        canvas: Of the frames of all clips.
        views: One for each clip.
    """
    num_frames, seen = len(canvas.rgb) // len(views), {}
    for view in dict.fromkeys(views):
        clips = [i for i, other in enumerate(views) if other == view]
        frames = torch.tensor([i * num_frames + k for i in clips for k in range(num_frames)])
        frames = frames.to(canvas.rgb.device, non_blocking=True)
        parts = (canvas.rgb[frames], tuple(part[frames] for part in canvas.prepared))
        shown = Canvas(canvas.decoder, *parts).look(view).split(num_frames)
        seen |= dict(zip(clips, shown, strict=True))
    return [seen[i] for i in range(len(views))]


def as_view(view: ClipView) -> View:
    """A view as the generator takes it."""
    return View(view.size, view.window, view.shift)


def draw_inputs(
    generator: Generator, data: ClipDataModule, update: int, phase: str, numbers: list[int], device: torch.device
) -> FakeInputs:
    """Inputs of the generator for clips of one phase.

    Label and length of a generated video are those of a real one, drawn uniformly, so that their times have the same
    statistics. Only those motion codes are drawn that the times need; the codes are independent, so which ones they
    are called makes no difference.

    Args:
        generator: The network they are for.
        data: Whose labels, lengths and frame sampler to follow; its seed is the run's.
        update: Number of the update.
        phase: Name of the phase within the update.
        numbers: Numbers of the clips in the global batch.
        device: Where the tensors live.
    """
    known = torch.tensor(numbers)
    random = AddressedRandom(data.seed, update, phase, known.to(device, non_blocking=True), known)
    motion = generator.synthesis.motion
    t, labels, views, coarser = [], [], [], []
    for number in numbers:
        rng = np.random.default_rng([data.seed % 2**32, update, number, zlib.crc32(phase.encode())])
        video = int(rng.integers(len(data.video_lengths)))
        t.append(data.frame_sampler.sample(int(data.video_lengths[video]), rng, fractional=not motion.whole_frames))
        labels.append(data.labels[video])
        if data.views is not None:
            rng = np.random.default_rng([data.seed % 2**32, update, number, zlib.crc32(f"{phase}/view".encode())])
            view = data.views.draw(rng, data.resolution, float(data.scale_limits[video]))
            views.append(view)
            coarser.append(_coarser(view, data.resolution, rng.uniform()))

    # Motion is located on the host: asking the device for the number of codes would wait for it.
    times = torch.from_numpy(np.stack(t).astype(np.float64))
    first, num_codes = motion.window(times)
    return FakeInputs(
        z=random.normal("z", generator.z_dim),
        t=times.to(device, non_blocking=True),
        c=torch.from_numpy(np.stack(labels)).to(device, non_blocking=True) if generator.c_dim else None,
        motion_z=random.normal("motion_z", num_codes, motion.z_dim),
        first_code=first if isinstance(first, int) else first.to(device, non_blocking=True),
        random=random,
        views=views if data.views is not None else None,
        coarser=coarser if data.views is not None else None,
    )


def _coarser(view: ClipView, resolution: tuple[int, int], place: float) -> tuple[int, int]:
    """A size between the native one and the geometric mean of it and the view's."""
    scale = view.scale(resolution) ** (place / 2)
    return round(resolution[0] * scale), round(resolution[1] * scale)


def generate(
    generator: Generator, inputs: FakeInputs, style_mixing_prob: float = 0.0
) -> tuple[Float[Tensor, "B T C H W"], Float[Tensor, "B L D"]]:
    """Whole native frames, and the styles they were made with; the running mean of styles does not move.

    Args:
        generator: In training mode.
        inputs: Of the clips.
        style_mixing_prob: Share of clips whose later layers take the style of another latent, [0, 1].
    """
    ws = styles(generator, inputs, style_mixing_prob)
    clip = generator.synthesis(
        ws, inputs.t, inputs.c, inputs.motion_z, first_code=inputs.first_code, random=inputs.random
    )
    return clip, ws


def draw_clips(
    generator: Generator, inputs: FakeInputs, numbers: list[int], style_mixing_prob: float = 0.0
) -> tuple[Clips, Float[Tensor, "B L D"]]:
    """Generated clips, in their views where they have any, and their styles.

    Args:
        generator: In training mode.
        inputs: Of the clips.
        numbers: Of the clips in the global batch.
        style_mixing_prob: As in `generate`.
    """
    if inputs.views is None:
        clip, ws = generate(generator, inputs, style_mixing_prob)
        return Clips(clip, inputs.t, inputs.c, numbers), ws
    drawn, ws = draw(generator, inputs, style_mixing_prob)
    clip = torch.stack([surrounded(patch, generator.resolution) for patch in drawn.patches])
    facts = torch.tensor([view.facts(generator.resolution) for view in inputs.views])
    view = facts.to(clip.device, non_blocking=True)
    return Clips(clip, inputs.t, inputs.c, numbers, view, drawn), ws


def draw(
    generator: Generator, inputs: FakeInputs, style_mixing_prob: float = 0.0
) -> tuple[Drawn, Float[Tensor, "B L D"]]:
    """Clips in their views, and their styles; arguments as `generate`."""
    canvas, ws = draw_canvas(generator, inputs, style_mixing_prob)
    return Drawn(inputs, canvas, look_at_each(canvas, [as_view(view) for view in inputs.views])), ws


def draw_canvas(
    generator: Generator, inputs: FakeInputs, style_mixing_prob: float = 0.0
) -> tuple[Canvas, Float[Tensor, "B L D"]]:
    """What can be looked at in any view, and the styles; arguments as `generate`."""
    ws = styles(generator, inputs, style_mixing_prob)
    motion_v = generator.synthesis.motion(inputs.t, inputs.c, inputs.motion_z, first_code=inputs.first_code)
    return generator.synthesis.draw(ws, motion_v, random=inputs.random), ws


def styles(generator: Generator, inputs: FakeInputs, style_mixing_prob: float = 0.0) -> Float[Tensor, "B L D"]:
    """Styles of clips; arguments as `generate`."""
    ws = generator.mapping(inputs.z, inputs.c, update_w_avg=False)
    if style_mixing_prob > 0:
        other_z = inputs.random.normal("other_z", generator.z_dim)
        other = generator.mapping(other_z, inputs.c, update_w_avg=False)
        ws = mix_styles(ws, other, style_mixing_prob, inputs.random)
    return ws


def mix_styles(
    ws: Float[Tensor, "B L D"], other: Float[Tensor, "B L D"], probability: float, random: AddressedRandom
) -> Float[Tensor, "B L D"]:
    """Styles whose later layers follow ``other`` in a share of the clips (StyleGAN, Karras et al. 2019, section 3.1).

    Args:
        ws: The styles; their first layer always stays.
        other: Styles of other latents.
        probability: Share of clips that are mixed, [0, 1].
        random: Decides which clips, and from which layer on.
    """
    num_layers = ws.shape[1]
    crossover = 1 + (random.uniform("crossover", 1) * (num_layers - 1)).long()
    mixed = random.uniform("mixed", 1) < probability
    later = torch.arange(num_layers, device=ws.device) >= crossover  # [B, L]
    return torch.where((mixed & later).unsqueeze(2), other, ws)
