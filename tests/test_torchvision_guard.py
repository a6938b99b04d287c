from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def python(code: str, *paths: Path) -> str:
    """Output of ``code`` in a fresh interpreter that finds modules in ``paths`` first, then in the checkout."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT)))}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torchvision_and_lightning_import_and_work_behind_the_guard() -> None:
    """Whatever builds of torch and torchvision met here: what is written in Python works."""
    output = python(
        "import torchvision_guard, torch, torchvision, torchvision.transforms.v2 as v2, torchvision.utils as utils\n"
        "import pytorch_lightning, torchmetrics\n"
        "from torchvision import tv_tensors\n"
        "clip = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)\n"
        "flipped = v2.functional.horizontal_flip(tv_tensors.Video(clip))\n"
        "assert torch.equal(flipped, clip.flip(-1))\n"
        "print(tuple(utils.make_grid(clip, nrow=2, padding=0).shape), hasattr(torch.ops.torchvision, 'nms'))\n"
    )
    assert output.split("\n")[-2] == "(3, 4, 8) True"


def test_missing_operators_are_declared_once_where_the_library_does_not_load(tmp_path: Path) -> None:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_C.so").write_bytes(b"not a library of this torch")

    output = python(
        "import torchvision_guard, torch\n"
        "print(torchvision_guard.guard_torchvision(), torchvision_guard.guard_torchvision())\n"
        "print(torch.ops.torchvision.nms.default._schema)\n"
        "print(torch.ops.torchvision.qnms.default._schema)\n",
        tmp_path,
    )
    declared, nms, qnms = output.splitlines()
    assert declared == "True True"
    assert nms == "torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    assert qnms == "torchvision::qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def test_without_torchvision_there_is_nothing_to_do() -> None:
    output = python(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'torchvision' else found(name, *rest)\n"
        "import sys, torchvision_guard\n"
        "print(torchvision_guard.guard_torchvision(), 'torch' in sys.modules)\n"
    )
    assert output.split() == ["False", "False"]
