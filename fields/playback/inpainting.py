"""What ``generate.py inpaint`` does: what a mask hides of a video is drawn by a field that was fitted to the rest.

Shape legend
    F       frames of a chunk
    H, W    height and width
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor
from tqdm import tqdm

from datasets.files import write_json
from datasets.masks import read_mask
from datasets.settings import is_complete, read_settings
from datasets.single_signal import open_video
from datasets.sources import Source
from datasets.video_writer import exact_rate, write_image
from datasets.visibility import Visible
from errors import InputError
from fields.coords import centres
from fields.fitting.pictures import GAIN, HIDDEN, sheet
from fields.fitting.regions import per_frame
from fields.playback.saving import find_place, save, to_bytes
from fields.playback.source import FittedVideo, open_fitted
from fields.reconstruction.psnr import psnr
from fields.scale_scores import side_by_side
from fields.upscaling.memory import check_result
from generate_options import InpaintOptions
from plain_config import parse_config

_TOGETHER = 2**20  # pixels that are drawn together
_ROWS = 3  # frames that are shown
_BYTES_PER_PIXEL = 24


@dataclass
class Job:
    """A video to be filled, everything about it checked.

    Attributes:
        video: The video.
        hidden: What is to be filled.
        truth: What should stand there; None: nobody knows.
        same: The truth is the video itself.
        path: Of the result.
        settings: What decides the result but the field.
        options: What was asked for.
    """

    video: Source
    hidden: Bool[Tensor, "T H W"]
    truth: Source | None
    same: bool
    path: Path
    settings: dict[str, Any]
    options: InpaintOptions
    scores: dict[str, dict[int, float]] = field(default_factory=dict)
    shown: dict[int, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        return len(self.video), *self.video.size

    @property
    def run(self) -> Path:
        """The folder of the fit."""
        return Path(self.options.run or f"runs/inpaint_{self.path.stem}").expanduser()


def plan(options: InpaintOptions) -> Job:
    """What is to be done, if it can be.

    Raises:
        InputError: It cannot; nothing has been written.
    """
    _, video = open_video(options.video, options.fps)
    size = (len(video), *video.size)
    if len(video) < 2:
        raise InputError(f"{options.video}: has {len(video)} frame: a field of time needs at least two")
    hidden = read_mask(options.mask, size)
    try:
        Visible(hidden)
    except InputError as error:
        raise InputError(f"{options.mask}: {error}") from error
    check_result(size[1:], _BYTES_PER_PIXEL, options.video)
    path = find_place(options.out, len(video))
    settings = {
        "command": "inpaint",
        "video": _fingerprint(options.video),
        "mask": _fingerprint(options.mask),
        "keep_visible": options.keep_visible,
        "crf": options.crf,
    }
    same = options.truth is not None and Path(options.truth).resolve() == Path(options.video).resolve()
    job = Job(video, hidden, None if options.truth is None else _truth(options, size), same, path, settings, options)
    _check_not_there(job)
    return job


def _truth(options: InpaintOptions, size: tuple[int, int, int]) -> Source:
    _, truth = open_video(options.truth, options.fps)
    if (len(truth), *truth.size) != size:
        found, wanted = ("{} frames of {}x{}".format(*one) for one in ((len(truth), *truth.size), size))
        raise InputError(f"{options.truth}: has {found}, the video {wanted}: give the same video without damage")
    return truth


def _fingerprint(path: str) -> dict[str, str]:
    """Name and content of a file, or of the files of a folder."""
    given = Path(path).expanduser()
    files = sorted(one for one in given.rglob("*") if one.is_file()) if given.is_dir() else [given]
    digest = hashlib.sha256()
    for one in files:
        with one.open("rb") as file:
            digest.update(one.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return {"name": given.name, "sha256": digest.hexdigest()}


def _check_not_there(job: Job) -> None:
    """Refuses a place that holds something else, before anything is fitted."""
    try:
        checkpoint = read_settings(job.path).get("checkpoint")
    except InputError:
        checkpoint = None
    is_complete(job.path, {**job.settings, "checkpoint": checkpoint}, overwrite=job.options.overwrite, folders=True)


def training_arguments(job: Job) -> list[str]:
    """What the training command is told; it goes on where there is a run of the same already.

    Raises:
        InputError: The run's folder holds another one.
    """
    options = job.options
    given = {
        "config": options.fit_config,
        "runs_dir": str(job.run.parent),
        "run_name": job.run.name,
        "data.path": str(Path(options.video).expanduser()),
        "data.mask": str(Path(options.mask).expanduser()),
        "data.truth_known": str(job.same).lower(),
        "data.num_frames": "null",
        "data.fps": str(options.fps),
    }
    if options.updates is not None:
        given["model.total_updates"] = str(options.updates)
    if (job.run / "last.ckpt").exists():
        _check_same_run(job, given)
        given["ckpt_path"] = "last"
    return ["fit", *(f"--{key}={value}" for key, value in given.items())]


def _check_same_run(job: Job, given: dict[str, str]) -> None:
    path = job.run / "config.yaml"
    if not path.is_file():
        raise InputError(f"run: {job.run}: has no config.yaml beside its checkpoint: give another --run")
    node = parse_config(path.read_text(encoding="utf-8", errors="replace"), path).get("data")
    arguments = node.get("init_args") if isinstance(node, dict) else None
    for key in ("path", "mask"):
        there = arguments.get(key) if isinstance(arguments, dict) else None
        if there != given[f"data.{key}"]:
            raise InputError(f"run: {job.run}: is a fit with data.{key} {there}: give another --run, or remove it")


def finish(job: Job) -> None:
    """Fills the video by the fitted field, and says how well.

    Raises:
        InputError: The field is of another video, or its place is taken.
    """
    fitted = open_fitted(job.options.ckpt or job.run, job.options.device)
    if fitted.size[0] != job.size[0]:
        raise InputError(
            f"{fitted.path}: was fitted to {fitted.size[0]} frames, the video has {job.size[0]}: give a fit of all"
        )
    settings = {**job.settings, "checkpoint": {"sha256": fitted.checkpoint}}
    if is_complete(job.path, settings, overwrite=job.options.overwrite, folders=True):
        print(f"{job.path}: complete already")
        return
    fps: Fraction = exact_rate(job.video.fps)
    with tqdm(total=job.size[0], unit="frame", disable=None, desc=job.path.name) as progress:
        save(job.path, _filled(job, fitted, progress), fps, job.options.crf, settings)
    _report(job, fitted)


def _filled(job: Job, fitted: FittedVideo, progress: tqdm) -> Iterator[UInt8[Tensor, "F 3 H W"]]:
    """The frames of the result, a few at a time."""
    total, *size = job.size
    together = max(1, _TOGETHER // (size[0] * size[1]))
    rows = {round(place * (total - 1) / (_ROWS - 1)) for place in range(_ROWS)}
    moments = centres(total).tolist()
    for start in range(0, total, together):
        numbers = range(start, min(start + together, total))
        seen, hidden = job.video.read(numbers), job.hidden[start : numbers.stop, None]
        drawn = to_bytes(fitted.frames([moments[k] for k in numbers], size, (0, 0, *size)))
        filled = torch.where(hidden, drawn, seen) if job.options.keep_visible else drawn
        truth = None if job.truth is None else job.truth.read(numbers)
        for k, number in enumerate(numbers):
            _measure(job, number, seen[k], drawn[k], filled[k], None if truth is None else truth[k])
            if number in rows:
                true = None if truth is None else truth[k]
                job.shown[number] = _row(seen[k], job.hidden[number], drawn[k], filled[k], true)
        progress.update(len(numbers))
        yield filled


def _measure(job: Job, number: int, seen: Tensor, drawn: Tensor, filled: Tensor, truth: Tensor | None) -> None:
    """Notes how near a frame comes to what it should be."""
    hidden = job.hidden[number]
    pairs = {"visible": (drawn, seen, ~hidden)}
    if truth is not None:
        pairs |= {"hidden": (drawn, truth, hidden), "result": (filled, truth, torch.ones_like(hidden))}
    for name, (one, other, places) in pairs.items():
        if places.any():
            values = (x[:, places].double()[None, :, :, None] / 255 for x in (one, other))
            job.scores.setdefault(name, {})[number] = float(psnr(*values))


def _row(seen: Tensor, hidden: Tensor, drawn: Tensor, filled: Tensor, truth: Tensor | None) -> Any:
    """What was seen, what the field draws, what comes of it; the truth and five times the difference where known."""
    colour = (255 * seen.new_tensor(HIDDEN, dtype=torch.float32)).to(torch.uint8)[:, None, None]
    pictures = [torch.where(hidden, colour, seen), drawn, filled]
    if truth is not None:
        error = (GAIN * (filled.float() - truth.float()).abs()).clamp(0, 255).to(torch.uint8)
        pictures += [truth, error]
    times = max(1, 128 // max(seen.shape[1:]))
    magnified = [one.repeat_interleave(times, 1).repeat_interleave(times, 2) for one in pictures]
    return side_by_side([one.permute(1, 2, 0).numpy() for one in magnified], 512)


def _report(job: Job, fitted: FittedVideo) -> None:
    """Leaves figures and a picture beside the result, and says where."""
    found = {
        "video": job.settings["video"]["name"],
        "field": fitted.name,
        "checkpoint": str(fitted.path),
        "share_hidden": float(job.hidden.float().mean()),
        "truth": None if job.truth is None else Path(job.options.truth).name,
        "psnr": {name: per_frame(values) for name, values in job.scores.items()},
        "means": "psnr in dB per frame: visible and hidden, of the field there; result, of all that was written",
    }
    stem = job.path.with_suffix("")
    report, picture = (stem.with_name(f"{stem.name}_{name}") for name in ("report.json", "comparison.png"))
    write_json(report, found)
    rows = sheet([job.shown[number] for number in sorted(job.shown)])
    write_image(picture, torch.from_numpy(rows).permute(2, 0, 1))
    words = [f"{name} {values['mean']:.2f} dB" for name, values in found["psnr"].items() if values["std"] is not None]
    print(f"{job.path}: {job.size[0]} frames, {', '.join(words)}", f"{report}, {picture}", sep="\n")
