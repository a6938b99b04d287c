"""The command `python -m stylegan_v.inspect PATH`.

Heavy packages are imported where they are used, so that `--help` answers at once. For the same reason annotations are
not postponed in this file: to read postponed ones, the parser would import what only type checkers need.
"""

import json as json_text
import math
import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import DefaultHelpFormatter, auto_cli

from command_line import Parser
from errors import InputError, clear_errors

if TYPE_CHECKING:
    from stylegan_v.inspect.contents import Contents
    from stylegan_v.networks import Generator

_DESCRIPTION = """A look at a file of weights: what it is, its settings, counters, tensors, health, and a picture of
samples. Nothing in the file is run.

examples:
  python -m stylegan_v.inspect runs/custom                      the last checkpoint of a run
  python -m stylegan_v.inspect runs/custom --strip 8            also how its videos move
  python -m stylegan_v.inspect weights/model.safetensors --tensors all --json report.json
  python -m stylegan_v.inspect network-snapshot-025000.pkl --grid 0    no picture
"""
_ROWS = 4  # of a strip without a grid
_MOST = 64  # tiles in a row


def look(
    path: str,
    tensors: Literal["none", "summary", "all"] = "summary",
    json: str | None = None,
    out: str | None = None,
    grid: int = 4,
    strip: int = 0,
    step: float = 4.0,
    seed: int = 0,
    truncation_psi: float = 1.0,
    network: Literal["generator_ema", "generator"] | None = None,
) -> None:
    """A look at a file of weights.

    Args:
        path: A run folder (its last checkpoint is taken), a checkpoint, a folder or file of weights, or a snapshot.
        tensors: The table: a line for each part of a network, for each tensor, or none.
        json: A .json file for the whole report, for machines; it has every tensor.
        out: The picture: a .png file, or a folder. None: beside the file, <name>_samples.png.
        grid: Videos per row, and rows, of the picture of first frames; 0 leaves it out.
        strip: Moments per row of a second picture, <name>_strip.png, with a video per row; 0 leaves it out.
        step: Frames of the training data between two moments of the strip.
        seed: Of the videos in the pictures.
        truncation_psi: 1 keeps the full variety, smaller values draw videos nearer to the mean one.
        network: Which generator draws. None: the averaged one where there is one.
    """
    from stylegan_v.inspect.opening import open_contents
    from stylegan_v.inspect.report import describe
    from stylegan_v.inspect.text import as_text

    _check(grid, strip, step)
    contents = open_contents(path)
    samples, moving = _places(contents.path, out)
    machines = None if json is None else _json_place(json)
    report = describe(contents)
    print(as_text(report, tensors), flush=True)
    report["pictures"] = {}
    name, generator = _generator(contents, network) if grid or strip else (None, None)
    if generator is not None:
        from stylegan_v.inspect.pictures import motion_strip, sample_grid, save_png

        samples.parent.mkdir(parents=True, exist_ok=True)
        how = {"seed": seed, "truncation_psi": truncation_psi}
        told = {"network": name, **how}
        if grid:
            save_png(sample_grid(generator, grid, **how), samples)
            report["pictures"]["samples"] = {"path": str(samples), "grid": grid, **told}
        if strip:
            save_png(motion_strip(generator, grid or _ROWS, strip, step, **how), moving)
            report["pictures"]["strip"] = {"path": str(moving), "moments": strip, "step": step, **told}
    _say(report["pictures"], wanted=bool(grid or strip))
    if machines is not None:
        _write_json(report, machines)


def _check(grid: int, strip: int, step: float) -> None:
    for key, value in (("grid", grid), ("strip", strip)):
        if not 0 <= value <= _MOST:
            raise InputError(f"{key}: {value}: give a number from 0, for no picture, to {_MOST}")
    if not 0 < step < math.inf:
        raise InputError(f"step: {step:g}: give a number of frames above 0")


def _places(path: Path, out: str | None) -> tuple[Path, Path]:
    """Where the two pictures go."""
    samples = path.with_name(f"{path.stem}_samples.png") if out is None else Path(out).expanduser()
    if samples.is_dir():
        samples = samples / f"{path.stem}_samples.png"
    if samples.suffix.lower() != ".png":
        raise InputError(f"out: {samples}: give the name of a .png file, or a folder that is there")
    return samples, samples.with_name(f"{samples.stem.removesuffix('_samples')}_strip.png")


def _json_place(json: str) -> Path:
    """Where the report goes: under no other name, so that a slip of the hand does not cost a checkpoint."""
    path = Path(json).expanduser()
    if path.suffix.lower() != ".json" or path.is_dir():
        raise InputError(f"json: {path}: give the name of a .json file")
    return path


def _generator(contents: "Contents", network: str | None) -> "tuple[str | None, Generator | None]":
    """The generator that draws, and its name; None where the file has none."""
    from stylegan_v.pretrained import make_generator

    held = contents.weights.networks if contents.weights else {}
    name = network or next((one for one in ("generator_ema", "generator") if one in held), None)
    if name is None:
        return None, None
    if contents.weights is None:
        raise InputError(f"{contents.path}: no picture: {contents.notes[-1]}")
    return name, make_generator(contents.weights, name)


def _say(pictures: dict[str, Any], *, wanted: bool) -> None:
    if wanted and not pictures:
        print("\nno picture: there is no generator here that can be built")
    elif pictures:
        print()
    for picture in pictures.values():
        videos = f"seed {picture['seed']}, truncation {picture['truncation_psi']:g}, by {picture['network']}"
        print(f"{picture['path']}: {videos}")


def _write_json(report: dict[str, Any], path: Path) -> None:
    from stylegan_v.checkpoints import replacing

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(json_text.dumps(report, indent=1, allow_nan=False).encode())


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


def main(args: Sequence[str] | None = None) -> None:
    """The command: its flags and their help come from `look`."""
    try:
        with clear_errors("inspect"):
            auto_cli(
                look,
                args=args,
                parser_class=Parser,
                prog="python -m stylegan_v.inspect",
                description=_DESCRIPTION,
                formatter_class=_Help,
            )
    except KeyboardInterrupt:
        print("inspect: stopped", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # whoever reads, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
