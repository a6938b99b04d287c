"""python -m fields.official: published weights of other systems into a folder of ours.

python -m fields.official liif edsr-baseline-liif.pth models/liif
"""

from __future__ import annotations

import shlex
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import DefaultHelpFormatter

from command_line import Parser
from errors import InputError, clear_errors

if TYPE_CHECKING:
    from fields.weights import StoredField

PROGRAM = "python -m fields.official"
CARD = "README.md"
_DESCRIPTION = """Reads a checkpoint of an original system without running anything in it, and makes a folder:
model.safetensors, config.yaml (what builds the model) and README.md (what it is).

example:
  python -m fields.official liif edsr-baseline-liif.pth models/liif"""


def convert(source: str, out: str) -> None:
    """Converts a checkpoint of LIIF or MetaSR into a folder of ours.

    Args:
        source: The file.
        out: The folder; made where it is missing, overwritten where it holds a conversion.

    Raises:
        InputError: The file cannot be converted, or the folder holds something else.
    """
    from fields.official.released import read_released
    from fields.weights import save_field

    folder = Path(out).expanduser()
    check_folder(folder)
    path = Path(source).expanduser()
    if path.is_file():
        print(f"reading {path} ({path.stat().st_size / 1e6:.3g} MB)", flush=True)
    stored = read_released(path)
    save_field(folder, stored.node, stored.state, stored.facts, {CARD: card(stored, out)})
    print(f"{out}: {_name(stored)}, {_count(stored)} parameters")
    print(f"use: {_use(out)}")


def check_folder(folder: Path) -> None:
    """Makes sure that a conversion writes over nothing but an earlier one.

    Raises:
        InputError: There is a file of this name, or a folder with anything else in it.
    """
    from fields.weights import CONFIG, WEIGHTS

    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file: give the name of a folder")
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if found and not (WEIGHTS in found and found <= {WEIGHTS, CONFIG, CARD}):
        other = min(found - {WEIGHTS, CONFIG, CARD}, default=f"no {WEIGHTS}")
        raise InputError(f"{folder}: holds something else ({other}): give a new folder, or one that this command made")


def card(stored: StoredField, out: str) -> str:
    """What lies in the folder, for people."""
    rows = {
        "model": _name(stored),
        "parameters": _count(stored),
        "tensors": str(len(stored.state)),
        "from": f"{stored.facts['source']}, sha256 {stored.facts['sha256']}",
        "epoch": str(stored.facts.get("epoch", "not known")),
        "left out, as the original never uses them": stored.facts["dropped"] or "nothing",
    }
    table = "\n".join(f"| {what} | {value} |" for what, value in rows.items())
    return (
        f"# {Path(out).name}\n\nImages at any resolution (LIIF, Chen, Liu, Wang, CVPR 2021), converted from the "
        f"checkpoint of the original;\nthe tensors are unchanged. Whose licence they have, who published them says.\n\n"
        f"| | |\n|---|---|\n{table}\n\n    {_use(out)}\n"
    )


def _name(stored: StoredField) -> str:
    described = stored.node["init_args"]
    encoder = described["encoder"]["class_path"].rpartition(".")[2]
    return f"{stored.node['class_path'].rpartition('.')[2]} with {encoder}"


def _count(stored: StoredField) -> str:
    return f"{sum(tensor.numel() for tensor in stored.state.values()):,}".replace(",", " ")


def _use(out: str) -> str:
    return f"python generate.py upscale --ckpt {shlex.quote(out)} PICTURE --scale 4"


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the example."""


def main(args: Sequence[str] | None = None) -> None:
    """The command."""
    with clear_errors("official"):
        parser = Parser(prog=PROGRAM, description=_DESCRIPTION, formatter_class=_Help)
        parser.add_argument("system", choices=["liif"], help="whose checkpoint it is; liif: of LIIF or its MetaSR")
        parser.add_argument("source", type=str, help="the checkpoint (.pth)")
        parser.add_argument("out", type=str, help="the folder to make")
        given = parser.parse_args(None if args is None else list(args))
        convert(given.source, given.out)


if __name__ == "__main__":
    main()
