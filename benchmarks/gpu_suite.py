"""All benchmarks of a GPU, one after the other, as one JSON: training step, roofline, sampling, runs, loader and more.

    bash benchmarks/run_gpu.sh --out out/gpu.json

Each part is a program of its own with a share of the time; what fails, or takes too long, is noted with the end of what
it said, and the next part begins. The file is written anew after each part, so that it holds what was measured even if
the machine goes away. The last line says where it lies; the exit code is 0 even where parts have failed.
`--tiny true` runs the same machinery at toy sizes, on a CPU where there is no GPU.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch

from command_line import Parser
from datasets.files import atomic_path
from errors import InputError, clear_errors

ROOT = Path(__file__).resolve().parents[1]
_TAIL = 2000  # characters kept of what a part that failed has said
_LEAST = 5.0  # seconds under which a part is not begun


@dataclass(frozen=True)
class Part:
    """A program that says what it measured as JSON on stdout.

    Attributes:
        name: In the report.
        command: Words after the interpreter.
        seconds: It may take at most.
        json: Whether stdout is JSON; else its last lines are kept.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    json: bool = True


def parts(tiny: bool) -> list[Part]:
    """The parts, those that matter most first."""
    found = [_step(*sizes) for sizes in ([(32, 2)] if tiny else [(256, 16), (256, 32), (64, 64), (128, 32), (512, 8)])]
    found.append(_roofline(32 if tiny else 256, 2 if tiny else 16))
    found.append(_sampling(32 if tiny else 256))
    found.append(_fit("real_tiny", 64, 2) if tiny else _fit("ffs", 256, 32))
    size = ("--resolution", "32" if tiny else "256")
    found.append(Part("loader", ("benchmarks/loader.py", *size, "--seconds", "0.2" if tiny else "3"), 180))
    table = ("[32]", "[4]", "[1]") if tiny else ("[64,128,256,512]", "[16]", "[1,4]")
    flags = [word for pair in zip(("--resolutions", "--batches", "--parts"), table, strict=True) for word in pair]
    narrow = ("--channel_base", "256") if tiny else ()
    found.append(_ideas(tiny))
    found.append(_r1(tiny))
    found.append(Part("memory_table", ("benchmarks/memory_table.py", *flags, *_PRECISION, *narrow), 150))
    which = ("tests/benchmarks/test_measuring.py",) if tiny else ("-m", "gpu")
    found.append(Part("gpu_tests", ("-m", "pytest", "-q", "-p", "no:cacheprovider", *which), 120, json=False))
    found += [] if tiny else [_fit("mead", 1024, 16, "--classes", "77")]
    # Last, since compiling takes minutes.
    found += [_compiled(tiny, mode) for mode in (["default"] if tiny else ["default", "reduce-overhead"])]
    found.append(_compiled_sampling(tiny))
    return found


_PRECISION = ("--precision", "bf16-mixed")


def _step(resolution: int, batch: int) -> Part:
    sizes = ("--resolution", str(resolution), "--batch", str(batch), "--repeats", "1" if resolution == 32 else "5")
    narrow = ("--channel_base", "256") if resolution == 32 else ()
    flags = (*sizes, "--conditioning", "hypernetwork", *_PRECISION, *narrow)
    return Part(f"train_step_{resolution}_{batch}", ("benchmarks/train_step.py", *flags), 75)


def _roofline(resolution: int, batch: int) -> Part:
    sizes = ("--resolution", str(resolution), "--batch", str(batch))
    narrow = ("--channel_base", "256", "--which", "phases", "--repeats", "1") if resolution == 32 else ()
    return Part("roofline", ("benchmarks/roofline.py", *sizes, *_PRECISION, *narrow), 90)


def _fit(config: str, resolution: int, batch: int, *others: str) -> Part:
    """A run as users start it, loader included; at 1024 px it shows above all that it fits."""
    videos = "2" if resolution != 256 else "16"
    sizes = ("--resolution", str(resolution), "--batch", str(batch), "--videos", videos)
    command = ("benchmarks/fit.py", "--config", f"configs/stylegan_v/{config}.yaml", *sizes, *others)
    return Part(f"fit_{resolution}_{batch}", command, 150)


def _ideas(tiny: bool) -> Part:
    at = ("--resolution", "16", "--channel_base", "128", "--rounds", "1") if tiny else ("--resolution", "256")
    full = () if tiny else ("--videos", "16", "--rounds", "20")
    return Part("ideas", ("benchmarks/ideas.py", *at, *full, *_PRECISION), 60)


