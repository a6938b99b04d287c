"""A program that renders a long video and says how much memory it has as it goes.

python -m tests.stylegan_v.long_video FRAMES [FILE]     bytes resident after each 1 000 frames, as JSON
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import torch

from datasets.video_writer import open_writer
from stylegan_v.rendering import draw_latents, render
from tests.stylegan_v.tiny_gan import generator


def resident_bytes() -> int:
    """Memory of this process that is in use, as Linux counts it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_on_the_way(num_frames: int, file: Path | None) -> list[int]:
    """Resident bytes after each 1 000 frames of one video, written to a file or to nowhere."""
    network = generator().eval()
    t = torch.arange(num_frames, dtype=torch.float64)
    resident = []
    with nullcontext() if file is None else open_writer(file, fps=25) as writer:
        for number, frames in enumerate(render(network, draw_latents(network, 0, [0]), t, chunk=50), start=1):
            if writer is not None:
                writer.write(frames[0])
            if number % 20 == 0:
                resident.append(resident_bytes())
    return resident


if __name__ == "__main__":
    print(json.dumps(memory_on_the_way(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)))
