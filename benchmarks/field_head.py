"""What a head that draws at any size is worth: its 64 px beside bicubic enlargement of its own 32 px, on sprites.

    OMP_NUM_THREADS=1 python benchmarks/field_head.py
    OMP_NUM_THREADS=1 python benchmarks/field_head.py --decoder PointField --work runs/field_head_point
    OMP_NUM_THREADS=1 python benchmarks/field_head.py --base_kimg 0.1 --kimg 0.1 --clips 16 --draws 2 --work out/quick

For each run seed, configs/stylegan_v/demo.yaml is trained without a head, and configs/stylegan_v_field/sprites_32.yaml
goes on from there with one; a folder of a run that is trained so far already is taken as it is. Then, for each of
several draws of latents, clips of 16 frames are compared with true ones of videos that training has not seen, rendered
at 64 px:

- distances on fixed random features of frames and of clips (kernel, Frechet; neither FID nor FVD);
- the difference of the radial log spectra, of all frequencies and of those that 32 px cannot have.

Other true clips are the floor; enlarged from 32 px, they say what enlargement alone costs. Beside that, how well the
head can be shifted by 0.1 to 0.9 pixels: PSNR between frames on a moved grid and the frames moved by a windowed sinc,
for the head and for the cubic kernel.

What is done is kept in the work folder: the same command goes on where it was stopped. The table goes to stderr, JSON
to stdout and into the folder, with a picture for each run seed. Head and enlargement share latents, so the differences
between them spread less over draws than either: they stand in a column of their own, below 0 where the head is better.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

from command_line import Parser
from errors import InputError, clear_errors

if TYPE_CHECKING:
    from datasets.datamodule import SyntheticVideos

DecoderName = Literal["ConvField", "PointField", "NVPField"]
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
BASE, CONFIG = CONFIGS / "stylegan_v" / "demo.yaml", CONFIGS / "stylegan_v_field" / "sprites_32.yaml"
METHODS = ("head", "bicubic", "true", "true, bicubic")
NUM_FRAMES = 16
SHIFTS = tuple(i / 10 for i in range(1, 10))
_SHOWN = 6  # clips of a picture
_SHIFTED = 16  # clips whose first frames are shifted


def train(config: Path, folder: Path, seed: int, kimg: float | None, *always: str, start: str) -> None:
    """Trains a run to its end; one that was stopped goes on.

    Args:
        config: What is trained.
        folder: Of the run.
        seed: Of networks and data.
        kimg: Length, thousands of frames; None: the config's.
        always: More flags.
        start: A flag of a run that begins.
    """
    import yaml

    from stylegan_v.checkpoints import read_checkpoint
    from train import main

    last = folder / "last.ckpt"
    kimg = yaml.safe_load(config.read_text())["model"]["init_args"]["total_kimg"] if kimg is None else kimg
    if last.exists() and read_checkpoint(last, mmap=True)["counters"]["num_frames"] >= round(1000 * kimg):
        return
    sys.argv[1:] = []  # what was meant for this program is no business of the other
    flags = [f"--seed_everything={seed}", f"--data.init_args.seed={seed}", f"--model.init_args.total_kimg={kimg}"]
    flags += [*always, *(["--ckpt_path", "last"] if last.exists() else [start])]
    main(["fit", "--config", str(config), "--runs_dir", str(folder.parent), "--run_name", folder.name, *flags])


def train_both(work: Path, seed: int, base_kimg: float, kimg: float | None, decoder: DecoderName) -> None:
    """A generator without a head, then one that goes on from it with a head.

    Args:
        work: Folder of all that is kept.
        seed: Of networks and data.
        base_kimg: Length of the first, thousands of frames.
        kimg: Of the second; None: its config's.
        decoder: Class of the head.
    """
    base, folder = work / f"base{seed}", work / f"seed{seed}"
    check_head(folder, decoder)
    train(BASE, base, seed, base_kimg, start="--trainer.max_time=null")
    head = f"--model.init_args.generator.init_args.decoder=stylegan_v.networks.decoders.{decoder}"
    train(CONFIG, folder, seed, kimg, head, start=f"--model.init_args.init_from={base}")


def check_head(folder: Path, decoder: DecoderName) -> None:
    """Makes sure that a run that is there already has the head that is asked for.

    Args:
        folder: Of the run.
        decoder: Class of the head.

    Raises:
        InputError: It has another.
    """
    from plain_config import parse_config

    path = folder / "config.yaml"
    if not path.exists():
        return
    made = parse_config(path.read_text(), path)["model"]["init_args"]["generator"]["init_args"]["decoder"]["class_path"]
    if not made.endswith(f".{decoder}"):
        raise InputError(f"{folder}: has the head {made}: give it as --decoder, or another --work")


def data_of() -> SyntheticVideos:
    """The data of training."""
    import yaml

    from stylegan_v.metrics.reals import build_data

    return build_data(yaml.safe_load(CONFIG.read_text()))


def measure(work: Path, seed: int, draw: int, num_clips: int) -> dict[str, Any]:
    """The figures of one draw of one run; kept, so that they are computed once.

    Args:
        work: Folder of all that is kept.
        seed: Of the run.
        draw: Number of the draw.
        num_clips: Of each method.
    """
    from benchmarks.head.clips import generated, true_clips, true_enlarged
    from benchmarks.head.measures import Summary, scores
    from datasets.files import write_json
    from stylegan_v.pretrained import load_generator

    kept = work / f"seed{seed}_draw{draw}_{num_clips}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    data, generator, found = data_of(), load_generator(work / f"seed{seed}"), {name: Summary() for name in METHODS}
    for head, bicubic in generated(generator, data.num_frames, num_clips, NUM_FRAMES, draw):
        found["head"].take(head)
        found["bicubic"].take(bicubic)
    truth = Summary.of(true_clips(data, num_clips, NUM_FRAMES, 2 * draw))
    found["true"] = Summary.of(true_clips(data, num_clips, NUM_FRAMES, 2 * draw + 1))
    found["true, bicubic"] = Summary.of(true_enlarged(data, num_clips, NUM_FRAMES, 2 * draw + 1))
    result = {"seed": seed, "draw": draw, "clips": num_clips}
    result |= {name: scores(summary, truth) for name, summary in found.items()}
    write_json(kept, result)
    return result


def shifts(work: Path, seed: int) -> dict[str, dict[str, float]]:
    """How well frames can be shifted, by the head and by the cubic kernel."""
    import torch

    from benchmarks.head.clips import enlarged, large_view
    from benchmarks.head.measures import shift_consistency
    from stylegan_v.callbacks.scale_slices import canvas_of
    from stylegan_v.pretrained import load_generator
    from stylegan_v.rendering import draw_latents

    generator = load_generator(work / f"seed{seed}")
    with torch.no_grad():
        latents = draw_latents(generator, 0, range(_SHIFTED))
        canvas = canvas_of(generator, latents, torch.zeros(1, dtype=torch.float64))
        return {
            "head": shift_consistency(lambda shift: canvas.look(large_view(generator, shift)), SHIFTS),
            "bicubic": shift_consistency(lambda shift: enlarged(canvas, large_view(generator, shift)), SHIFTS),
        }


def picture(work: Path, seed: int) -> Path:
    """First frames and slices over time of the head, the enlargement and true clips; then the head's over scales."""
    import torch

    from benchmarks.head.clips import generated, true_clips
    from benchmarks.head.pictures import first_frames, over_time, save_rows, side_by_side
    from stylegan_v.callbacks.scale_slices import canvas_of, over_scales, some_scales
    from stylegan_v.pretrained import load_generator
    from stylegan_v.rendering import draw_latents

    generator, data = load_generator(work / f"seed{seed}"), data_of()
    head, bicubic = next(generated(generator, data.num_frames, _SHOWN, 2 * NUM_FRAMES, 0))
    true = next(true_clips(data, _SHOWN, 2 * NUM_FRAMES, 0))
    latents = draw_latents(generator, 0, range(_SHOWN))
    canvas = canvas_of(generator, latents, torch.zeros(1, dtype=torch.float64))
    scales = side_by_side(over_scales(canvas, some_scales(2.0)).transpose(1, 2))
    path = work / f"seed{seed}.png"
    rows = [row(clips) for clips in (head, bicubic, true) for row in (first_frames, over_time)]
    save_rows(path, [*rows, scales])
    return path