def _r1(tiny: bool) -> Part:
    toy = ("--resolution", "32", "--batch", "2", "--channel_base", "128", "--rounds", "1")
    sizes = toy if tiny else ("--resolution", "256", "--batch", "16", "--rounds", "10")
    return Part("r1", ("benchmarks/r1.py", *sizes, *_PRECISION), 60)


def _sampling(resolution: int) -> Part:
    tiny = resolution == 32
    sizes = (
        ("--frames", "8", "--chunk", "4", "--channel_base", "256") if tiny else ("--frames", "2048", "--chunk", "64")
    )
    return Part("sampling", ("benchmarks/sampling.py", "--resolution", str(resolution), *sizes, *_PRECISION), 60)


def _compiled(tiny: bool, mode: str) -> Part:
    """The phases of an update without and with compiled networks; the toy needs no compiler."""
    sizes = ("--resolution", "32", "--batch", "2", "--channel_base", "64") if tiny else ("--batch", "16")
    toy = ("--backend", "eager", "--repeats", "1") if tiny else ("--repeats", "5")
    flags = (*sizes, *toy, "--conditioning", "hypernetwork", "--phases", "[forward,G,D]", "--compile", mode)
    return Part(f"compiled_{mode}", ("benchmarks/train_step.py", *flags, *_PRECISION), 240)


def _compiled_sampling(tiny: bool) -> Part:
    sampling = _sampling(32 if tiny else 256)
    toy = ("--backend", "eager") if tiny else ()
    return Part("compiled_sampling", (*sampling.command, "--compile", "default", *toy), 150)


def run(part: Part, limit: float) -> dict:
    """What became of a part, in at most ``limit`` seconds: its figures, or why there are none."""
    begun = time.monotonic()
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen([sys.executable, *part.command], cwd=ROOT, **streams)
    try:
        out, said = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started itself
        out, said = process.communicate()
        return {"failed": f"not done after {limit:.0f} s", "said": (out + said)[-_TAIL:]}
    seconds = round(time.monotonic() - begun, 1)
    if part.json and process.returncode == 0:
        try:
            return {"seconds": seconds, "figures": json.loads(out)}
        except json.JSONDecodeError as error:
            return {"seconds": seconds, "failed": f"no JSON: {error}", "said": (out + said)[-_TAIL:]}
    if process.returncode:
        return {"seconds": seconds, "failed": f"exit code {process.returncode}", "said": (out + said)[-_TAIL:]}
    return {"seconds": seconds, "figures": out.splitlines()[-5:]}


def suite(chosen: Sequence[Part], out: Path, minutes: float) -> dict:
    """Runs parts and writes the report after each.

    Args:
        chosen: The parts, in this order.
        out: Where the report goes.
        minutes: For all of them; those that come too late are noted as left out.
    """
    end = time.monotonic() + 60 * minutes
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    about = {"gpu": gpu, "cores": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__}
    report: dict = {**about, "parts": {}}
    for part in chosen:
        left = min(part.seconds, end - time.monotonic())
        found = run(part, left) if left >= _LEAST else {"failed": "no time was left"}
        report["parts"][part.name] = {"command": " ".join(part.command), **found}
        print(f"{part.name}: {found.get('failed', 'measured')}", file=sys.stderr, flush=True)
        with atomic_path(out) as path:
            path.write_text(json.dumps(report, indent=1))
    return report


def main(args: Sequence[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/gpu_suite.py"):
        parser = Parser(prog="benchmarks/gpu_suite.py", description=__doc__)
        parser.add_argument("--out", type=str, default="out/gpu.json", help="where the report goes")
        parser.add_argument("--minutes", type=float, default=9.5, help="for all parts together")
        parser.add_argument(
            "--only", type=list[str] | None, default=None, help="names of parts; the others are left out"
        )
        parser.add_argument("--tiny", type=bool, default=False, help="toy sizes, also without a GPU")
        given = parser.parse_args(args)
        if not (given.tiny or torch.cuda.is_available()):
            raise InputError("no CUDA device is there: run it where there is one, or give --tiny true")
        chosen = parts(given.tiny)
        names = [part.name for part in chosen]
        if unknown := set(given.only or ()) - set(names):
            raise InputError(f"--only {sorted(unknown)}: there are {', '.join(names)}")
        report = suite(
            [p for p in chosen if given.only is None or p.name in given.only], Path(given.out), given.minutes
        )
        failed = [name for name, found in report["parts"].items() if "failed" in found]
        print(f"{Path(given.out).resolve()}: {len(report['parts']) - len(failed)} parts measured, failed: {failed}")


if __name__ == "__main__":
    main()
