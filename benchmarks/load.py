"""Seconds and memory until a trained generator is there, from every kind of file, side by side.

    python benchmarks/load.py --resolution 256 --repeats 5

Networks of the published widths are written into a temporary folder as a run's checkpoint (optimisers included), as
model.safetensors (both generators and the discriminator) and as generator.safetensors. Then each is loaded in fresh
processes, one after the other in turns, and so is the checkpoint in the way of before, by copying into a generator
built the usual way. The table goes to stderr, the figures as JSON to stdout.

The files lie in the system's cache. "all read" is the time until every weight has been looked at once: what is loaded
without a copy is read from the disk as it is used. Memory is how much the process grew at most until then, above what
it held after loading a tiny file of the same kind; on Linux only.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
import yaml

from benchmarks.memory import MIB, memory
from stylegan_v.checkpoints import LAST, build, find_checkpoint, read_checkpoint, read_config, write_checkpoint
from stylegan_v.networks import Generator
from stylegan_v.pretrained import load_generator
from stylegan_v.weights import CONFIG, GENERATOR, MODEL, write_weights

TINY = "tiny"


def load_as_before(path: Path) -> Generator:
    """The averaged generator of a checkpoint, copied into one that was built and drawn at random first."""
    path = find_checkpoint(path)
    checkpoint = read_checkpoint(path, mmap=True)
    generator = build(read_config(checkpoint, path)["model"]["init_args"]["generator"])
    prefix = "generator_ema."
    state = {name.removeprefix(prefix): t for name, t in checkpoint["state_dict"].items() if name.startswith(prefix)}
    generator.load_state_dict(state)
    return generator.eval().requires_grad_(False)


WAYS: dict[str, tuple[str, Callable[[Path], Generator]]] = {
    "run checkpoint, as before": (LAST, load_as_before),
    "run checkpoint": (LAST, load_generator),
    "model.safetensors": (MODEL, load_generator),
    "generator.safetensors": (GENERATOR, load_generator),
}


@dataclass
class Loading:
    """One way to load, medians over repeats.

    Attributes:
        file_mib: Size of the file, MiB.
        seconds: Until the generator is there.
        seconds_all_read: Until each of its weights has been read once.
        memory_mib: Largest growth of the process until then, MiB; None where the system does not tell.
        memory_per_file: The same over the size of the file.
    """

    file_mib: float
    seconds: float
    seconds_all_read: float
    memory_mib: float | None
    memory_per_file: float | None


@dataclass
class Report:
    """What was measured, and on what.

    Attributes:
        settings: Of the run.
        parameters: Of each network.
        ways: By the name of the way.
    """

    settings: dict[str, object]
    parameters: dict[str, int]
    ways: dict[str, Loading]


def write_files(folder: Path, resolution: int, channel_base: int) -> dict[str, int]:
    """The three files, with the config beside them; gives back how many parameters each network has."""
    nodes = network_nodes(resolution, channel_base)
    torch.manual_seed(0)
    generator, discriminator = build(nodes["generator"]), build(nodes["discriminator"])
    networks = {"generator": generator, "generator_ema": generator, "discriminator": discriminator}
    states = {name: network.state_dict() for name, network in networks.items()}
    config = {"model": {"class_path": "stylegan_v.gan.VideoGAN", "init_args": nodes}}
    text = yaml.safe_dump(config)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(text)
    write_weights(folder / GENERATOR, {"generator_ema": states["generator_ema"]}, {"fps": 25.0})
    write_weights(folder / MODEL, states, {"fps": 25.0})
    moments = [
        {
            "state": {
                i: {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)} for i, p in enumerate(params)
            }
        }
        for params in (generator.parameters(), discriminator.parameters())
    ]
    # Tensors of their own: those of both generators would be stored once.
    flat = {f"{name}.{key}": tensor.clone() for name, state in states.items() for key, tensor in state.items()}
    write_checkpoint({"state_dict": flat, "optimizer_states": moments, "config": text}, folder / LAST)
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}


def network_nodes(resolution: int, channel_base: int) -> dict[str, Any]:
    """Config nodes of the original's networks."""
    sizes = {"resolution": resolution, "channel_base": channel_base}
    conditioning = {"class_path": "stylegan_v.networks.ProjectionConditioning", "init_args": {"num_frames": 3}}
    return {
        "generator": {"class_path": "stylegan_v.networks.Generator", "init_args": sizes},
        "discriminator": {
            "class_path": "stylegan_v.networks.Discriminator",
            "init_args": {**sizes, "conditioning": conditioning},
        },
    }


