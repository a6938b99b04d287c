"""Rate and distortion of videos as fields beside x264 and x265: curves on real clips, and what rate-aware fits save.

    OMP_NUM_THREADS=1 python benchmarks/rate_distortion.py
    OMP_NUM_THREADS=1 python benchmarks/rate_distortion.py --clips carphone --only anchors,rival

Clips of 32 frames of 128 x 128 pixels, out of Python packages (`benchmarks/rates/clips.py`), are coded

- by x264 and x265, with half and with full resolution of colour (they win, as expected);
- by NVP fitted as usual, its planes as JPEG and its volume as HEVC, at all combinations of quality and CRF, of which
  the hull counts: each plane's levels are one sheet per channel, the network is float16. This is the rival. Beside it
  stands the same with a file per level, as its authors have it;
- by the same NVP, fitted as long, that pays for its bits while it is fitted (`configs/fields/nvp_rate.yaml`).

PSNR is that of RGB frames of 8 bits, mean over frames. Bits of payload and of the container are counted apart; all are
read back from bytes. What is saved is Bjontegaard's rate, piecewise cubic, over the PSNR that both curves reach.

Fits are kept under --work by their settings: the same command goes on where it was stopped. curves.png, curves.json and
curves.md go there as well; tables go to stderr, the JSON to stdout. The exit code is 1 where the rate-aware codec does
not save 30 % against the rival on average, of payload and of whole files.

Measured once with the defaults (torch 2.13, one thread; by the steps' process-CPU time about 20 minutes): payload that
the rate-aware codec saves, below 0 where it takes more, and the PSNR that both reach. Of whole files it is 61.7 %
against the rival on average, and -78.6 to -119.3 % against x264 and x265.

                        bunny           carphone        bikes           mean
NVP, sheets             61.8 %          67.2 %          57.5 %          62.2 %
NVP, a file per level   66.5 %          71.4 %          62.4 %          66.8 %
x264 yuv420p            -95.7 %         -79.5 %         -120.6 %        -98.6 %
x264 yuv444p            -114.7 %        -97.7 %         -137.5 %        -116.6 %
x265 yuv420p            -136.0 %        -127.7 %        -173.2 %        -145.6 %
x265 yuv444p            -147.8 %        -143.1 %        -175.8 %        -155.5 %
PSNR                    28.5 to 30.5    30.8 to 34.3    29.5 to 33.1
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

from command_line import Parser
from errors import InputError, clear_errors

if TYPE_CHECKING:
    from benchmarks.rates.clips import Clip
    from benchmarks.rates.points import Point

KINDS = ("anchors", "rival", "rate")
LEAST_POINTS = 4


class Fits:
    """Fits that are made when they are asked for, with a line before each: which it is, and how long all will take.

    Args:
        configs: All that will be asked for.
        work: Where they are kept.
    """

    def __init__(self, configs: list[dict[str, Any]], work: Path) -> None:
        from benchmarks.rates.fits import is_done, run_folder

        self.work, self.done, self.start = work, 0, time.monotonic()
        self.total = sum(not is_done(run_folder(config, work)) for config in configs)

    def run(self, config: dict[str, Any]) -> Path:
        """The run folder of a fit."""
        from benchmarks.rates.fits import fit, is_done, run_folder

        folder = run_folder(config, self.work)
        if not is_done(folder):
            mean = (time.monotonic() - self.start) / self.done if self.done else None
            left = f"{mean * (self.total - self.done) / 60:.0f} min" if mean else "to be seen"
            self.done += 1
            print(f"fit {self.done} of {self.total} ({folder.name}), time left: {left}", file=sys.stderr, flush=True)
        return fit(config, self.work)


def anchor_curves(folder: Path, work: Path) -> dict[str, list[Point]]:
    """Those of x264 and x265.

    Args:
        folder: Frames of a clip.
        work: Where they are kept.
    """
    from benchmarks.rates.anchors import CRFS, ENCODERS, FORMATS, anchor_points
    from benchmarks.rates.clips import read_frames
    from benchmarks.rates.points import kept

    frames = read_frames(folder)
    return {
        f"{name} {pix_fmt}": kept(
            work / "points" / f"{folder.name}_{name}_{pix_fmt}.json",
            {"crfs": CRFS},
            lambda name=name, pix_fmt=pix_fmt: anchor_points(frames, name, pix_fmt),
        )
        for name in ENCODERS
        for pix_fmt in FORMATS
    }


def rival_curves(run: Path, folder: Path) -> dict[str, list[Point]]:
    """Those of a fit that is coded as pictures and video.

    Args:
        run: Of the fit.
        folder: Frames of its clip.
    """
    from benchmarks.rates.clips import read_frames
    from benchmarks.rates.points import RATES, hull, kept
    from benchmarks.rates.report import ORIGINAL, RIVAL
    from benchmarks.rates.rival import CRFS, QUALITIES, original_points, rival_points
    from fields.weights import read_field

    frames, stored = read_frames(folder), read_field(run)
    swept = {"qualities": QUALITIES, "crfs": CRFS}
    points = kept(run / "sheets.json", swept, lambda: rival_points(stored, frames, QUALITIES, CRFS))
    pairs = [(point.settings["quality"], point.settings["crf"]) for point in hull(points, RATES["payload"])]
    beside = kept(run / "files.json", {"pairs": pairs}, lambda: original_points(stored, frames, pairs))
    return {RIVAL: points, ORIGINAL: beside}


def aware_curve(runs: dict[float, Path], folder: Path) -> list[Point]:
    """That of fits for the rate.

    Args:
        runs: By what a bit was worth.
        folder: Frames of their clip.
    """
    from benchmarks.rates.aware import aware_point
    from benchmarks.rates.clips import read_frames
    from fields.weights import read_field

    frames = read_frames(folder)
    return [aware_point(read_field(run), frames, {"rate_weight": weight}) for weight, run in runs.items()]


def curves_of(
    clip: Clip, configs: dict[str, list[dict[str, Any]]], fits: Fits, anchors: bool
) -> dict[str, list[Point]]:
    """All curves of a clip that are asked for, by their names.

    Args:
        clip: Which.
        configs: Of its fits, by their kind.
        fits: Make them.
        anchors: Code it by x264 and x265 as well.
    """
    from benchmarks.rates.clips import clip_folder
    from benchmarks.rates.report import RATE

    folder = clip_folder(clip, fits.work)
    curves = anchor_curves(folder, fits.work) if anchors else {}
    for config in configs.get("rival", []):
        curves |= rival_curves(fits.run(config), folder)
    if "rate" in configs:
        weights = [config["model"]["init_args"]["rate_weight"] for config in configs["rate"]]
        runs = {weight: fits.run(config) for weight, config in zip(weights, configs["rate"], strict=True)}
        curves[RATE] = aware_curve(runs, folder)
    return curves


def benchmark(
    names: tuple[str, ...], kinds: tuple[str, ...], points: int, updates: int, batch_size: int, work: Path
) -> int:
    """Fits, codes, prints; the number of things that are not as they should be.

    Args:
        names: Of `benchmarks.rates.clips.CLIPS`.
        kinds: Some of `KINDS`.
        points: Of the rate-aware curve, at least 4.
        updates: Of each fit.
        batch_size: Pixels of an update.
        work: Where fits are kept, and results go.
    """
    from benchmarks.rates.clips import CLIPS, clip_folder
    from benchmarks.rates.fits import Plan, configs_of
    from benchmarks.rates.report import as_json, as_markdown, as_png
    from datasets.files import atomic_path

    if unknown := set(names) - set(CLIPS):
        raise InputError(f"clips: {min(unknown)!r} is none of {', '.join(CLIPS)}")
    plan = Plan(updates, batch_size)
    configs = {name: configs_of(clip_folder(CLIPS[name], work), plan, kinds, points) for name in names}
    fits = Fits([one for by in configs.values() for some in by.values() for one in some], work)
    curves = {CLIPS[name]: curves_of(CLIPS[name], configs[name], fits, "anchors" in kinds) for name in names}
    report, table = as_json(curves, {"updates": updates, "batch_size": batch_size}), as_markdown(curves)
    files = {"json": json.dumps(report, indent=1).encode(), "md": table.encode(), "png": as_png(curves)}
    for suffix, data in files.items():
        with atomic_path(work / f"curves.{suffix}") as temporary:
            temporary.write_bytes(data)
    print(table, *report["failures"], sep="\n", file=sys.stderr)
    print(json.dumps(report))
    return len(report["failures"])


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/rate_distortion.py"):
        parser = Parser(prog="benchmarks/rate_distortion.py", description=__doc__)
        parser.add_argument("--clips", type=str, default="bunny,carphone,bikes", help="or concert, commas between")
        parser.add_argument("--only", type=str, default=",".join(KINDS), help="some of anchors,rival,rate")
        parser.add_argument("--points", type=int, default=LEAST_POINTS, help="of the rate-aware curve, a fit each")
        parser.add_argument("--updates", type=int, default=1500, help="of each fit")
        parser.add_argument("--batch_size", type=int, default=8192, help="pixels of an update")
        parser.add_argument("--work", type=Path, default=Path("runs/rate_distortion"), help="keeps fits, gets results")
        given = parser.parse_args(args)
        kinds = tuple(given.only.split(","))
        if set(kinds) - set(KINDS):
            raise InputError(f"only {given.only!r}: give some of {','.join(KINDS)}")
        if given.points < LEAST_POINTS or min(given.updates, given.batch_size) < 1:
            raise InputError(f"points, updates, batch_size: give at least {LEAST_POINTS}, 1 and 1")
        names = tuple(given.clips.split(","))
        if benchmark(names, kinds, given.points, given.updates, given.batch_size, given.work.expanduser()):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
