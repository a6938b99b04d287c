"""The command that exports a generator. Nothing heavy is imported until it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from errors import InputError

Format = Literal["onnx", "pt2"]


def export(
    ckpt: str,
    out: str = "out",
    format: Format | None = None,
    opset: int | None = None,
    take: Literal["z", "ws"] = "z",
) -> None:
    """Writes a generator, its time input included, as a file for other programs, and checks it against PyTorch.

    The file draws what `sample` draws, at any times, any number of videos and frames at once. What it asks for is
    described in it and in a JSON file beside it.

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, for generator.onnx or generator.pt2; or the name of such a file.
        format: onnx, for any runtime, or pt2 (torch.export), for PyTorch without this project. None: as the name of
            the file ends, else onnx.
        opset: Version of ONNX's operators, 18 to 23. None: 18, which the most runtimes read and which has all it needs.
        take: Whether videos start from content noise z or from styles ws, one per layer.
    """
    path, format = plan_file(Path(out).expanduser(), format)
    if format == "pt2" and opset is not None:
        raise InputError("opset: a pt2 file has none: leave it out, or give --format onnx")

    from stylegan_v.exporting.files import write_generator
    from stylegan_v.exporting.formats import Onnx, Pt2
    from stylegan_v.pretrained import make_generator, read_model

    made = Pt2() if format == "pt2" else Onnx() if opset is None else Onnx(opset)
    weights = read_model(ckpt, ["generator_ema"])
    path.parent.mkdir(parents=True, exist_ok=True)
    written = write_generator(make_generator(weights), path, made, take, {"source": weights.path.name, **weights.facts})
    times = ", ".join(f"{time:.10g}" for time in written.times)
    print(f"{path}: {made.name}, {written.num_bytes / 1e6:.1f} MB; its inputs are described in {path.name}.json")
    print(f"checked against PyTorch at times {times}: frames differ by at most {written.difference:.1e}")


def plan_file(out: Path, format: Format | None) -> tuple[Path, Format]:
    """Which file of which kind is meant.

    Raises:
        InputError: ``out`` can be no such file, or does not suit ``format``.
    """
    suffix = out.suffix.lower()
    if out.is_dir() or not suffix:
        if out.exists() and not out.is_dir():
            raise InputError(f"out: {out} is a file: give a folder, or the name of a file that ends in .onnx or .pt2")
        format = format or "onnx"
        return out / f"generator.{format}", format
    if suffix not in (".onnx", ".pt2"):
        raise InputError(f"out: {out}: give a folder, or the name of a file that ends in .onnx or .pt2")
    named: Format = "onnx" if suffix == ".onnx" else "pt2"
    if format not in (None, named):
        raise InputError(f"format: {out} will be no {format} file: give a folder, or leave --format out")
    return out, named
