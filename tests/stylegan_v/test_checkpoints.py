from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from errors import InputError
from stylegan_v import checkpoints
from stylegan_v.networks import Generator, MotionEncoder

ROOT = Path(__file__).resolve().parents[2]
MOTION = {"z_dim": 6, "v_dim": 6, "num_frequencies": 4, "distance": 4, "kernel_size": 3, "max_num_frames": 16}
GENERATOR = {
    "class_path": "stylegan_v.networks.Generator",
    "init_args": {
        "resolution": [8, 8],
        "z_dim": 5,
        "w_dim": 6,
        "channel_base": 64,
        "channel_max": 8,
        "motion": {"class_path": "stylegan_v.networks.MotionEncoder", "init_args": MOTION},
    },
}


def _checkpoint(generator: nn.Module, **extra: Any) -> dict[str, Any]:
    return {"state_dict": generator.state_dict(), "updates": 3} | extra


@pytest.fixture
def generator() -> Generator:
    return checkpoints.build(GENERATOR)


def test_build_makes_modules_and_tuples(generator: Generator) -> None:
    assert isinstance(generator, Generator)
    assert generator.resolution == (8, 8)
    assert isinstance(generator.synthesis.motion, MotionEncoder)
    assert generator.synthesis.motion.distance == 4
    assert checkpoints.build({"a": [1, [2.5, None]], "b": "text"}) == {"a": (1, (2.5, None)), "b": "text"}


@pytest.mark.parametrize(
    "class_path",
    [
        "os.system",
        "torch.nn.Linear",
        "stylegan_v.networks.generator.nn.Linear",
        "stylegan_v.networks.generator.Tensor",
        "stylegan_v.checkpoints.build",
        "stylegan_vx.Evil",
        "stylegan_v.networks.Gone",
        "stylegan_v.gone.Generator",
        "stylegan_v.",
        "stylegan_v..networks.Generator",
        "stylegan_v.\0.Generator",
        ["stylegan_v.networks.Generator"],
        None,
    ],
)
def test_only_modules_of_the_project_are_built(class_path: Any) -> None:
    with pytest.raises(InputError, match=r"stylegan_v|None"):
        checkpoints.build({"class_path": class_path, "init_args": {}})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"z_dimm": 3}, "z_dimm"),
        ({"z_dim": -1}, "negative dimension"),
        ({"channel_base": 0}, "cannot be built"),
        ({"resolution": 7}, "resolution 7x7"),
        ({"num_mapping_layers": 10**9}, "at most 100"),
        ({3: 4}, "cannot be built"),
        ([1, 2], "init_args"),
        ("text", "init_args"),
    ],
)
def test_arguments_that_do_not_suit_are_an_input_error(arguments: Any, says: str) -> None:
    with pytest.raises(InputError, match=rf"networks\.Generator.*{says}"):
        checkpoints.build({"class_path": "stylegan_v.networks.Generator", "init_args": arguments})


def test_check_fits_reports_missing_and_surplus_tensors() -> None:
    one, two = {"a": torch.zeros(2)}, {"a": torch.zeros(2), "b": torch.zeros(3)}
    checkpoints.check_fits(one, one, Path("x"))
    with pytest.raises(InputError, match=r"b is missing there and \[3\] here"):
        checkpoints.check_fits(two, one, Path("x"))
    with pytest.raises(InputError, match=r"b is \[3\] there and missing here"):
        checkpoints.check_fits(one, two, Path("x"))


def test_find_checkpoint_takes_a_folder_or_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"last\.ckpt: no checkpoint there"):
        checkpoints.find_checkpoint(tmp_path)
    with pytest.raises(InputError, match="nowhere: no checkpoint there"):
        checkpoints.find_checkpoint(tmp_path / "nowhere")
    (tmp_path / "last.ckpt").touch()
    assert checkpoints.find_checkpoint(tmp_path) == tmp_path / "last.ckpt"
    assert checkpoints.find_checkpoint(str(tmp_path / "last.ckpt")) == tmp_path / "last.ckpt"


