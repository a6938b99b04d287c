"""Start-up times, side by side: the two programs answering `--help`, and the heavy packages imported alone.

    python benchmarks/import_time.py [--repeats 3]

Each row is the median wall time of fresh interpreters, and that time as a multiple of `import torch` in the same run:
machines differ from hour to hour, the quotient much less. A program that answers slower than the sum of what it needs
imports something it does not.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GUARD = "import torchvision_guard; "
COMMANDS = {
    "python, nothing imported": ["-c", "pass"],
    "numpy": ["-c", "import numpy"],
    "torch": ["-c", "import torch"],
    "torchvision": ["-c", GUARD + "import torchvision"],
    "pytorch_lightning": ["-c", GUARD + "import pytorch_lightning"],
    "pytorch_lightning.cli": ["-c", GUARD + "import pytorch_lightning.cli"],
    "jsonargparse": ["-c", "import jsonargparse"],
    "kornia": ["-c", GUARD + "import kornia"],
    "torch.utils.tensorboard": ["-c", "import torch.utils.tensorboard"],
    "decord": ["-c", "import decord"],
    "av": ["-c", "import av"],
    "scipy.linalg": ["-c", "import scipy.linalg"],
    "huggingface_hub, its mixin": ["-c", "from huggingface_hub import ModelHubMixin"],
    "stylegan_v": ["-c", "import stylegan_v"],
    "stylegan_v.from_pretrained": ["-c", "from stylegan_v import from_pretrained"],
    "generate.py --help": ["generate.py", "--help"],
    "train.py --help": ["train.py", "--help"],
    "train.py fit --help": ["train.py", "fit", "--help"],
}
REFERENCE = "torch"


def seconds(arguments: list[str], repeats: int) -> float | None:
    """Median wall time of ``python *arguments`` in fresh interpreters, in seconds; None where the command fails."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=False)
        times.append(time.perf_counter() - start)
        if done.returncode:
            return None
    return statistics.median(times)


def table(measured: dict[str, float | None]) -> str:
    """One line per command: name, seconds, multiple of the reference."""
    reference = measured[REFERENCE]
    lines = [f"{'':28}{'seconds':>9}{'x ' + REFERENCE:>9}"]
    for name, value in measured.items():
        if value is None:
            lines.append(f"{name:28}{'does not run here':>18}")
        else:
            lines.append(f"{name:28}{value:9.2f}{value / reference if reference else float('nan'):9.2f}")
    return "\n".join(lines)


def main() -> None:
    """Measures every command, one at a time; fails when a program does not answer."""
    parser = argparse.ArgumentParser(description="Start-up times of the programs and of the heavy packages.")
    parser.add_argument("--repeats", type=int, default=3, help="fresh interpreters per row (the median counts)")
    repeats = parser.parse_args().repeats
    seconds(COMMANDS[REFERENCE], 1)  # the first import reads the disk
    measured = {name: seconds(arguments, repeats) for name, arguments in COMMANDS.items()}
    print(table(measured))
    silent = [name for name in measured if ".py" in name and measured[name] is None]
    if silent:
        sys.exit(f"import_time: error: no answer from {', '.join(silent)}")


if __name__ == "__main__":
    main()
