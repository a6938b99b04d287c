"""What the commands do: each decides which latents and which moments make which file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from errors import InputError
from generate_options import NUM_SEEDS, ClipOptions, ClipsOptions, FramesOptions
from stylegan_v.rendering import VideoLatents
from stylegan_v.sampling.blending import Journey, What, check_blendable, draw_travel, travel
from stylegan_v.sampling.choice import addresses, choose, of_seed, side_by_side
from stylegan_v.sampling.latents import Video, matrix
from stylegan_v.sampling.lists import numbers
from stylegan_v.sampling.looping import looped
from stylegan_v.sampling.memory import Render
from stylegan_v.sampling.outputs import destination
from stylegan_v.sampling.slices import choose_line, image_saver
from stylegan_v.sampling.studio import Studio
from stylegan_v.sampling.times import Unit, make_clip, make_moments


def sample(options: ClipsOptions) -> None:
    """Videos, each in a file of its own or all in one."""
    studio = _open("sample", options)
    studio.finish(studio.pieces(choose(options.seed, options)))


def loop(options: ClipsOptions) -> None:
    """Videos that go on with their first frame after the last."""
    studio = _open("loop", options, loop=True)
    choice = choose(options.seed, options).called("loop")
    studio.finish(studio.pieces(choice, generator=looped(studio.generator, studio.timing.turn)))


def freeze(options: ClipsOptions, what: Literal["content", "motion"], of: int) -> None:
    """One content with many motions, or one motion with many contents."""
    studio = _open("freeze", options)
    if of >= NUM_SEEDS:
        raise InputError(f"of: {of} is too large: give a number from 0 to {NUM_SEEDS - 1}")
    choice = choose(options.seed, options)
    kept, changing = (Video(options.seed, of),) * len(choice.videos), choice.videos
    if what == "content" and len(studio.model.labels) > 1:
        raise InputError("label: what is kept is one content, of one class: give one")
    videos, motions = (kept, changing) if what == "content" else (changing, kept)
    kind = "motion" if what == "content" else "content"
    studio.finish(studio.pieces(replace(choice, videos=videos, motions=motions).called(kind)))


def grid(options: ClipOptions, contents: str, motions: str) -> None:
    """Contents in columns, motions in rows."""
    studio = _open("grid", options)
    columns, rows = of_seed(options.seed, contents, "contents"), of_seed(options.seed, motions, "motions")
    labels = studio.model.turns(len(columns))

    def draw() -> VideoLatents:
        moving = [row for row in rows for _ in columns]
        return studio.model.latents(columns * len(rows), moving, labels * len(rows))

    piece = studio.piece(
        "contents_and_motions",
        studio.shown(draw),
        {"contents": addresses(columns), "motions": addresses(rows), "label": labels or None},
        arrange=lambda frames: side_by_side(frames, len(columns)),
        num_videos=len(rows) * len(columns),
    )
    studio.finish([piece], f"{len(rows)} motions of {len(columns)} contents")


def mix(options: ClipOptions, videos: str, styles: str, layers: str, *, parents: bool) -> None:
    """Videos in rows that take the styles of some layers from others, in columns."""
    studio = _open("mix", options)
    rows, columns = of_seed(options.seed, videos, "videos"), of_seed(options.seed, styles, "styles")
    taken = numbers(layers, "layers", below=studio.generator.num_ws)
    labels = studio.model.turns(len(rows) + len(columns))

    def draw() -> VideoLatents:
        latents = studio.model.latents([*columns, *rows], labels=[*labels[len(rows) :], *labels[: len(rows)]])
        return matrix(latents, len(columns), taken, parents=parents)

    def arrange(frames: Tensor) -> Tensor:
        if not parents:
            return side_by_side(frames, len(columns))
        return side_by_side(torch.cat([torch.zeros_like(frames[:1]), frames]), len(columns) + 1)

    whose = {"videos": addresses(rows), "styles": addresses(columns), "layers": taken, "label": labels or None}
    piece = studio.piece(
        "mix",
        studio.shown(draw),
        {**whose, "parents": parents},
        arrange=arrange,
        num_videos=len(rows) * len(columns) + parents * (len(rows) + len(columns)),
    )
    studio.finish([piece], f"{len(rows)} videos with styles of {len(columns)}")


def interpolate(options: ClipOptions, videos: str, what: What, *, loop: bool, eased: bool) -> None:
    """One video that goes from video to video."""
    studio = _open("interpolate", options, loop=loop)
    keys, clip = of_seed(options.seed, videos, "videos"), studio.timing
    labels = studio.model.turns(len(keys))
    steps = clip.num_frames if loop else clip.num_frames - 1
    journey = Journey(len(keys), clip.start * clip.data_fps, steps * clip.step, loop, eased)
    if what != "content":
        check_blendable(studio.generator.synthesis.motion)
    generator = looped(studio.generator, clip.turn) if loop else studio.generator

    def make() -> Render:
        latents = studio.model.latents(keys, labels=labels)
        if studio.framing is not None:
            return studio.framed(draw_travel(generator, latents, journey, what))
        return travel(generator, latents, journey, what)

    own = {"videos": addresses(keys), "what": what, "loop": loop, "eased": eased, "label": labels or None}
    studio.finish([studio.piece("interpolation", make, own)], f"through {len(keys)} videos")


def frames(options: FramesOptions, times: str, unit: Unit) -> None:
    """Videos at given moments."""
    where = destination(options, (".npy",), "png")
    studio = Studio("frames", options, where, partial(make_moments, times, unit))
    studio.finish(studio.pieces(choose(options.seed, options).called("frames")))


def xt(options: ClipsOptions, row: int | None, column: int | None) -> None:
    """Slices of videos: one row or column of pixels over time."""
    if options.crf is not None:
        raise InputError("crf: png files take none: leave it out")
    studio = Studio("xt", options, destination(options, (".png",), "png"), partial(make_clip, options))
    line = choose_line(studio.shape, row, column)
    choice = choose(options.seed, options).called("xt")
    studio.save = image_saver(line, choice.columns or (len(choice.videos) if line.across else 1))
    studio.finish(studio.pieces(choice, own=line.settings(), arrange=line.take))


def _open(command: str, options: ClipOptions, *, loop: bool = False) -> Studio:
    return Studio(command, options, destination(options), partial(make_clip, options, loop=loop), loop=loop)