class _Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04broken", b"\x80\x02]q\x00.", "pickle", "list", "folder"]
)
def test_a_file_that_is_no_checkpoint_is_refused_and_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.ckpt"
    if content == "list":
        torch.save([1, 2], path)
    elif content == "folder":
        torch.save({"state_dict": 3}, path)
    else:
        path.write_bytes(pickle.dumps(_Hostile()) if content == "pickle" else content)
    for mmap in (True, False):
        with pytest.raises(InputError, match=r"x\.ckpt: (not a checkpoint|holds no training state)"):
            checkpoints.read_checkpoint(path, mmap=mmap)
    torch.save({"state_dict": {}, "config": "", "more": _Hostile()}, path)
    with pytest.raises(InputError, match=r"x\.ckpt: not a checkpoint"):
        checkpoints.read_checkpoint(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "- a list",
        "a: [unclosed",
        "a: !!python/object/apply:os.mkdir [executed]",
        "x" * 1_000_001,
        "a: " + "[" * 100 + "]" * 100,
        "a: " + "[" * 100_000,
        "a: &a [*a]",
        "a: !!bool x",
        "a: !!timestamp x",
        "a: !!int ''",
        "{[1]: 2}",
        "9" * 5000 + ": 1",
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "\n".join(f"{v}: &{v} [" + ",".join([f"*{u}"] * 10) + "]" for u, v in zip("abcdefg", "bcdefgh", strict=True)),
    ],
)
def test_a_config_that_is_no_plain_bounded_tree_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"x\.ckpt"):
        checkpoints.read_config({"config": text}, Path("x.ckpt"))
    assert not (tmp_path / "executed").exists()


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_else(tmp_path: Path, generator: Generator) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    path = tmp_path / "last.ckpt"
    checkpoints.write_checkpoint(_checkpoint(generator), path)
    before = path.read_bytes()
    (tmp_path / f".last.ckpt.{os.getpid()}.tmp").symlink_to("/dev/full")
    big = _checkpoint(generator, tensor=torch.zeros(1_000_000))
    with pytest.raises(OSError, match="No space left") as caught:
        checkpoints.write_checkpoint(big, path)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def stop_halfway() -> None:
        with checkpoints.replacing(tmp_path / "a") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop_halfway()
    assert list(tmp_path.iterdir()) == []


def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to(os.devnull)
    for name in ("pipe", "folder", "device"):
        with (
            pytest.raises(InputError, match=f"{name}: is there already, and no file"),
            checkpoints.replacing(tmp_path / name),
        ):
            pass
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "device").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "folder", "pipe"]


def test_a_folder_that_is_missing_is_told_under_the_name_that_was_given(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "a"
    with pytest.raises(FileNotFoundError) as caught, checkpoints.replacing(path):
        pass
    assert caught.value.filename == str(path)


_STALLING_WRITER = """
import sys, time
from pathlib import Path
import torch
from stylegan_v import checkpoints


folder = Path(sys.argv[1])
checkpoints.write_checkpoint({"state_dict": {"a": torch.ones(1000)}}, folder / "last.ckpt")
original = torch.save
def stalling(checkpoint, file):
    original({"half": torch.zeros(100_000)}, file)
    file.flush()
    (folder / "writing").touch()
    time.sleep(60)
torch.save = stalling
checkpoints.write_checkpoint({"state_dict": {"a": torch.zeros(1000)}}, folder / "last.ckpt")
"""


def test_sigkill_while_writing_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _STALLING_WRITER, str(tmp_path)], cwd=ROOT)
    while not (tmp_path / "writing").exists():
        assert writer.poll() is None
        time.sleep(0.02)
    writer.send_signal(signal.SIGKILL)
    writer.wait()

    assert torch.equal(checkpoints.read_checkpoint(tmp_path / "last.ckpt")["state_dict"]["a"], torch.ones(1000))
    (stale,) = checkpoints.remove_stale(tmp_path)
    assert stale.name == f".last.ckpt.{writer.pid}.tmp"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.ckpt", "writing"]
