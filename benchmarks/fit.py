"""Frames per second of a whole run: loader, augmentation, all phases, optimisers, average and curves.

    python benchmarks/fit.py --config configs/stylegan_v/ffs.yaml --batch 32                         # on a GPU
    python benchmarks/fit.py --batch 32 --flags "[--trainer.callbacks+=stylegan_v.callbacks.CompileNetworks]"

Videos are made on the fly and kept as a zip of JPEG files, the form that `datasets.prepare` writes; `train.py fit
--print_cost` trains on them in a temporary folder, and says how fast it was in 20 updates after the first. One or two
of these have R1, as any 20 have. Pictures, which a run draws now and then, are left out. A line goes to stderr, the
same as JSON to stdout.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

from benchmarks.loader import filmed, write_frames
from command_line import Parser
from errors import InputError, clear_errors

ROOT = Path(__file__).resolve().parents[1]
_UPDATES = 1 + 20 + 1  # the first is not counted, and one more shows that the 20 are over
_NUMBER = r"([0-9.]+(?:e[+-]?[0-9]+)?)"
_SPEED = re.compile(rf"speed over (\d+) updates: {_NUMBER} kimg/day \({_NUMBER} frames/s, {_NUMBER} TFLOP/s")
_MEMORY = re.compile(rf"memory per device: about {_NUMBER} GiB")


def make_zip(path: Path, resolution: int, videos: int, length: int, classes: int = 0) -> None:
    """Videos as a zip of JPEG files.

    Args:
        path: Of the zip.
        resolution: Side of the frames, pixels.
        videos: How many.
        length: Frames of each.
        classes: Of the videos, the last one among them; 0: they have no labels.
    """
    with tempfile.TemporaryDirectory() as folder:
        for i in range(videos):
            write_frames(Path(folder) / str(i), filmed(i, length, resolution, noise=6.0))
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(Path(folder).rglob("*.jpg")):
                archive.write(file, file.relative_to(folder))
            if classes:
                labels = [[str(i), (i - 1) % classes] for i in range(videos)]
                archive.writestr("dataset.json", json.dumps({"labels": labels}))


def command(config: Path, root: Path, runs: Path, batch: int, frames: int, flags: Sequence[str]) -> list[str]:
    """The run, as words of a command line."""
    words = [sys.executable, "train.py", "fit", "--config", str(config), "--runs_dir", str(runs), "--run_name", "speed"]
    words += ["--data.root", str(root), f"--data.batch_size={batch}", "--trainer.callbacks=null", "--print_cost"]
    return [*words, f"--model.total_kimg={_UPDATES * batch * frames / 1000}", *flags]


def figures(text: str) -> dict[str, float]:
    """What a run has said of its cost.

    Raises:
        RuntimeError: It has not said it.
    """
    speed, memory = _SPEED.search(text), _MEMORY.search(text)
    if not (speed and memory):
        raise RuntimeError(f"the run did not say how fast it was: {text[-1000:]}")
    names = ("updates", "kimg_per_day", "frames_per_second", "teraflops")
    return dict(zip(names, map(float, speed.groups()), strict=True)) | {"estimated_gib": float(memory.group(1))}


def fit(
    config: Path, resolution: int, batch: int, frames: int, videos: int, flags: Sequence[str], classes: int = 0
) -> dict:
    """Trains and reports.

    Args:
        config: Of a video GAN that trains on a folder of videos.
        resolution: Its own.
        batch: Clips of an update.
        frames: Of a clip, as the config has it.
        videos: That are made.
        flags: Of train.py, beside these.
        classes: Of the videos.

    Raises:
        InputError: train.py has refused them.
    """
    with tempfile.TemporaryDirectory(prefix="fit-") as folder:
        make_zip(Path(folder) / "videos.zip", resolution, videos, length=64, classes=classes)
        words = command(config, Path(folder) / "videos.zip", Path(folder) / "runs", batch, frames, flags)
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode == 2:
        raise InputError(said.strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(f"train.py ended with exit code {done.returncode}: {said[-2000:]}")
    about = {"config": config.name, "resolution": resolution, "batch": batch, "flags": list(flags)}
    return {**about, **figures(said)}


def main(args: Sequence[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/fit.py"):
        parser = Parser(prog="benchmarks/fit.py", description=__doc__)
        parser.add_argument("--config", type=str, default="configs/stylegan_v/ffs.yaml", help="of a video GAN")
        parser.add_argument("--resolution", type=int, default=256, help="of the config, pixels")
        parser.add_argument("--batch", type=int, default=32, help="clips of an update")
        parser.add_argument("--frames", type=int, default=3, help="of a clip, as the config has it")
        parser.add_argument("--videos", type=int, default=16, help="that are made, of 64 frames each")
        parser.add_argument("--flags", type=list[str], default=[], help="of train.py, beside these")
        parser.add_argument("--classes", type=int, default=0, help="of videos with labels, as the config has them")
        given = parser.parse_args(args)
        if min(given.resolution, given.batch, given.frames, given.videos) < 1 or given.classes < 0:
            raise InputError("resolution, batch, frames, videos: give numbers above 0, classes: 0 or more")
        config = (Path.cwd() / given.config).resolve()
        if not config.is_file():
            raise InputError(f"--config {given.config}: there is no such file")
        found = fit(config, given.resolution, given.batch, given.frames, given.videos, given.flags, given.classes)
        print(
            f"{found['config']}, {found['batch']} clips: {found['frames_per_second']:.1f} frames/s, loader included, "
            f"{found['kimg_per_day']:.4g} kimg/day, {found['teraflops']:.3g} TFLOP/s",
            file=sys.stderr,
        )
        print(json.dumps(found))


if __name__ == "__main__":
    main()
