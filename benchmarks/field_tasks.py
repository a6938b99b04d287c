"""What an NVP makes of what it never saw: hidden pixels, held-out frames, twice the pixels; beside simple guesses.

    OMP_NUM_THREADS=1 python benchmarks/field_tasks.py --out out/field_tasks
    OMP_NUM_THREADS=1 python benchmarks/field_tasks.py --tasks odd_frames --updates 100

The video is `acceptance_video`, 16 frames of 32 x 32 pixels: running waves, and a disc that crosses a chequered ground.
Every fit is one of train.py, 4096 random visible pixels per update. Tasks:

- random_30, random_50: that share of the pixels of every frame is hidden, others in each; PSNR of these, beside that of
  the nearest visible pixel of the frame and of the mean of the visible pixels of the same place;
- block: 8 x 8 pixels in the middle of every frame are hidden, likewise;
- odd_frames: every other frame is held out; PSNR of those between two that are seen, beside the mean of the two and a
  repeat of the first;
- twice: fitted to frames of half the sides, drawn at the whole; PSNR beside bicubic magnification of the same frames.

How coarse volumes and planes are was chosen for each task on this very video and seed (see `CELLS` and `CAPPED`), so
the figures show what such an NVP can do, not what it does on videos unseen.

A table goes to stderr, JSON to stdout; ``--out`` gets both, and a picture: truth, what was seen, result, guess.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import numpy as np
import yaml
from PIL import Image

from command_line import Parser
from errors import InputError, clear_errors

FRAMES, SIDE = 16, 32
SLICES = {"odd_frames": FRAMES // 2}  # one for each frame that is seen
CELLS = {"block": 1, "odd_frames": 4}  # along a side of the volume: finer ones inside of the block see nothing
CAPPED = ("odd_frames", "twice")  # planes no finer than the video: what lies between its pixels would not be learned
TASKS = ("random_30", "random_50", "block", "odd_frames", "twice")
SHOWN = 7  # the frame in the pictures


@dataclass
class Result:
    """Decibels of one task, means over frames."""

    task: str
    field: float
    spread: float
    guesses: dict[str, float]
    cpu_seconds: float
    pictures: list[np.ndarray] = field(default_factory=list, repr=False)


def psnr(result: np.ndarray, truth: np.ndarray, places: np.ndarray | None = None) -> tuple[float, float]:
    """Mean over frames, and spread, of the decibels of bytes [F, H, W, 3] at places [F, H, W]."""
    error = ((result.astype(np.float64) - truth) / 255) ** 2
    per_frame = [-10 * np.log10(one.mean() if places is None else one[places[k]].mean()) for k, one in enumerate(error)]
    return float(np.mean(per_frame)), float(np.std(per_frame, ddof=1))


def config(task: str, updates: int, data: dict[str, Any]) -> dict[str, Any]:
    """The run as train.py takes it.

    Args:
        task: Of `TASKS`.
        updates: Length.
        data: Arguments of the video.
    """
    cells = CELLS.get(task, 10)
    shape = [SLICES.get(task, FRAMES), cells, cells]
    nvp = {"levels": 6, "base": 4, "features": 2, "sparse_shape": shape, "width": 64, "capped": task in CAPPED}
    model = {"model": {"class_path": "fields.nvp.NVP", "init_args": nvp}, "lr": 1e-2, "weight_decay": 1e-3}
    return {
        "seed_everything": 0,
        "model": {
            "class_path": "fields.fitting.FieldFitting",
            "init_args": {**model, "total_updates": updates, "validate_every": updates},
        },
        "data": {
            "class_path": "datasets.signal_datamodule.VideoSignal",
            "init_args": {"batch_size": 4096, **data},
        },
        "trainer": {"accelerator": "cpu", "logger": False},
        "progress": {"line_seconds": 1e9},
        "checkpointing": {"every_updates": updates},
    }


def fit(folder: Path, task: str, updates: int, data: dict[str, Any]) -> float:
    """Fits in a run of this name below the folder; CPU seconds. Arguments as for `config`."""
    from train import main

    path = folder / f"{task}.yaml"
    path.write_text(yaml.safe_dump(config(task, updates, {**data, "cache_dir": str(folder / "cache")})))
    given, sys.argv = sys.argv, sys.argv[:1]  # what was meant for this program is no business of the other
    start = time.process_time()
    try:
        main(["fit", "--config", str(path), "--runs_dir", str(folder / "runs"), "--run_name", task])
    finally:
        sys.argv = given
    return time.process_time() - start


def drawn(folder: Path, task: str, indices: np.ndarray, size: tuple[int, int], between: bool = False) -> np.ndarray:
    """Frames [F, H, W, 3] by the field of a run, at places between its own frames."""
    import torch

    from fields.coords import at_index
    from fields.playback.saving import to_bytes
    from fields.playback.source import open_fitted

    video = open_fitted(folder / "runs" / task, "cpu")
    moments = at_index(torch.from_numpy(indices), video.size[0]).tolist()
    return to_bytes(video.frames(moments, size, (0, 0, *size), between)).permute(0, 2, 3, 1).numpy()


def truth_of(side: int) -> np.ndarray:
    """The video, bytes [F, H, W, 3]."""
    from datasets.acceptance_video import acceptance_video

    return acceptance_video(FRAMES, (side, side)).permute(0, 2, 3, 1).numpy()


def write(folder: Path, frames: np.ndarray) -> str:
    """A folder of pictures."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:03}.png")
    return str(folder)


