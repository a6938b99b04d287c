"""The command ``python -m stylegan_v.metrics``.

Heavy packages are imported where they are used, so that `--help` answers at once.
"""

import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, Literal

from jsonargparse import DefaultHelpFormatter, auto_cli

from command_line import Parser
from errors import clear_errors

_PROGRAM = "python -m stylegan_v.metrics"
_DESCRIPTION = """Scores by named protocol: FVD, FID, KID, Inception scores, kernel distances; real videos against a
generator, against generated videos in files, or any two data sets. Each result is one line of JSON, appended to --out,
with everything it depends on: protocol, hashes of data, network and protocol, numbers, spread over draws of fakes, and
rows that say what the score can see (real against other real, frozen, shuffled and reversed clips).

Protocols lie in configs/metrics/; feature networks are listed by `python -m stylegan_v.metrics.detectors`, and three
of them need no download: random_3d, random_2d, and factors, which `python -m stylegan_v.metrics.train_detector` makes.

examples:
  python -m stylegan_v.metrics --real ~/my_videos --fake runs/custom --protocol styleganv_fvd2048_16f,fvd_16f
  python -m stylegan_v.metrics --real ~/my_videos --fake ~/generated.zip --protocol kvd_16f
  python -m stylegan_v.metrics --fake runs/demo --protocol fvd_16f --detector random_3d --num_fake 256 --num_draws 2
  torchrun --nproc_per_node 4 -m stylegan_v.metrics --real ~/my_videos --fake runs/custom --protocol fvd_128f
"""


def measure(
    fake: str,
    protocol: str,
    real: str | None = None,
    part: Literal["all", "validation", "test"] = "all",
    labels: Literal["none", "json", "folders"] = "none",
    detector: str | None = None,
    detector_path: str | None = None,
    num_real: int | None = None,
    num_fake: int | None = None,
    num_draws: int | None = None,
    batch_frames: int = 128,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    cache_dir: str | None = None,
    out: str = "metrics.jsonl",
) -> bool:
    """Computes scores.

    Args:
        fake: What is judged: a run, a folder or file of weights, or a snapshot of the original system; or generated
            videos, or any others, as a folder, zip or store.
        protocol: Names from configs/metrics, or YAML files, with commas between.
        real: The reference: a folder, zip, store or video file; or a training config, run or checkpoint, whose data are
            taken. None: the data that the run of ``fake`` was trained on.
        part: All real videos, or the half of them that training chooses checkpoints by, or the other one.
        labels: Where a folder, zip or store of real videos has the labels that a conditional generator is given: its
            dataset.json, or the names of its folders. A config, run or checkpoint says by itself.
        detector: Another feature network than the protocol's; the result says so and compares with nothing published.
        detector_path: File of the feature network; None: where the table of detectors says.
        num_real: Another number of real clips (frames for image networks) than the protocol's; the result says so.
        num_fake: Likewise of fakes.
        num_draws: Likewise of independent draws of fakes.
        batch_frames: Frames that are looked at together: less needs less memory.
        device: Where networks work; "auto" is cuda where there is one.
        cache_dir: Where statistics of real videos are kept; None: stylegan_v/metrics in $XDG_CACHE_HOME or ~/.cache.
        out: File that gets a line of JSON for each result; metrics.PROTOCOL.late.png beside it shows the score over the
            first frames of fakes, where the protocol has several.

    Returns:
        Whether all protocols could be carried out.
    """
    from stylegan_v.metrics.command import Request, carry_out

    changes = {"detector": detector, "real__max_num": num_real, "fake__num": num_fake, "num_draws": num_draws}
    changes = {key: value for key, value in changes.items() if value is not None}
    request = Request(fake, real, part, labels, changes, detector_path, batch_frames, device, cache_dir, out)
    return carry_out(request, [name.strip() for name in protocol.split(",")])


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


def main(args: Sequence[str] | None = None) -> None:
    """The command: flags only; exit code 2 where a protocol had to be left out."""
    options: dict[str, Any] = {"parser_class": Parser, "prog": _PROGRAM, "as_positional": False}
    with clear_errors("metrics"):
        try:
            complete = auto_cli(measure, args=args, description=_DESCRIPTION, formatter_class=_Help, **options)
        except KeyboardInterrupt:
            print("metrics: stopped; what was shown is kept", file=sys.stderr)
            raise SystemExit(130) from None
    if not complete:
        raise SystemExit(2)


if __name__ == "__main__":
    main()
