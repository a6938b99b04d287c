"""Fields of videos side by side on a small video that is made on the fly: PSNR after 100 and 300 updates.

    OMP_NUM_THREADS=1 python benchmarks/video_fields.py
    OMP_NUM_THREADS=1 python benchmarks/video_fields.py --fields nvp --seeds 0

16 frames of 32 x 32 pixels: two running waves, and a disc that crosses a chequered ground (`acceptance_video`). Every
update sees 4096 random pixels; AdamW, with decay for NVP alone, along a cosine; trained by train.py. PSNR is the
mean over frames. All fields have about as many parameters as the video has values, so this compares how well they are
learned, not how well they compress; rivals are not tuned. A table goes to stderr, the same as JSON to stdout. The exit
code is 1 where, for a seed,

- NVP does not reach 33 dB after the last update, or
- is not 5 dB above SIREN, or 8 dB above the hashed grid.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import yaml

from command_line import Parser
from errors import InputError, clear_errors

FIELDS: dict[str, dict[str, Any]] = {
    "nvp": {
        "class_path": "fields.nvp.NVP",
        "init_args": {"levels": 6, "base": 4, "features": 2, "sparse_shape": [16, 10, 10], "width": 64},
    },
    "siren": {"class_path": "fields.siren_video.SirenVideo", "init_args": {"hidden": [64, 64, 64, 64]}},
    "ffn": {
        "class_path": "fields.ffn.FFN",
        "init_args": {"num_frequencies": 64, "sigma": [1.0, 4.0, 4.0], "hidden": [64, 64, 64]},
    },
    "hash_grid": {
        "class_path": "fields.instant_ngp.InstantNGP",
        "init_args": {"levels": 6, "base": 4, "growth": 1.5, "log2_table": 11, "hidden": [64, 64]},
    },
}
RATES = {"nvp": 1e-2, "siren": 1e-3, "ffn": 5e-3, "hash_grid": 1e-2}
DECAYS = {"nvp": 1e-3}
LEAST, ABOVE = 33.0, {"siren": 5.0, "hash_grid": 8.0}  # dB


@dataclass(frozen=True)
class Row:
    """What one field made of the video."""

    field: str
    seed: int
    parameters: int
    psnr_at_third: float
    psnr: float
    ssim: float
    cpu_seconds: float


def config(field: str, seed: int, updates: int) -> dict[str, Any]:
    """The run as train.py takes it.

    Args:
        field: Of `FIELDS`.
        seed: Of parameters and pixels.
        updates: Length.
    """
    model = {
        "model": FIELDS[field],
        "lr": RATES[field],
        "weight_decay": DECAYS.get(field, 0.0),
        "total_updates": updates,
        "validate_every": max(1, updates // 3),
        "num_while_training": 16,
    }
    data = {"num_frames": 16, "size": [32, 32], "batch_size": 4096, "seed": seed}
    return {
        "seed_everything": seed,
        "model": {"class_path": "fields.fitting.FieldFitting", "init_args": model},
        "data": {"class_path": "datasets.signal_datamodule.SyntheticSignal", "init_args": data},
        "trainer": {"accelerator": "cpu", "logger": False},
        "progress": {"line_seconds": 1e9},
        "checkpointing": {"every_updates": updates},
    }


def measure(field: str, seed: int, updates: int) -> Row:
    """Fits one field with one seed; arguments as for `config`."""
    from fields.weights import load_field
    from train import main

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.yaml"
        path.write_text(yaml.safe_dump(config(field, seed, updates)))
        sys.argv[1:] = []  # what was meant for this program is no business of the other
        start = time.process_time()
        main(["fit", "--config", str(path), "--runs_dir", folder, "--run_name", "run"])
        seconds = time.process_time() - start
        run = Path(folder) / "run"
        lines = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
        count = sum(parameter.numel() for parameter in load_field(run).parameters())
    first, last = lines[0], lines[-1]
    return Row(field, seed, count, first["psnr"]["mean"], last["psnr"]["mean"], last["ssim"]["mean"], seconds)


def failures(rows: list[Row]) -> list[str]:
    """What is not as it should be, of the fields that were measured."""
    found, wrong = {(row.field, row.seed): row.psnr for row in rows}, []
    for row in rows:
        if row.field == "nvp" and not row.psnr >= LEAST:
            wrong.append(f"seed {row.seed}: nvp has {row.psnr:.2f} dB, not {LEAST:g}")
        if row.field in ABOVE and ("nvp", row.seed) in found:
            gain = found["nvp", row.seed] - row.psnr
            if not gain >= ABOVE[row.field]:
                wrong.append(f"seed {row.seed}: nvp is {gain:.2f} dB above {row.field}, not {ABOVE[row.field]:g}")
    return wrong


def as_text(rows: list[Row], updates: int) -> str:
    """The table: a line for each field and seed."""
    head = f"{'field':10} {'seed':>4} {'parameters':>10} {f'dB at {updates // 3}':>10} {f'dB at {updates}':>10}"
    lines = [f"{head} {'SSIM':>7} {'CPU s':>7}"]
    for row in rows:
        scores = f"{row.psnr_at_third:10.2f} {row.psnr:10.2f} {row.ssim:7.4f} {row.cpu_seconds:7.1f}"
        lines.append(f"{row.field:10} {row.seed:4} {row.parameters:10} {scores}")
    return "\n".join(lines)


def benchmark(fields: tuple[str, ...] = tuple(FIELDS), seeds: tuple[int, ...] = (0, 1), updates: int = 300) -> int:
    """Fits, prints; the number of things that are not as they should be.

    Args:
        fields: Which: nvp, siren, ffn, hash_grid.
        seeds: Of parameters and pixels.
        updates: Length of each fit, at least 3.
    """
    unknown = [name for name in fields if name not in FIELDS]
    if unknown or updates < 3 or not fields or not seeds:
        raise InputError(f"fields {list(fields)}, updates {updates}: give some of {','.join(FIELDS)}, and at least 3")
    rows = [measure(field, seed, updates) for seed in seeds for field in fields]
    wrong = failures(rows)
    print(as_text(rows, updates), *wrong, sep="\n", file=sys.stderr)
    print(json.dumps({"updates": updates, "rows": [asdict(row) for row in rows], "failures": wrong}))
    return len(wrong)


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/video_fields.py"):
        parser = Parser(prog="benchmarks/video_fields.py", description=__doc__)
        parser.add_argument("--fields", type=str, default=",".join(FIELDS), help="some of nvp,siren,ffn,hash_grid")
        parser.add_argument("--seeds", type=str, default="0,1", help="of parameters and pixels, with commas between")
        parser.add_argument("--updates", type=int, default=300, help="length of each fit")
        given = parser.parse_args(args)
        if not all(seed.isdigit() for seed in given.seeds.split(",")):
            raise InputError(f"seeds {given.seeds!r}: give whole numbers with commas between")
        if benchmark(tuple(given.fields.split(",")), tuple(map(int, given.seeds.split(","))), given.updates):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
