"""A tiny run to generate from, and what the commands leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import generate
from stylegan_v.checkpoints import build, write_checkpoint


def make_run(
    folder: Path,
    c_dim: int = 0,
    data_state: dict[str, float] | None = None,
    *,
    decoder: str | None = None,
    mode: str = "residual",
) -> Path:
    """A run folder with the checkpoint of a tiny untrained model; a decoder, if any, has random weights."""
    motion = {"z_dim": 4, "v_dim": 8, "c_dim": c_dim, "num_frequencies": 4, "kernel_size": 3, "max_num_frames": 32}
    network = {"resolution": 16, "z_dim": 4, "w_dim": 8, "c_dim": c_dim, "channel_base": 64, "channel_max": 8}
    network["motion"] = {"class_path": "stylegan_v.networks.MotionEncoder", "init_args": motion}
    config = {
        "model": {"init_args": {"generator": {"class_path": "stylegan_v.networks.Generator", "init_args": network}}},
        "data": {"class_path": "datasets.datamodule.SyntheticVideos", "init_args": {}},
    }
    torch.manual_seed(0)
    if decoder is not None:
        settings = {"width": 8, "mode": mode}
        network["decoder"] = {"class_path": f"stylegan_v.networks.decoders.{decoder}", "init_args": settings}
    state = build(config["model"]["init_args"]["generator"]).state_dict()
    for name in state:
        if name.startswith("synthesis.decoder."):
            state[name] += 0.3 * torch.randn(state[name].shape)
    checkpoint = {
        "state_dict": {f"generator_ema.{name}": tensor for name, tensor in state.items()},
        "config": yaml.safe_dump(config),
        "SyntheticVideos": data_state or {"update": 0, "fps": 10.0},
    }
    folder.mkdir(parents=True)
    write_checkpoint(checkpoint, folder / "last.ckpt")
    return folder


def frames_in(folder: Path) -> np.ndarray:
    """The png frames of a folder, [F, H, W, 3]."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]).astype(int)


def videos_in(folder: Path) -> list[str]:
    """What lies in a folder, however deep; the settings beside each file, which have to be there, left out."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    files = {name for name in names if not name.endswith(".json")}
    assert names == files | {f"{name}.json" for name in files}
    return sorted(files)


def refusal(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """What the command says before it exits with code 2: one line."""
    with pytest.raises(SystemExit) as exit_:
        generate.main(list(args))
    assert exit_.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("generate.py")]
    assert len(lines) == 1
    return lines[0]


def run_verb(run: Path, verb: str, *args: object) -> None:
    generate.main([verb, "--ckpt", str(run), *map(str, args)])


def array(path: Path) -> np.ndarray:
    """Frames of an npy file, [F, H, W, 3]."""
    return np.load(path).astype(int)