def load(resolution: int = 256, repeats: int = 5, channel_base: int | None = None, folder: str | None = None) -> Report:
    """Loads the same generator in every way.

    Args:
        resolution: Side of the frames, pixels.
        repeats: Processes per way; the median counts.
        channel_base: Narrower or wider networks than the published ones.
        folder: Where the files are written, and removed again; None: the system's temporary folder.
    """
    channel_base = channel_base or (32768 if resolution >= 512 else 16384)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        parameters = write_files(Path(name), resolution, channel_base)
        write_files(Path(name) / TINY, 32, 64)
        turns = [{way: in_fresh_process(way, Path(name)) for way in WAYS} for _ in range(repeats)]
        ways = {
            way: summary((Path(name) / file).stat().st_size / MIB, [turn[way] for turn in turns])
            for way, (file, _) in WAYS.items()
        }
    settings = {"resolution": resolution, "channel_base": channel_base, "repeats": repeats, "torch": torch.__version__}
    return Report(settings, parameters, ways)


def in_fresh_process(way: str, folder: Path) -> list[float | None]:
    """What `measure` says in a process of its own."""
    command = [sys.executable, __file__, "--measure", way, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def measure(way: str, folder: Path) -> list[float | None]:
    """Seconds until the generator is there, seconds until it is all read, and by how much the process grew, MiB."""
    file, load_file = WAYS[way]
    _read_all(load_file(folder / TINY / file))  # imports, and what torch sets up with the first use
    before = memory("VmRSS")
    start = time.perf_counter()
    generator = load_file(folder / file)
    loaded = time.perf_counter()
    _read_all(generator)
    read = time.perf_counter()
    peak = memory("VmHWM")
    return [loaded - start, read - start, None if before is None or peak is None else peak - before]


def _read_all(generator: Generator) -> None:
    for tensor in generator.state_dict().values():
        tensor.sum()


def summary(file_mib: float, measured: Sequence[Sequence[float | None]]) -> Loading:
    """Medians of what was measured."""
    seconds, all_read, grown = zip(*measured, strict=True)
    memory_mib = None if None in grown else statistics.median(grown)
    per_file = None if memory_mib is None else memory_mib / file_mib
    return Loading(file_mib, statistics.median(seconds), statistics.median(all_read), memory_mib, per_file)


def table(report: Report) -> str:
    """One line per way."""
    lines = [f"{'':28}{'file MiB':>10}{'seconds':>10}{'all read':>10}{'memory MiB':>12}{'of file':>9}"]
    for name, way in report.ways.items():
        grown = ("-", "-") if way.memory_mib is None else (f"{way.memory_mib:.0f}", f"{way.memory_per_file:.2f}")
        figures = f"{way.file_mib:10.0f}{way.seconds:10.3f}{way.seconds_all_read:10.3f}{grown[0]:>12}{grown[1]:>9}"
        lines.append(f"{name:28}{figures}")
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """The command: `load` with its arguments as flags."""
    args = sys.argv[1:] if args is None else args
    if args[:1] == ["--measure"]:
        print(json.dumps(measure(args[1], Path(args[2]))))
        return
    from jsonargparse import auto_cli

    report = auto_cli(load, args=list(args), as_positional=False)
    counts = ", ".join(f"{name} {count:,}".replace(",", " ") for name, count in report.parameters.items())
    print(f"{report.settings['resolution']} px; parameters: {counts}\n{table(report)}", file=sys.stderr)
    print(json.dumps(asdict(report), indent=1))


if __name__ == "__main__":
    main()