def hidden_by(task: str) -> np.ndarray:
    """The mask of a task [F, H, W]."""
    if task == "block":
        found = np.zeros((FRAMES, SIDE, SIDE), dtype=bool)
        found[:, SIDE // 2 - 4 : SIDE // 2 + 4, SIDE // 2 - 4 : SIDE // 2 + 4] = True
        return found
    return np.random.default_rng(0).random((FRAMES, SIDE, SIDE)) < int(task.partition("_")[2]) / 100


def nearest(frames: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Frames whose hidden pixels are the nearest that are visible."""
    filled = frames.copy()
    for frame, mask in zip(filled, hidden, strict=True):
        seen, wanted = np.argwhere(~mask), np.argwhere(mask)
        closest = seen[((wanted[:, None] - seen[None]) ** 2).sum(-1).argmin(1)]
        frame[mask] = frame[tuple(closest.T)]
    return filled


def mean_over_time(frames: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Frames whose hidden pixels are the mean of what is visible there at other times; else the nearest."""
    weight = (~hidden)[..., None]
    count = weight.sum(0)
    mean = (frames * weight).sum(0) / np.maximum(count, 1)
    return np.where(hidden[..., None] & (count > 0), np.rint(mean).astype(np.uint8), nearest(frames, hidden))


def inpainting(folder: Path, task: str, updates: int) -> Result:
    """Hidden pixels."""
    truth, hidden = truth_of(SIDE), hidden_by(task)
    np.save(folder / f"{task}.npy", hidden)
    data = {"path": write(folder / task, truth), "mask": str(folder / f"{task}.npy")}
    seconds = fit(folder, task, updates, data)
    found = drawn(folder, task, np.arange(FRAMES), (SIDE, SIDE))
    guessed = {"nearest visible pixel": nearest(truth, hidden), "mean over time": mean_over_time(truth, hidden)}
    seen = np.where(hidden[..., None], np.array([255, 0, 255], np.uint8), truth)
    filled = np.where(hidden[..., None], found, truth)
    pictures = [one[SHOWN] for one in (truth, seen, filled, guessed["nearest visible pixel"])]
    guesses = {name: psnr(one, truth, hidden)[0] for name, one in guessed.items()}
    return Result(task, *psnr(found, truth, hidden), guesses, seconds, pictures)


def odd_frames(folder: Path, task: str, updates: int) -> Result:
    """Frames between frames."""
    truth = truth_of(SIDE)
    seconds = fit(folder, task, updates, {"path": write(folder / task, truth), "held_out": "odd"})
    odd = np.arange(1, FRAMES - 1, 2)
    found = drawn(folder, task, odd / 2, (SIDE, SIDE), between=True)
    mean = np.rint((truth[odd - 1].astype(float) + truth[odd + 1]) / 2).astype(np.uint8)
    guesses = {
        "mean of the two neighbours": psnr(mean, truth[odd])[0],
        "repeat": psnr(truth[odd - 1], truth[odd])[0],
    }
    place = SHOWN // 2
    pictures = [truth[odd][place], np.full_like(mean[place], (255, 0, 255)), found[place], mean[place]]
    return Result(task, *psnr(found, truth[odd]), guesses, seconds, pictures)


def twice(folder: Path, task: str, updates: int) -> Result:
    """Twice the pixels along both sides."""
    truth = truth_of(2 * SIDE)
    small = np.stack([np.asarray(Image.fromarray(x).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for x in truth])
    seconds = fit(folder, task, updates, {"path": write(folder / task, small)})
    found = drawn(folder, task, np.arange(FRAMES), (2 * SIDE, 2 * SIDE))
    large = {
        name: np.stack([np.asarray(Image.fromarray(x).resize((2 * SIDE, 2 * SIDE), how)) for x in small])
        for name, how in (("bicubic", Image.Resampling.BICUBIC), ("nearest pixel", Image.Resampling.NEAREST))
    }
    pictures = [truth[SHOWN], large["nearest pixel"][SHOWN], found[SHOWN], large["bicubic"][SHOWN]]
    return Result(
        task, *psnr(found, truth), {name: psnr(one, truth)[0] for name, one in large.items()}, seconds, pictures
    )


def as_text(results: list[Result]) -> str:
    """The table: a line for each task."""
    lines = [f"{'task':12} {'NVP dB':>7} {'+-':>5} {'CPU s':>6}  simple guesses"]
    for one in results:
        guesses = ", ".join(f"{name} {value:.2f}" for name, value in one.guesses.items())
        lines.append(f"{one.task:12} {one.field:7.2f} {one.spread:5.2f} {one.cpu_seconds:6.1f}  {guesses}")
    return "\n".join(lines)


def sheet(results: list[Result]) -> Image.Image:
    """A row for each task: truth, what was seen, the field's, the guess; pixels magnified to one size."""
    rows = [
        np.concatenate([np.kron(p, np.ones((192 // len(p), 192 // len(p), 1), np.uint8)) for p in one.pictures], axis=1)
        for one in results
    ]
    return Image.fromarray(np.concatenate(rows))


def benchmark(tasks: tuple[str, ...], updates: int, out: Path | None = None) -> list[Result]:
    """Fits, prints, and keeps.

    Args:
        tasks: Some of `TASKS`.
        updates: Length of each fit.
        out: Folder for table, figures and picture; None: none.
    """
    unknown = [name for name in tasks if name not in TASKS]
    if unknown or not tasks or updates < 1:
        raise InputError(f"tasks {list(tasks)}, updates {updates}: give some of {','.join(TASKS)}, and at least 1")
    how = {"odd_frames": odd_frames, "twice": twice}
    with tempfile.TemporaryDirectory() as folder:
        results = [how.get(task, inpainting)(Path(folder), task, updates) for task in tasks]
    rows = [{name: value for name, value in asdict(one).items() if name != "pictures"} for one in results]
    text, figures = as_text(results), json.dumps({"updates": updates, "tasks": rows}, indent=1)
    print(text, file=sys.stderr)
    print(figures)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "field_tasks.txt").write_text(text + "\n")
        (out / "field_tasks.json").write_text(figures + "\n")
        sheet(results).save(out / "field_tasks.png")
    return results


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/field_tasks.py"):
        parser = Parser(prog="benchmarks/field_tasks.py", description=__doc__)
        parser.add_argument("--tasks", type=str, default=",".join(TASKS), help=f"some of {','.join(TASKS)}")
        parser.add_argument("--updates", type=int, default=300, help="length of each fit")
        parser.add_argument("--out", type=str | None, default=None, help="folder for table, figures and picture")
        given = parser.parse_args(args)
        benchmark(tuple(given.tasks.split(",")), given.updates, None if given.out is None else Path(given.out))


if __name__ == "__main__":
    main()
