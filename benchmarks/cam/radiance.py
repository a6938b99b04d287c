"""Tables of radiance fields on the scene of spheres, static and moving: the fits of `benchmarks.radiance_fields`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from benchmarks import radiance_fields as fits
from benchmarks.cam.table import Row, Table

UPDATES, SIZE = 300, 40
# By scene and field: how it is called, and the published mean PSNR of its kind, of other scenes.
SHOWN = {
    "static": {"plain": ("NeRF", "33.09*"), "cam": ("NeRF + CAM", "33.42*"), "cam_full": ("NeRF + CAM, full", "")},
    "moving": {"plain": ("T-NeRF", "32.22*"), "cam": ("T-NeRF + CAM", "33.78*")},
}
OTHER = {
    "static": "Marked *: Mip-NeRF on NeRF Synthetic (35.83 and 36.56 on NSVF, 26.86 and 27.17 on LLFF), a million "
    "updates. `full` spreads the knots over all elevations, the other over those of directions that point down.",
    "moving": "Marked *: NerfAcc's T-NeRF on the scenes of D-NeRF, 30 000 updates.",
}


def static(work: Path, seeds: Sequence[int]) -> Table:
    """Shaded spheres from 24 views.

    Args:
        work: Folder of runs.
        seeds: Of parameters and pixels.
    """
    return _table("static", work, seeds)


def moving(work: Path, seeds: Sequence[int]) -> Table:
    """One sphere that circles another, from 40 views, each of another moment; arguments as for `static`."""
    return _table("moving", work, seeds)


def _table(scene: str, work: Path, seeds: Sequence[int]) -> Table:
    asked = [(scene, field, seed, UPDATES) for seed in seeds for field in SHOWN[scene]]
    found = fits.collect(asked, SIZE, work / "radiance_fields")
    rows, curves, notes = [], {}, [OTHER[scene]]
    for field, (name, paper) in SHOWN[scene].items():
        ours = fits.of(found, scene, field)
        count = ours[seeds[0]].parameters
        rows.append(Row(name, paper, {seed: one.psnr for seed, one in ours.items()}, count, 32 * count))
        updates, figures = zip(*ours[seeds[0]].curve, strict=True)
        curves[name] = (list(updates), list(figures))
        hit, depth = fmean(one.psnr_hit for one in ours.values()), fmean(one.depth_error for one in ours.values())
        notes.append(f"{name}: {hit:.2f} dB of pixels that meet a sphere, whose depth errs by {depth:.3f} on average.")
    for name, gain in fits.differences(found).items():
        spread = "" if gain["std"] is None else f" +- {gain['std']:.2f}"
        notes.append(f"{SHOWN[scene][name.split()[1]][0]} is {gain['mean']:+.2f}{spread} dB from plain.")
    title = f"Radiance, {scene} spheres: 8 new views of {SIZE} x {SIZE}, {UPDATES} updates of 512 rays"
    return Table(title, "PSNR in dB", "mean", rows, fits.failures(found), curves, False, notes)
