"""What every test shares: threads that fit the machine, the torchvision guard, fixed seeds, what a machine lacks."""

from __future__ import annotations

import os
import random

# Before torch is imported, and inherited by commands that tests start: parallel workers get one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

import torchvision_guard  # noqa: F401  (before anything that imports Lightning)

# Shapes and types of signatures are checked while tests run; the tower lets an int stand where a float is asked for.
install_import_hook(
    ["stylegan_v", "fields", "datasets"], "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)
_SLOW_TIMEOUT = 1800


@pytest.fixture(autouse=True)
def _same_seed_for_every_test() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips by name what this machine cannot run; slow tests get more time."""
    no_gpu = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(no_gpu)
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SLOW_TIMEOUT))
