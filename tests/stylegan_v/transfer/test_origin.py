from __future__ import annotations

from pathlib import Path

import pytest

from errors import InputError
from stylegan_v.checkpoints import write_checkpoint
from stylegan_v.transfer.origin import check_source, own_checkpoint


def run(folder: Path, name: str) -> Path:
    """The folder of a run that has saved something."""
    folder.mkdir(parents=True)
    write_checkpoint(
        {"state_dict": {}, "config": f"run_name: {name}\nmodel: {{init_args: {{}}}}\n"}, folder / "last.ckpt"
    )
    return folder


def test_a_run_goes_on_from_its_own_checkpoints(tmp_path: Path) -> None:
    folder = run(tmp_path / "runs" / "a", "a")
    write_checkpoint({"state_dict": {}}, folder / "kimg000001.ckpt")
    for given in ("last", folder, folder / "last.ckpt"):
        assert own_checkpoint(given, folder, "a") == folder / "last.ckpt"
    assert own_checkpoint(folder / "kimg000001.ckpt", folder, "a") == folder / "kimg000001.ckpt"


def test_a_moved_or_renamed_run_goes_on(tmp_path: Path) -> None:
    renamed = run(tmp_path / "runs" / "b", "a")
    assert own_checkpoint("last", renamed, "b") == own_checkpoint(renamed, renamed, "b") == renamed / "last.ckpt"
    elsewhere = run(tmp_path / "backup" / "a", "a")
    assert own_checkpoint(elsewhere, tmp_path / "runs" / "a", "a") == elsewhere / "last.ckpt"


def test_a_link_to_the_own_folder_is_the_own_folder(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", "before it was renamed")
    (tmp_path / "link").symlink_to(folder)
    assert own_checkpoint(tmp_path / "link", folder, "a") == tmp_path / "link" / "last.ckpt"


def test_another_run_s_checkpoint_is_to_start_from(tmp_path: Path) -> None:
    other = run(tmp_path / "runs" / "other", "other")
    with pytest.raises(InputError) as caught:
        own_checkpoint(other, tmp_path / "runs" / "mine", "mine")
    assert str(caught.value) == (
        f"--ckpt_path {other}: a checkpoint of the run other, and this one is mine: "
        f"--model.init_args.init_from {other} starts a new run from it, --run_name other continues that run"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("weights/model.safetensors", "a folder of weights"),
        ("weights/generator.safetensors", "a folder of weights"),
        ("my.safetensors", "a file of weights"),
        ("network-snapshot.pkl", "a snapshot of the original system"),
    ],
)
def test_weights_are_no_state_to_go_on_from(tmp_path: Path, name: str, told: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    given = tmp_path / Path(name).parts[0]
    with pytest.raises(InputError) as caught:
        own_checkpoint(given, tmp_path / "run", "run")
    assert str(caught.value) == (
        f"--ckpt_path {given}: {told}, not the state of a run: --ckpt_path last continues this run, "
        f"--model.init_args.init_from {given} starts a new one from it"
    )


def test_nothing_there(tmp_path: Path) -> None:
    for given in ("last", tmp_path, tmp_path / "gone.pkl", tmp_path / "gone"):
        with pytest.raises(InputError, match="no checkpoint there"):
            own_checkpoint(given, tmp_path / "run", "run")
    with pytest.raises(InputError, match="gone: no such file or folder"):
        check_source(tmp_path / "gone", tmp_path / "run")


def test_what_cannot_be_read_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    for name in ("notes.yaml", "cut.ckpt", "other.safetensors"):
        (tmp_path / name).write_text("no weights")
        with pytest.raises(InputError, match=f"{name}: not a"):
            check_source(tmp_path / name, tmp_path / "run")
    (tmp_path / "large.pkl").write_text("takes long to read")
    check_source(tmp_path / "large.pkl", tmp_path / "run")


def test_a_run_does_not_start_from_itself(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", "a")
    check_source(folder, tmp_path / "b")
    for given in (folder, folder / "last.ckpt"):
        with pytest.raises(InputError, match=r"lies in this run's own folder: --ckpt_path last continues this run"):
            check_source(given, folder)
