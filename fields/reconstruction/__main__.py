"""The command ``python -m fields.reconstruction``.

Heavy packages are imported where they are used, so that `--help` answers at once.
"""

import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, Literal

from jsonargparse import DefaultHelpFormatter, auto_cli

from command_line import Parser
from errors import InputError, clear_errors

_DESCRIPTION = """How near reconstructed videos are to the originals: PSNR, SSIM, LPIPS, FLIP of every frame, their mean
over each video, mean and spread over several. Leaves reconstruction.json and reconstruction.png.

examples:
  python -m fields.reconstruction --reference original.mp4 --result frames_of_the_field
  python -m fields.reconstruction --reference originals --result results --metrics psnr,ssim --out figures
"""


def reconstruction(
    reference: str,
    result: str,
    metrics: str = "psnr,ssim,lpips,flip",
    lpips_net: Literal["alex", "vgg", "squeeze"] = "alex",
    lpips_weights: str | None = None,
    ppd: float | None = None,
    chunk: int = 4,
    device: Literal["cpu", "cuda"] = "cpu",
    cache_dir: str | None = None,
    out: str = "reconstruction",
) -> dict[str, Any]:
    """Compares videos with their originals, frame by frame.

    Args:
        reference: The original: a video file, a folder of frames in natural order of their names, or a folder or zip
            with several of either.
        result: What was reconstructed, likewise; of several videos, those of one name are compared.
        metrics: Of psnr, ssim, ms_ssim, lpips and flip, separated by commas. One that lacks a file or a package is
            named at the end, with exit code 2; the others are computed.
        lpips_net: Backbone of LPIPS.
        lpips_weights: File of its weights, as torchvision publishes it. None: that file in the cache folder.
        ppd: Pixels per degree of view, for FLIP. None: 67.02, of a screen 0.7 m wide with 3840 pixels seen from 0.7 m.
        chunk: Frames read together; changes no figure.
        device: Where SSIM and LPIPS are computed; FLIP has the CPU only.
        cache_dir: Where weight files lie and scans of folders are remembered. None: in stylegan_v/weights and
            stylegan_v of $XDG_CACHE_HOME or ~/.cache.
        out: Folder for reconstruction.json and reconstruction.png.
    """
    from pathlib import Path

    import torch

    from fields.reconstruction.files import pairs_of, save
    from fields.reconstruction.measures import Needs, open_measures, parse_names
    from fields.reconstruction.pictures import draw
    from fields.reconstruction.report import as_report

    names = parse_names(metrics)
    if chunk < 1:
        raise InputError(f"chunk: {chunk}: give a positive number of frames")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: there is no CUDA device here: give cpu")
    pairs = pairs_of(result, reference, cache_dir)
    folder = Path(out).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    measures, missing = open_measures(names, Needs(lpips_net, lpips_weights, cache_dir, ppd, device))
    videos = _compare_all(pairs, measures, chunk, device)
    report = as_report(videos, measures, missing, {"reference": reference, "result": result})
    save(folder, report, draw(videos))
    return report


def _compare_all(pairs: list[Any], measures: list[Any], chunk: int, device: str) -> list[Any]:
    """Compares pair after pair, beside a progress bar over the frames of all."""
    from tqdm import tqdm

    from fields.reconstruction.report import compare

    total = sum(len(pair.reference) for pair in pairs)
    with tqdm(total=total, desc="comparing", unit="frame") as bar:
        return [compare(pair.name, pair.chunks(chunk, device), measures, bar.update) for pair in pairs]


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


def main(args: Sequence[str] | None = None) -> None:
    """The command: flags only."""
    with clear_errors("reconstruction"):
        try:
            report = auto_cli(
                reconstruction,
                args=args,
                parser_class=Parser,
                prog="python -m fields.reconstruction",
                as_positional=False,
                description=_DESCRIPTION,
                formatter_class=_Help,
            )
        except KeyboardInterrupt:
            print("reconstruction: stopped; nothing was written", file=sys.stderr)
            raise SystemExit(130) from None
        from fields.reconstruction.table import all_missing, as_text

        print(as_text(report), end="")
        for line in all_missing(report):
            print(f"reconstruction: missing: {line}", file=sys.stderr)
        if all_missing(report):
            raise SystemExit(2)


if __name__ == "__main__":
    main()