def as_text(results: list[dict[str, Any]], consistency: dict[str, dict[str, dict[str, float]]]) -> str:
    """The table: each figure of each method, mean and standard deviation over draws and run seeds."""
    lines = [f"{'figure':28}" + "".join(f"{name:>24}" for name in (*METHODS, "head - bicubic"))]
    for figure in results[0]["head"]:
        cells = [_spread([result[name][figure] for result in results]) for name in METHODS]
        cells.append(_spread([result["head"][figure] - result["bicubic"][figure] for result in results]))
        lines.append(f"{figure:28}" + "".join(f"{cell:>24}" for cell in cells))
    for seed, found in consistency.items():
        for name, values in found.items():
            told = "  ".join(f"{shift}: {value:.1f}" for shift, value in values.items())
            lines.append(f"shift, seed {seed}, {name:8} dB  {told}")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    beside = f" +- {stdev(values):.3g}" if len(values) > 1 else ""
    return f"{mean(values):.4g}{beside}"


def benchmark(
    work: Path,
    run_seeds: tuple[int, ...],
    draws: int,
    num_clips: int,
    base_kimg: float,
    kimg: float | None,
    decoder: DecoderName = "ConvField",
) -> None:
    """Trains, measures and prints.

    Args:
        work: Folder of all that is kept.
        run_seeds: Of the runs that are trained.
        draws: Of latents, for each run.
        num_clips: Of each draw.
        base_kimg: Length of each run without a head, thousands of frames.
        kimg: Length with it; None: the config's.
        decoder: Class of the head.

    Raises:
        InputError: Too few of something.
    """
    from datasets.files import write_json

    if not run_seeds or draws < 1 or num_clips < 2 or base_kimg <= 0 or (kimg is not None and kimg <= 0):
        raise InputError(
            "run_seeds, draws, clips, kimg: give at least one seed, one draw and two clips; lengths above 0"
        )
    work = work.expanduser()
    work.mkdir(parents=True, exist_ok=True)
    start, results, consistency = time.process_time(), [], {}
    for seed in run_seeds:
        train_both(work, seed, base_kimg, kimg, decoder)
        results += [measure(work, seed, draw, num_clips) for draw in range(draws)]
        consistency[str(seed)] = shifts(work, seed)
        print(f"picture: {picture(work, seed)}", file=sys.stderr)
    whole = {"results": results, "shift_psnr_db": consistency, "cpu_seconds": time.process_time() - start}
    write_json(work / "field_head.json", whole)
    print(as_text(results, consistency), file=sys.stderr)
    print(json.dumps(whole))


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/field_head.py"):
        parser = Parser(prog="benchmarks/field_head.py", description=__doc__)
        parser.add_argument("--work", type=Path, default=Path("runs/field_head"), help="folder of all that is kept")
        parser.add_argument("--run_seeds", type=str, default="0", help="of the runs, with commas between")
        parser.add_argument("--draws", type=int, default=3, help="of latents, for each run")
        parser.add_argument("--clips", type=int, default=512, help="of each draw")
        parser.add_argument("--base_kimg", type=float, default=145, help="length without a head, thousands of frames")
        parser.add_argument("--kimg", type=float | None, default=None, help="length with a head; None: the config's")
        parser.add_argument("--decoder", type=DecoderName, default="ConvField", help="class of the head")
        given = parser.parse_args(args)
        if not all(part.isdigit() for part in given.run_seeds.split(",")):
            raise InputError(f"run_seeds {given.run_seeds!r}: give whole numbers with commas between")
        run_seeds = tuple(map(int, given.run_seeds.split(",")))
        benchmark(given.work, run_seeds, given.draws, given.clips, given.base_kimg, given.kimg, given.decoder)


if __name__ == "__main__":
    main()
