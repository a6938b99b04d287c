"""The table of a small video: FFNeRV with and without coordinate-aware modulation, and the bits of its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.cam.fits import fit
from benchmarks.cam.table import Row, Table

FIELDS = {"FFNeRV": "ffnerv_tiny", "FFNeRV + CAM": "ffnerv_tiny_cam"}
SMALL = {
    "data": "datasets.signal_datamodule.SyntheticSignal",
    "data.num_frames": 16,
    "data.size": [32, 32],
    "model.validate_every": 100,
}


def video(work: Path, seeds: Sequence[int]) -> Table:
    """16 frames of 32 x 32 at 6 bits; no gate, since the gain in PSNR is below the spread.

    Args:
        work: Folder of runs.
        seeds: Of parameters and the order of frames.
    """
    rows, curves = [], {}
    for name, config in FIELDS.items():
        ours, bits = {}, []
        for seed in seeds:
            changes = {"seed_everything": seed, "data.seed": seed, **SMALL}
            run = fit(work, f"{config}_{seed}", f"configs/fields/{config}.yaml", changes)
            ours[seed] = run.last["psnr"]["mean"]
            bits.append(8 * _file_bytes(run.folder))
            if seed == seeds[0]:
                updates, figures = run.curve("psnr")
                curves[name] = updates, [figure["mean"] for figure in figures]
        rows.append(Row(name, "", ours, run.last["parameters"], round(sum(bits) / len(bits))))
    notes = [
        "Bits are those of whole files as `python -m fields.codec encode` writes them, the mean of the seeds.",
        "Published are curves of UVG: 35.6 dB at 0.055 bits per pixel without and at 0.044 with CAM, read off a plot.",
    ]
    title = "Video: 16 frames of 32 x 32, 800 updates, 6 bits while trained"
    return Table(title, "PSNR in dB", "mean", rows, (), curves, False, notes)


def _file_bytes(run: Path) -> int:
    from fields.codec.coding import Settings, encode
    from fields.weights import read_field

    return len(encode(read_field(run), Settings()))
