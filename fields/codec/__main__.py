"""The command ``python -m fields.codec``.

Heavy packages are imported where they are used, so that `--help` answers at once.
"""

from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import DefaultHelpFormatter, auto_cli

from command_line import Parser
from errors import InputError, clear_errors

_DESCRIPTION = """Fitted fields as single files: written, read and described. Grids are stored as bytes: of NVP the
planes as pictures, the volume as pictures or video. A field that was fitted for its rate (configs/fields/nvp_rate.yaml)
is coded as it was fitted, all of it by a range coder. Everything else keeps its numbers. Nothing in a file is executed.

examples:
  python -m fields.codec encode runs/nvp video.field
  python -m fields.codec encode runs/nvp video.field --quality 90 --crf 21
  python -m fields.codec info video.field
  python -m fields.codec decode video.field fields/video
"""


# What a field is of, by the axes of its size, and what they are.
_KINDS = {
    0: ("size", ""),
    1: ("signal", "samples"),
    2: ("picture", "height, width"),
    3: ("video", "frames, height, width"),
}


def encode(
    source: str,
    out: str,
    quality: int | None = None,
    crf: float | None = None,
    group: int = 8,
    precision: Literal["float32", "float16"] = "float32",
    quantised: bool = True,
) -> dict[str, Any]:
    """Writes a fitted field to one file.

    Args:
        source: A run folder, a folder that holds model.safetensors, or one of their files.
        out: The file; one that is there is replaced.
        quality: Of JPEG for the levels of planes, 1 to 95; None: no loss.
        crf: Constant rate factor of HEVC for the volume, 0 to 51, the smaller the better; None: no loss.
        group: Slices of the volume in one video; 1: each by itself.
        precision: Of weights that are no grid.
        quantised: Grids as bytes; false: as numbers, exactly those of the source.
    """
    from datasets.files import atomic_path, sync
    from fields.codec.coding import Settings, describe
    from fields.codec.coding import encode as encoded
    from fields.weights import read_field

    target = Path(out).expanduser()
    settings = Settings(quality, crf, group, precision, quantised)
    if target.is_dir():
        raise InputError(f"{target}: is a folder: give the name of a file")
    data = encoded(read_field(source), settings)
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)
        sync(temporary)
    return describe(data, target)


def decode(file: str, out: str) -> dict[str, Any]:
    """Writes the field of a file as a folder that every command takes for one.

    Args:
        file: Made by encode.
        out: Gets model.safetensors and config.yaml; such files that are there are replaced.
    """
    from fields.codec.coding import decode_stored, describe
    from fields.weights import STEPS, build_field, save_field

    path, data = _read(file)
    stored = decode_stored(data, path)
    steps = {STEPS + name: step for name, step in stored.steps.items()}
    save_field(out, stored.node, build_field(stored).state_dict() | steps, stored.facts)
    return describe(data, path)


def info(file: str) -> dict[str, Any]:
    """Checks a file, and says what it holds and how its bits are spent.

    Args:
        file: Made by encode.
    """
    from fields.codec.coding import describe

    path, data = _read(file)
    return describe(data, path)


def as_text(report: dict[str, Any]) -> str:
    """Lines about a file, for people."""
    size = report["size"]
    kind, axes = _KINDS[len(size or ())]
    lines = [
        f"field            {report['class']}, {report['parameters']} parameters",
        f"{kind:<16} {'x'.join(map(str, size)) + f' ({axes})' if size else 'none of its own'}",
        f"file             {report['bits'] // 8} bytes",
        f"  payload        {report['payload_bits'] // 8} bytes",
        *(f"    {form:<12} {bits // 8} bytes" for form, bits in report["bits_by_form"].items()),
        f"  container      {report['container_bits'] // 8} bytes",
    ]
    if report["bits_per_pixel"] is not None:
        unit = "value" if len(size) == 1 else "pixel"
        lines.append(f"bits per {unit}   {report['bits_per_pixel']:.6g}, all bytes of the file counted")
    lines += [f"{ascii(name)[1:-1]:<16} {value!a}" for name, value in report["facts"].items()]
    return "\n".join(lines) + "\n"


def _read(file: str) -> tuple[Path, bytes]:
    """A file's bytes, once there is memory for them."""
    from fields.codec.coding import read_bytes

    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: no such file: give one that encode wrote")
    return path, read_bytes(path)


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


def main(args: Sequence[str] | None = None) -> None:
    """The command: encode, decode or info."""
    with clear_errors("codec"):
        report = auto_cli(
            [encode, decode, info],
            args=args,
            parser_class=Parser,
            prog="python -m fields.codec",
            description=_DESCRIPTION,
            formatter_class=_Help,
        )
        print(as_text(report), end="")


if __name__ == "__main__":
    main()
