"""python -m stylegan_v.official: released weights of the original into a folder of ours, and ours into a file of its.

python -m stylegan_v.official network-snapshot-025000.pkl models/ffs
python -m stylegan_v.official --export runs/ffs_official ffs_state.safetensors
"""

from __future__ import annotations

import shlex
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import DefaultHelpFormatter, Namespace

from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v.official.flags import Flags

if TYPE_CHECKING:
    from stylegan_v.weights import Weights

PROGRAM = "python -m stylegan_v.official"
CARD = "README.md"
_DESCRIPTION = """Reads a snapshot of the original StyleGAN-V (.pkl) without running anything in it, and makes a
folder: model.safetensors, config.yaml (to sample from, and to train on) and README.md (what it is, and where each
setting comes from).

Examples:
  python -m stylegan_v.official network-snapshot-025000.pkl models/ffs

  python -m stylegan_v.official network-snapshot-025000.pkl models/sky --motion_z_distance 256 --fps 25

  python -m stylegan_v.official --export runs/ffs_official ffs_state.safetensors"""

# Only what the help text needs is imported above; the rest where the work begins.


def convert_file(source: str, out: str, flags: Flags) -> None:
    """Converts a snapshot or state file of the original into a folder of ours.

    Args:
        source: The file.
        out: The folder; made where it is missing, overwritten where it holds a conversion.
        flags: Settings in place of those of the file.

    Raises:
        InputError: The file cannot be converted, or the folder holds something else.
    """
    from stylegan_v.official.conversion import convert, read_original
    from stylegan_v.official.model_card import model_card
    from stylegan_v.official.networks import NETWORK_SETTINGS
    from stylegan_v.official.run_config import as_yaml, run_config
    from stylegan_v.weights import CONFIG

    out = out.rstrip("/") or out
    folder = Path(out).expanduser()
    check_folder(folder)
    flags.given()  # refuses what cannot be before the file is read
    path = Path(source).expanduser()
    if path.is_file():
        print(f"reading {path} ({path.stat().st_size / 1e6:.3g} MB)", flush=True)
    snapshot = read_original(path)
    weights, notes = convert(snapshot, flags)
    config = as_yaml(run_config(weights, notes, out), notes, snapshot.path.name)
    card = model_card(snapshot, weights, notes, out)

    write_folder(folder, weights, {CARD: card, CONFIG: config})

    size, counts = notes.settings["resolution"].value, notes.num_parameters
    print(f"{out}: {size}x{size} pixels, parameters: G {counts['G'] / 1e6:.3g} M, D {counts['D'] / 1e6:.3g} M")
    for text in notes.assumed(NETWORK_SETTINGS):
        print(f"assumed, as the file does not say: {text}")
    if further := notes.assumed([name for name in notes.settings if name not in NETWORK_SETTINGS]):
        print(f"assumed of training, as the original ships it (config.yaml): {', '.join(further)}")
    print(f"sample:    python generate.py sample --ckpt {shlex.quote(out)}")
    print(f"fine-tune: python train.py fit --config {shlex.quote(f'{out}/{CONFIG}')} --data.root PATH/TO/VIDEOS")


def write_folder(folder: Path, weights: Weights, texts: Mapping[str, str]) -> None:
    """Leaves weights and texts in a folder; on any failure it stays as it was.

    Args:
        folder: Made where it is missing.
        weights: For model.safetensors.
        texts: By the names of their files.
    """
    from stylegan_v.checkpoints import remove_stale, replacing
    from stylegan_v.weights import MODEL, write_weights

    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        remove_stale(folder)
        with ExitStack() as files:  # the texts take their places once the weights, which take long, have theirs
            for name, text in texts.items():
                files.enter_context(replacing(folder / name)).write(text.encode())
            write_weights(folder / MODEL, weights.networks, weights.facts)
    except BaseException:
        if made and not any(folder.iterdir()):
            folder.rmdir()
        raise


def export_file(model: str, out: str) -> None:
    """Writes weights of ours as a state file of the original.

    Args:
        model: A run folder, a checkpoint, a folder or file of weights, or a snapshot.
        out: The file, .safetensors.

    Raises:
        InputError: The original cannot hold these networks, or ``out`` cannot be written.
    """
    from stylegan_v.official.conversion import convert, is_original, read_original
    from stylegan_v.official.state_file import state_path, write_state
    from stylegan_v.weights import find_weights, read_weights

    path = state_path(out)
    source = find_weights(model)
    weights = convert(read_original(source))[0] if is_original(source) else read_weights(source)
    write_state(path, weights)
    print(
        f"{out}: {sum(map(len, weights.networks.values()))} tensors of ours under the original's names, and its filters"
    )


def check_folder(folder: Path) -> None:
    """Makes sure that a conversion writes over nothing but an earlier one, beside which there may be pictures of it.

    Raises:
        InputError: There is a file of this name, or a folder with anything else in it.
    """
    from stylegan_v.weights import CONFIG, MODEL

    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file: give the name of a folder")
    ours = {MODEL, CONFIG, CARD}
    passed_over = (".*.tmp", f"{Path(MODEL).stem}_*.png")  # what a killed process left, and what inspect draws
    found = (
        {path.name for path in folder.iterdir() if not any(map(path.match, passed_over))} if folder.is_dir() else set()
    )
    if found and not (MODEL in found and found <= ours):
        other = min(found - ours, default="no " + MODEL)
        raise InputError(
            f"{folder}: holds something else ({other}): give a new folder, or one that was made by this command"
        )


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


def _parse(args: Sequence[str] | None) -> Namespace:
    parser = Parser(prog=PROGRAM, description=_DESCRIPTION, formatter_class=_Help)
    parser.add_argument(
        "source", type=str, help="snapshot (.pkl) or state file (.safetensors); with --export weights of ours"
    )
    parser.add_argument("out", type=str, help="the folder to make; with --export the .safetensors file to make")
    parser.add_argument(
        "--export", action="store_true", help="the other way: weights of ours as a state file of the original"
    )
    parser.add_class_arguments(Flags)
    return parser.parse_args(None if args is None else list(args))


def main(args: Sequence[str] | None = None) -> None:
    """The command."""
    with clear_errors("official"):
        given = _parse(args)
        flags = Flags(**{name: given[name] for name in Flags.__dataclass_fields__})
        try:
            if given.export:
                if useless := [name for name, value in vars(flags).items() if value is not None]:
                    raise InputError(f"{useless[0]}: goes with converting, not with --export: leave it out")
                export_file(given.source, given.out)
            else:
                convert_file(given.source, given.out, flags)
        except KeyboardInterrupt:
            print("official: stopped; run the same command again", file=sys.stderr)
            raise SystemExit(130) from None


if __name__ == "__main__":
    main()
