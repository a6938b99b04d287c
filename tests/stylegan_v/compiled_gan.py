"""A program that trains compiled networks in two processes.

python -m tests.stylegan_v.compiled_gan FOLDER [COMPILED]    writes down the gradients of each rank, and its state
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from stylegan_v.callbacks import CompileNetworks
from tests.stylegan_v.tiny_gan import RecordingGAN, StopAfter, data, gan, trainer

if __name__ == "__main__":
    folder, *compiled = sys.argv[1:]
    # Of compiled networks, too, gradients may travel while a backward pass makes more of them.
    model = gan(made=RecordingGAN, augmented=True, pl_weight=2.0, r1_every=1, overlap_exchange=bool(compiled))
    callbacks = [CompileNetworks(backend="eager")] if compiled else []
    trainer(folder, *callbacks, StopAfter(2), devices=2, strategy="auto").fit(model, data(8))
    found = {"gradients": model.gradients, "state": model.state_dict()}
    torch.save(found, Path(folder) / f"rank{model.global_rank}.pt")
