"""Radiance fields with and without CAM on the scene of spheres, static and moving: PSNR of 8 new views.

    OMP_NUM_THREADS=1 python benchmarks/radiance_fields.py
    OMP_NUM_THREADS=1 python benchmarks/radiance_fields.py --scenes static --seeds 0 --out out/radiance_fields

The static scene is fitted by NeRF from 24 views of 40 x 40 pixels, the moving one by T-NeRF from 40, each of another
moment: 300 updates of 512 rays, as configs/fields/{nerf,dnerf}_spheres{,_cam}.yaml say, and by train.py. CAM reads the
direction of view (`official` spreads its knots over directions that point down, as all do here; `full` over all), or
time. PSNR is the mean over views, of all pixels and of those that meet a sphere; depth error is the mean distance from
the exact depth on these. Every fit takes a minute or two.

A table goes to stderr, the same as JSON to stdout; after every fit both are left in the folder --out (results.json,
table.txt, and curves.png with PSNR over updates). Fits that stand there already are not repeated, so that the program
may be stopped and started again. The exit code is 1 where, over the seeds,

- the static mean without CAM is below 18 dB, or CAM (official) is not ahead in two thirds of the seeds;
- a moving mean is below 16 dB, or a fit's time grids have not moved by more than 0.01.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import numpy as np
import yaml

from command_line import Parser
from datasets.files import atomic_path, read_json, write_json
from errors import InputError, clear_errors

if TYPE_CHECKING:
    from PIL import Image

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "fields"
# By scene and field: the config, and what of its model is different.
FIELDS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "static": {
        "plain": ("nerf_spheres", {}),
        "cam": ("nerf_spheres_cam", {"elevation": "official"}),
        "cam_full": ("nerf_spheres_cam", {"elevation": "full"}),
    },
    "moving": {"plain": ("dnerf_spheres", {}), "cam": ("dnerf_spheres_cam", {})},
}
LEAST = {"static": 18.0, "moving": 16.0}  # dB
AIM = 21.0  # dB, of the static scene with CAM; not a gate
GATED = {"static": ("plain",), "moving": ("plain", "cam")}
MOVED = 0.01


@dataclass(frozen=True)
class Row:
    """What one fit made of its scene.

    Attributes:
        scene: static or moving.
        field: Of `FIELDS`.
        seed: Of parameters and pixels.
        updates: Length of the fit.
        parameters: Of the field.
        psnr: Mean over test views, dB.
        psnr_pooled: Of the mean squared error over all test views, dB.
        psnr_hit: Mean over test views, of pixels that meet a sphere.
        ssim: Mean over test views.
        depth_error: Mean distance from the exact depth on those pixels.
        moved: Largest distance of a grid's value from where it began; None without grids.
        curve: Updates and PSNR while it was fitted.
        cpu_seconds: Of the whole run.
    """

    scene: str
    field: str
    seed: int
    updates: int
    parameters: int
    psnr: float
    psnr_pooled: float
    psnr_hit: float
    ssim: float
    depth_error: float
    moved: float | None
    curve: tuple[tuple[int, float], ...]
    cpu_seconds: float


def config(scene: str, field: str, seed: int, updates: int, size: int) -> dict[str, Any]:
    """The run as train.py takes it.

    Args:
        scene: static or moving.
        field: Of `FIELDS`.
        seed: Of parameters and pixels.
        updates: Length.
        size: Side of the views in pixels.
    """
    name, different = FIELDS[scene][field]
    tree = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    fit, data = tree["model"]["init_args"], tree["data"]["init_args"]
    fit["model"]["init_args"] |= different
    fit |= {"total_updates": updates, "validate_every": max(1, updates // 6)}
    data |= {"seed": seed, "size": [size, size]}
    run = {"progress": {"line_seconds": 1e9}, "checkpointing": {"every_updates": updates}}
    return tree | run | {"seed_everything": seed, "trainer": {"accelerator": "cpu", "logger": False}}


def measure(scene: str, field: str, seed: int, updates: int, size: int) -> Row:
    """Fits one field with one seed; arguments as for `config`."""
    from fields.weights import read_field
    from train import main

    with tempfile.TemporaryDirectory() as folder:
        path, run = Path(folder) / "run.yaml", Path(folder) / "run"
        path.write_text(yaml.safe_dump(config(scene, field, seed, updates, size)))
        sys.argv[1:] = []  # what was meant for this program is no business of the other
        start = time.process_time()
        main(["fit", "--config", str(path), "--runs_dir", folder, "--run_name", "run"])
        seconds = time.process_time() - start
        lines = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
        state = {name: tensor.clone() for name, tensor in read_field(run).state.items()}
        pooled = read_json(run / "reconstruction.json")["videos"][0]["figures"]["psnr"]["psnr_of_mean_mse"]
    last = {name: value["mean"] for name, value in lines[-1].items() if isinstance(value, dict)}
    begun = {"gamma": 1.0, "beta": 0.0}
    moves = [
        float((grid - begun[name.split(".")[-2]]).abs().max())
        for name, grid in state.items()
        if name.endswith((".gamma.values", ".beta.values"))
    ]
    return Row(
        scene=scene,
        field=field,
        seed=seed,
        updates=updates,
        parameters=sum(tensor.numel() for tensor in state.values()),
        psnr=last["psnr"],
        psnr_pooled=pooled,
        psnr_hit=last["psnr_hit"],
        ssim=last["ssim"],
        depth_error=last["depth_error"],
        moved=max(moves, default=None),
        curve=tuple((line["updates"], line["psnr"]["mean"]) for line in lines),
        cpu_seconds=seconds,
    )


def of(rows: Sequence[Row], scene: str, field: str) -> dict[int, Row]:
    """The fits of a field, by seed."""
    return {row.seed: row for row in rows if (row.scene, row.field) == (scene, field)}


def failures(rows: Sequence[Row]) -> list[str]:
    """What is not as it should be, of the fits that were made."""
    wrong = []
    for scene, least in LEAST.items():
        for field in GATED[scene]:
            found = [row.psnr for row in of(rows, scene, field).values()]
            if found and not statistics.fmean(found) >= least:
                wrong.append(f"{scene}: the mean of {field} is {statistics.fmean(found):.2f} dB, not {least:g}")
    plain, cam = of(rows, "static", "plain"), of(rows, "static", "cam")
    pairs = [(cam[seed].psnr, plain[seed].psnr) for seed in plain.keys() & cam.keys()]
    ahead = sum(ours > theirs for ours, theirs in pairs)
    if 3 * ahead < 2 * len(pairs):
        wrong.append(f"static: CAM is ahead of plain for {ahead} of {len(pairs)} seeds, not two thirds of them")
    for seed, row in of(rows, "moving", "cam").items():
        if row.moved is None or not row.moved > MOVED:
            wrong.append(f"moving: the grids of seed {seed} moved by {row.moved}, not by more than {MOVED:g}")
    return wrong


def _spread(values: Sequence[float]) -> str:
    std = f" +- {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{std}"


def differences(rows: Sequence[Row]) -> dict[str, dict[str, float | None]]:
    """How far each modulated field is ahead of plain, in dB over the seeds that both have."""
    found = {}
    for scene, fields in FIELDS.items():
        plain = of(rows, scene, "plain")
        for field in [name for name in fields if name != "plain"]:
            gains = [row.psnr - plain[seed].psnr for seed, row in of(rows, scene, field).items() if seed in plain]
            if gains:
                std = statistics.stdev(gains) if len(gains) > 1 else None
                found[f"{scene} {field}"] = {"mean": statistics.fmean(gains), "std": std, "seeds": len(gains)}
    return found


def as_text(rows: Sequence[Row]) -> str:
    """The table: a line for each fit, one for the mean of each field, and what CAM gains."""
    head = f"{'scene':7} {'field':9} {'seed':>4} {'updates':>7} {'parameters':>10} {'PSNR':>14} {'pooled':>7}"
    lines = [f"{head} {'hit PSNR':>14} {'SSIM':>7} {'depth error':>11} {'moved':>7} {'CPU s':>7}"]
    for row in rows:
        moved = "-" if row.moved is None else f"{row.moved:.3f}"
        begin = f"{row.scene:7} {row.field:9} {row.seed:4} {row.updates:7} {row.parameters:10} {row.psnr:14.2f}"
        end = f"{row.psnr_pooled:7.2f} {row.psnr_hit:14.2f} {row.ssim:7.4f} {row.depth_error:11.3f} {moved:>7}"
        lines.append(f"{begin} {end} {row.cpu_seconds:7.1f}")
    for scene, fields in FIELDS.items():
        for field in fields:
            if found := list(of(rows, scene, field).values()):
                means = _spread([row.psnr for row in found]), _spread([row.psnr_hit for row in found])
                depth = statistics.fmean(row.depth_error for row in found)
                begin = f"{scene:7} {field:9} mean of {len(found)} seeds {'':6} {means[0]:>14}"
                lines.append(f"{begin} {'':7} {means[1]:>14} {'':7} {depth:11.3f}")
    for name, gain in differences(rows).items():
        spread = "" if gain["std"] is None else f" +- {gain['std']:.2f}"
        lines.append(f"{name} is {gain['mean']:+.2f}{spread} dB from plain, over {gain['seeds']} seeds")
    return "\n".join(lines)


def keep(folder: Path, kept: Sequence[Row], updates: int, size: int) -> None:
    """Leaves what is known so far in a folder.

    Args:
        folder: Gets results.json, table.txt and curves.png.
        kept: All fits so far.
        updates: Length of those that table and picture show.
        size: Side of the views.
    """
    write_json(folder / "results.json", {"size": size, "rows": [asdict(row) for row in kept]})
    rows = [row for row in kept if row.updates == updates]
    with atomic_path(folder / "table.txt") as temporary:
        temporary.write_text("\n".join([as_text(rows), *failures(rows)]) + "\n", encoding="utf-8")
    with atomic_path(folder / "curves.png") as temporary:
        picture_of(rows).save(temporary, "PNG")


def picture_of(rows: Sequence[Row]) -> Image.Image:
    """Learning curves, means over seeds: a panel for each scene, a line for each field.

    Args:
        rows: Fits of one length, at least one.
    """
    from PIL import Image

    from fields.fitting.plots import plot

    panels = []
    for scene, fields in FIELDS.items():
        found = {field: list(of(rows, scene, field).values()) for field in fields}
        curves = {field: _mean_curve(some) for field, some in found.items() if some}
        if curves:
            panels.append(plot(f"{scene} spheres: PSNR in dB of new views, over updates", curves))
    return Image.fromarray(np.concatenate(panels))


def _mean_curve(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """The mean over seeds of PSNR over updates."""
    updates = [update for update, _ in rows[0].curve]
    return updates, [
        statistics.fmean(values) for values in zip(*([y for _, y in row.curve] for row in rows), strict=True)
    ]


def known(folder: Path, size: int) -> list[Row]:
    """Fits that stand in a folder already.

    Raises:
        InputError: What stands there is something else.
    """
    path = folder / "results.json"
    if not path.is_file():
        return []
    report = read_json(path)
    try:
        if report["size"] != size:
            raise InputError(f"out: {folder}: holds fits to views of another size: give another folder")
        return [Row(**row | {"curve": tuple(map(tuple, row["curve"]))}) for row in report["rows"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is no result of this program: remove it, or give another --out") from error


def collect(asked: Sequence[tuple[str, str, int, int]], size: int, folder: Path) -> list[Row]:
    """Fits; those that stand in the folder already are read, the others are added to it one by one.

    Args:
        asked: Scene, field, seed and updates of each.
        size: Side of the views in pixels.
        folder: Of what is found.
    """
    kept = {(row.scene, row.field, row.seed, row.updates): row for row in known(folder, size)}
    for key in asked:
        if key not in kept:
            kept[key] = measure(*key, size)
        keep(folder, list(kept.values()), key[-1], size)
        print(as_text([kept[one] for one in asked if one in kept]), file=sys.stderr, flush=True)
    return [kept[key] for key in asked]


def benchmark(
    scenes: Sequence[str] = tuple(FIELDS),
    seeds: Sequence[int] = (0, 1, 2),
    fields: Sequence[str] = ("plain", "cam", "cam_full"),
    updates: int = 300,
    size: int = 40,
    out: str = "out/radiance_fields",
) -> int:
    """Fits, prints; the number of things that are not as they should be.

    Args:
        scenes: static, moving.
        seeds: Of parameters and pixels.
        fields: Some of plain, cam, cam_full (of the static scene alone).
        updates: Length of each fit, at least 6.
        size: Side of the views in pixels.
        out: Folder for what is found, and where fits made before are looked for.
    """
    names = {name for of_scene in FIELDS.values() for name in of_scene}
    if set(scenes) - FIELDS.keys() or set(fields) - names or updates < 6 or size < 1 or not (scenes and seeds):
        raise InputError(
            f"scenes: some of {','.join(FIELDS)}; fields: some of {','.join(sorted(names))}; updates: 6 or more"
        )
    asked = [(scene, name, seed, updates) for seed in seeds for scene in scenes for name in fields]
    rows = collect([key for key in asked if key[1] in FIELDS[key[0]]], size, Path(out).expanduser())
    wrong = failures(rows)
    for line in wrong:
        print(line, file=sys.stderr)
    said = {"updates": updates, "rows": [asdict(row) for row in rows], "gains": differences(rows), "failures": wrong}
    print(json.dumps(said))
    return len(wrong)


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/radiance_fields.py"):
        parser = Parser(prog="benchmarks/radiance_fields.py", description=__doc__)
        parser.add_argument("--scenes", type=str, default="static,moving", help="static, moving, or both")
        parser.add_argument("--seeds", type=str, default="0,1,2", help="of parameters and pixels, with commas between")
        parser.add_argument("--fields", type=str, default="plain,cam,cam_full", help="some of plain,cam,cam_full")
        parser.add_argument("--updates", type=int, default=300, help="length of each fit")
        parser.add_argument("--size", type=int, default=40, help="side of the views in pixels")
        parser.add_argument("--out", type=str, default="out/radiance_fields", help="folder for what is found")
        given = parser.parse_args(args)
        if not all(seed.isdigit() for seed in given.seeds.split(",")):
            raise InputError(f"seeds {given.seeds!r}: give whole numbers with commas between")
        lists = [given.scenes.split(","), [int(seed) for seed in given.seeds.split(",")], given.fields.split(",")]
        if benchmark(*lists, given.updates, given.size, given.out):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
