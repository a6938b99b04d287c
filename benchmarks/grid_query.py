"""How much faster the grids of NVP are read all levels at once than level by level, forward and backward.

    OMP_NUM_THREADS=1 python benchmarks/grid_query.py

Both ways read the same points: the three planes and the volume, then gradients of all grids from the same gradient of
the features. Level by level, each corner's entries are looked up by plain indexing, as one would write the formula
down, and so are the volume's. Whole steps (grids, network, loss, AdamW) show what that is worth in training, and which
share the network has. Runs of the two ways alternate; process-CPU seconds on one thread, medians. A table goes to
stderr, the same as JSON to stdout. The exit code is 1 where a ratio of the grids is below the least.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
from torch import Tensor

from command_line import Parser
from errors import InputError, clear_errors
from fields.coords import NVP_DECODER_TIME
from fields.nvp import NVP, PLANES
from fields.sparse_grid import nearest_cell, neighbours

# Settings of NVP that are fitted on a CPU: of the benchmark of all fields, of a demonstration, and of a larger video.
FIELDS = {
    "16x32x32": {"size": (16, 32, 32), "levels": 6, "base": 4, "sparse_shape": (16, 10, 10), "width": 64},
    "32x64x64": {"size": (32, 64, 64), "levels": 8, "base": 8, "sparse_shape": (32, 20, 20)},
    "60x270x480": {"size": (60, 270, 480), "levels": 12, "base": 16, "sparse_shape": (60, 75, 75)},
}


def read_plainly(field: NVP, places: Tensor) -> Tensor:
    """The features of an NVP, its planes level by level and its volume by plain indexing: the readable reference.

    Args:
        field: Whose planes have the backend "loop".
        places: ``[N, 3]`` in [0, 1].
    """
    planes = [field.planes[name](places[:, list(axes)]) for name, axes in PLANES.items()]
    cells = field.sparse.cells()
    t, y, x = (
        neighbours(nearest_cell(place, count), reach, count)
        for place, reach, count in zip(places.T, field.sparse.neighbourhood, cells.shape[:3], strict=True)
    )
    volume = cells[t.T[:, :, None, None], y.T[:, None, :, None], x.T[:, None, None, :]]
    return torch.cat([*planes, volume.flatten(1)], dim=1)


def make_pair(name: str) -> tuple[NVP, NVP]:
    """Two equal fields: one that reads all levels at once, one level by level."""
    fast, plain = (NVP(**FIELDS[name]) for _ in range(2))
    plain.load_state_dict(fast.state_dict())
    for plane in plain.planes.values():
        plane.backend = "loop"
    return fast, plain


def grids_of(field: NVP) -> list[Tensor]:
    """The parameters of an NVP that are grids."""
    return [*(plane.table for plane in field.planes.values()), field.sparse.embeddings]


def cpu_medians(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Process-CPU seconds of each call, medians of runs in turn, after one run of each to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if repeat:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def measure(name: str, points: int, repeats: int) -> dict[str, float]:
    """Milliseconds of one setting, and ratios.

    Args:
        name: One of `FIELDS`.
        points: That are read at once.
        repeats: Runs of each way.
    """
    fast, plain = make_pair(name)
    places = torch.rand(points, 3)
    gradient = torch.randn(points, fast.feature_dim)
    target, moments = torch.rand(points, 3) * 2 - 1, NVP_DECODER_TIME.of(2 * places[:, :1] - 1, fast.size[:1])

    def grids(field: NVP, read: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(read(places), grids_of(field), gradient)

    def step(field: NVP, read: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        optimizer = torch.optim.AdamW(field.parameters(), lr=1e-2, weight_decay=1e-3)

        def run() -> None:
            optimizer.zero_grad()
            (field.decode(read(places), moments) - target).square().mean().backward()
            optimizer.step()

        return run

    def network() -> None:
        features = latent.requires_grad_()
        parameters = [*fast.modulator.parameters(), *fast.synthesiser.parameters(), features]
        torch.autograd.grad((fast.decode(features, moments) - target).square().mean(), parameters)

    latent = fast.encode(places).detach()
    ways = {"fast": (fast, fast.encode), "plain": (plain, lambda at: read_plainly(plain, at))}
    calls = {f"grids, {way}": grids(*parts) for way, parts in ways.items()}
    calls |= {f"step, {way}": step(*parts) for way, parts in ways.items()} | {"network": network}
    seconds = cpu_medians(calls, repeats)
    return {f"{key}, ms": 1e3 * value for key, value in seconds.items()} | {
        "grids, ratio": seconds["grids, plain"] / seconds["grids, fast"],
        "step, ratio": seconds["step, plain"] / seconds["step, fast"],
        "network, share of the fast step": seconds["network"] / seconds["step, fast"],
    }


def as_text(report: dict[str, dict[str, float]]) -> str:
    """The table: a line per figure, a column per setting."""
    keys = list(next(iter(report.values())))
    lines = [f"{'':34}" + "".join(f"{name:>14}" for name in report)]
    return "\n".join(
        lines + [f"{key:34}" + "".join(f"{found[key]:14.2f}" for found in report.values()) for key in keys]
    )


def benchmark(fields: str = ",".join(FIELDS), points: int = 4096, repeats: int = 21, least: float = 2.0) -> int:
    """Measures and prints; the number of settings whose ratio is below the least.

    Args:
        fields: Names of the settings, with commas between.
        points: That are read at once.
        repeats: Runs of each way.
        least: Ratio of the grids that there must be.
    """
    names = fields.split(",")
    if unknown := set(names) - set(FIELDS):
        raise InputError(f"fields {', '.join(sorted(unknown))}: give some of {', '.join(FIELDS)}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    report = {name: measure(name, points, repeats) for name in names}
    failures = [name for name, found in report.items() if not found["grids, ratio"] >= least]
    print(as_text(report), *(f"{name}: below {least:g}" for name in failures), sep="\n", file=sys.stderr)
    print(json.dumps({"points": points, "fields": report, "failures": failures}))
    return len(failures)


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/grid_query.py"):
        parser = Parser(prog="benchmarks/grid_query.py", description=__doc__)
        parser.add_function_arguments(benchmark)
        if benchmark(**parser.parse_args(args).as_dict()):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
