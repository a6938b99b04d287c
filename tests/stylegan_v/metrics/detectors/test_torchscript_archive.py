from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from errors import InputError
from stylegan_v.metrics.detectors import torchscript_archive
from stylegan_v.metrics.detectors.torchscript_archive import checked_archive
from tests.stylegan_v.metrics.detectors.scripts import ToyI3D, parts, rewritten, script


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return script(ToyI3D(), tmp_path / "toy.pt")


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        checked_archive(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_what_is_packed_anew_is_what_was_judged_and_no_more(archive: Path) -> None:
    before = parts(archive)
    rewritten(archive, {"extra/notes.txt": b"hello", "bytecode.pkl": b"x", "data/unused": b"12"})
    with zipfile.ZipFile(checked_archive(archive)) as packed:
        after = {name.partition("/")[2]: packed.read(name) for name in packed.namelist()}

    assert {name for name in before if not name.endswith(".debug_pkl") and not name.startswith(".")} | {
        "data/unused"
    } == set(after)
    assert all(after[name] == before[name] for name in before if name.startswith("data"))


def test_a_python_pickle_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "inception.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert "Python pickle" in refusal(path)


def test_a_checkpoint_without_a_program_is_told_apart(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "weights.pt")
    assert "holds no TorchScript program" in refusal(tmp_path / "weights.pt")


@pytest.mark.parametrize("text", [b"", b"P", b"hello", b"PK\x03\x04"])
def test_other_files_are_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(text)
    assert "archive" in refusal(tmp_path / "a.pt")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(archive: Path, share: float) -> None:
    raw = archive.read_bytes()
    archive.write_bytes(raw[: int(len(raw) * share)])
    assert "damaged" in refusal(archive)


def test_a_flipped_bit_of_a_tensor_is_noticed(archive: Path) -> None:
    raw = bytearray(archive.read_bytes())
    raw[raw.index(parts(archive)["data/0"])] ^= 1
    archive.write_bytes(raw)
    assert "damaged" in refusal(archive)


def test_a_bomb_is_refused_before_it_is_unpacked(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as changed:
        changed.writestr("toy/data/99", bytes(2**22))
    assert "data/99 is compressed" in refusal(archive)
    monkeypatch.setattr(torchscript_archive, "MAX_BYTES", 2**21)
    assert "unpacks to more than" in refusal(archive)


def test_a_program_that_unpacks_to_more_than_a_program_is_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as changed:
        changed.writestr("toy/code/big.py", b"#" * 5_000_000)
    assert "code/big.py has 5000000 bytes" in refusal(archive)


def test_bounds_on_entries_their_table_and_the_file(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound, most, words in [
        ("MAX_ENTRIES", 3, "entries, at most 3"),
        ("_MAX_DIRECTORY", 10, "table of contents"),
        ("MAX_BYTES", 100, "at most 100 are read"),
        ("_MAX_CODE", 100, "more than 100 characters"),
        ("_MAX_PICKLE", 10, "data.pkl has"),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(torchscript_archive, bound, most)
            assert words in refusal(archive)


@pytest.mark.parametrize(
    "name", ["toy/../../evil", "toy/code/./x.py", "/toy/x", "toy//x", "toy/a\\b", "toy/\n", "toy/é"]
)
def test_names_that_leave_the_archive_are_refused(archive: Path, name: str) -> None:
    with zipfile.ZipFile(archive, "a") as changed:
        changed.writestr(name, b"")
    assert "an entry is named" in refusal(archive)


def test_a_second_folder_and_a_second_entry_of_a_name_are_refused(archive: Path) -> None:
    raw = archive.read_bytes()
    with zipfile.ZipFile(archive, "a") as changed:
        changed.writestr("other/x", b"")
    assert "more than one folder" in refusal(archive)
    archive.write_bytes(raw)
    with zipfile.ZipFile(archive, "a") as changed:
        changed.writestr("toy/DATA.pkl", b"")
    assert "two entries of one name" in refusal(archive)


@pytest.mark.parametrize("line", ['torch.save(x, "stolen")', 'y = torch.from_file("x")', "y = ops.quantized.add(x, x)"])
def test_a_program_is_judged_wherever_it_lies_in_the_archive(archive: Path, line: str) -> None:
    text = f"class Evil(Module):\n  def forward(self: __torch__.Evil, x: Tensor) -> Tensor:\n    {line}\n    return x\n"
    rewritten(archive, {"code/__torch__/deep/below.py": text.encode()})
    assert "code/__torch__/deep/below.py, line 3" in refusal(archive)


def test_a_program_that_is_not_ascii_is_refused(archive: Path) -> None:
    rewritten(archive, {"code/__torch__/x.py": "x = 'ä'\n".encode()})
    assert "not plain ASCII" in refusal(archive)


@pytest.mark.parametrize("entry", ["data.pkl", "constants.pkl"])
@pytest.mark.parametrize(
    "make, words",
    [
        (lambda raw: b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "os.system"),
        (lambda raw: b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.", "__builtin__.eval"),
        (lambda raw: b"\x80\x02c__torch__.torch.classes.quantized\nX\n)\x81.", "__torch__.torch.classes"),
        (lambda raw: b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n)R.", "_rebuild_sparse_tensor"),
        (lambda raw: b"\x80\x02c__torch__\n_rebuild_tensor_v2\n)\x81.", "_rebuild_tensor_v2"),
        (lambda raw: b"\x80\x02(" * 300, "PROTO at byte"),
        (lambda raw: raw[:-9], "cut off"),
        (lambda raw: b"", "cut off"),
    ],
    ids=["system", "eval", "compiled", "sparse", "borrowed", "protocols", "cut", "empty"],
)
def test_pickles_with_other_things_are_refused(
    archive: Path, entry: str, make: Callable[[bytes], bytes], words: str
) -> None:
    rewritten(archive, {entry: make})
    assert words in refusal(archive)
    assert entry in refusal(archive)


FIRST_COUNT = b"M" + struct.pack("<H", 324) + b"tQ"


@pytest.mark.parametrize(
    "old, new, words",
    [
        (rb"K\x00\(K\x04K\x03", b"K\x01(K\x04K\x03", "reaches out of its elements"),
        (rb"\(K\x04K\x03K\x03K\x03K\x03t", b"(K\x05K\x03K\x03K\x03K\x03t", "reaches out of its elements"),
        (rb"\(K\x51K\x1b", b"(K\x52K\x1b", "reaches out of its elements"),
        (rb"K\x00\(K\x04K\x03", b"J\xff\xff\xff\xff(K\x04K\x03", "no list of counts"),
        (re.escape(FIRST_COUNT), b"M\x45\x01tQ", "325 elements announced as 0, and 1296 bytes stored"),
        (rb"FloatStorage\n", b"DoubleStorage\n", "324 elements announced as 0, and 1296 bytes stored"),
        (rb"FloatStorage\n", b"QInt8Storage\n", "torch.QInt8Storage"),
        (rb"(FloatStorage\nq.)h.X\x03", b"\\1X\x01\x00\x00\x00zX\x03", "announced as z, and 0 bytes stored"),
    ],
    ids=["offset", "size", "stride", "negative", "count", "wider", "quantized", "key"],
)
def test_a_tensor_may_not_reach_out_of_its_elements(archive: Path, old: bytes, new: bytes, words: str) -> None:
    """The first weight: [4, 3, 3, 3, 3] of strides 81, 27, 9, 3, 1; 324 elements from offset 0."""
    raw, changed = re.subn(old, new, parts(archive)["data.pkl"], count=1, flags=re.DOTALL)
    assert changed == 1
    rewritten(archive, {"data.pkl": raw})
    assert words in refusal(archive)


def test_elements_that_are_missing_are_noticed(archive: Path) -> None:
    rewritten(archive, {"data/0": None})
    assert "324 elements announced as 0, and 0 bytes stored" in refusal(archive)


@pytest.mark.parametrize(
    "changes, words",
    [({"version": None}, "version"), ({"version": b"x"}, "version"), ({"byteorder": b"big"}, "little-endian")],
)
def test_unknown_formats_are_refused(archive: Path, changes: dict[str, bytes | None], words: str) -> None:
    rewritten(archive, changes)
    assert words in refusal(archive)


def test_the_version_may_lie_where_newer_programs_have_it(archive: Path) -> None:
    rewritten(archive, {"version": None, ".data/version": b"10\n"})
    with zipfile.ZipFile(checked_archive(archive)) as packed:
        assert packed.read("archive/.data/version") == b"10\n"
