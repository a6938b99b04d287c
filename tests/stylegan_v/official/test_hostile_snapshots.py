"""Files made to do harm, or damaged: each ends in one line that names what was refused, and in nothing else."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import pickletools
import random
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from errors import InputError
from stylegan_v.official.opcodes import PLAIN
from stylegan_v.official.snapshot import Snapshot, read_snapshot
from tests.stylegan_v.official.pickles import (
    SAMPLE,
    OldSnapshot,
    Reduced,
    StandIns,
    call,
    data,
    dictionary,
    name,
    number,
    op,
    pickled,
    stack_name,
    storage_stream,
    text,
    written,
)

ORDERED = name("collections", "OrderedDict") + op("EMPTY_TUPLE") + op("REDUCE")
ADAM = name("torch.optim.adam", "Adam") + op("EMPTY_TUPLE") + op("NEWOBJ")


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> StandIns:
    return StandIns(monkeypatch)


@pytest.fixture
def content(stand_ins: StandIns) -> dict[str, Any]:
    """Of a readable snapshot."""
    return OldSnapshot(stand_ins).content


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Reads bytes as a snapshot, and returns the one line with which it is refused; nothing else may have happened."""

    def read(raw: bytes, *words: str) -> str:
        path = tmp_path / "hostile.pkl"
        path.write_bytes(raw)
        modules, files = set(sys.modules), set(tmp_path.iterdir())
        with pytest.raises(InputError) as caught:
            read_snapshot(path)
        assert set(sys.modules) == modules and set(tmp_path.iterdir()) == files
        message = str(caught.value)
        assert message.startswith(f"{path}: ") and "\n" not in message and message.isascii()
        assert len(message) < len(str(path)) + 400
        for word in words:
            assert word in message, message
        return message

    return read


# --- every way to something that can be called


@pytest.mark.parametrize(
    "module, qualified",
    [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("__builtin__", "eval"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch", "FloatStorage"),  # only inside storages
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch.storage", "torch.load"),
        ("torch.storage", "io.open"),
        ("collections", "OrderedDict.__reduce_ex__"),
        ("collections", "_sys.modules"),
        ("src.torch_utils.persistence", "os.system"),
        ("src.torch_utils.persistence", "anything_else"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("omegaconf.dictconfig", "OmegaConf"),
        ("typing", "ForwardRef"),
        ("copyreg", "_reconstructor"),
        ("importlib", "import_module"),
        ("functools", "partial"),
        ("operator", "attrgetter"),
        ("sys", "modules"),
        ("", ""),
    ],
)
def test_names_outside_the_list_are_refused_in_both_spellings(
    refused: Callable[..., str], tmp_path: Path, module: str, qualified: str
) -> None:
    marker = text(f"touch {tmp_path / 'marker'}")
    for spelling in (name, stack_name):
        refused(pickled(call(spelling(module, qualified), marker)), f"{module}.{qualified}")
        refused(pickled(spelling(module, qualified)), f"{module}.{qualified}")  # even when it is not called


@pytest.mark.parametrize("info", [info for info in pickletools.opcodes if info.name not in PLAIN], ids=lambda i: i.name)
def test_every_other_operation_is_refused_by_name_and_place(
    refused: Callable[..., str], info: pickletools.OpcodeInfo
) -> None:
    argument = b"os\nsystem\n" if info.arg and info.arg.n < 0 else bytes(8)
    before = op("MARK") + name("collections", "OrderedDict") + op("EMPTY_TUPLE") + op("EMPTY_DICT")
    refused(pickled(before, op(info.name, argument)), f"{info.name} at byte {2 + len(before)}")


def test_the_refused_operations_are_all_those_that_reach_for_more() -> None:
    others = {info.name for info in pickletools.opcodes} - PLAIN
    assert {"INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "BYTEARRAY8"} <= others
    assert {"NEXT_BUFFER", "READONLY_BUFFER", "INT", "LONG", "FLOAT", "STRING", "UNICODE", "GET", "PUT"} <= others


@pytest.mark.parametrize(
    "operations, words",
    [
        (
            (text("os.system"), op("EMPTY_TUPLE"), op("REDUCE")),
            "REDUCE at byte 17: refused, it does not fit a value of type str",
        ),
        ((text("eval"), op("EMPTY_TUPLE"), op("NEWOBJ")), "it does not fit a value of type str"),
        ((ORDERED, op("EMPTY_TUPLE"), op("REDUCE")), "it does not fit an object of OrderedDict"),
        ((op("EMPTY_DICT"), op("EMPTY_TUPLE"), op("REDUCE")), "it does not fit a value of type dict"),
        ((name("collections", "OrderedDict"), op("EMPTY_LIST"), op("REDUCE")), "collections.OrderedDict"),
        ((name("collections", "OrderedDict"), text("ab"), op("NEWOBJ")), "collections.OrderedDict"),
        ((name("builtins", "list"), op("EMPTY_TUPLE"), op("REDUCE")), "REDUCE of builtins.list"),
        ((name("builtins", "int"), op("EMPTY_TUPLE"), op("NEWOBJ")), "NEWOBJ of builtins.int"),
        ((name("typing", "Any"), op("EMPTY_TUPLE"), op("REDUCE")), "REDUCE of typing.Any"),
        ((name("numpy", "ndarray"), op("EMPTY_TUPLE"), op("NEWOBJ")), "NEWOBJ of numpy.ndarray"),
        (
            (name("numpy", "dtype"), op("EMPTY_DICT"), op("BUILD")),
            "BUILD at byte 16: refused, it does not fit the name numpy",
        ),
        ((op("EMPTY_DICT"), op("EMPTY_DICT"), op("BUILD")), "it does not fit a value of type dict"),
        ((ADAM, text("state"), op("BUILD")), "BUILD"),
        ((ADAM, op("EMPTY_DICT"), op("BUILD"), op("EMPTY_DICT"), op("BUILD")), "BUILD"),
        ((ADAM, text("key"), op("NONE"), op("SETITEM")), "SETITEM"),
        ((ADAM, op("NONE"), op("APPEND")), "APPEND"),
        ((name("builtins", "dict"), text("key"), op("NONE"), op("SETITEM")), "it does not fit the name builtins.dict"),
        ((op("EMPTY_TUPLE"), op("NONE"), op("APPEND")), "it does not fit a value of type tuple"),
        ((op("EMPTY_LIST"), op("MARK"), op("NONE"), op("ADDITEMS")), "it does not fit a value of type list"),
        ((op("EMPTY_DICT"), op("MARK"), text("key"), op("SETITEMS")), "SETITEMS"),
        ((op("EMPTY_DICT"), op("EMPTY_TUPLE"), op("NONE"), op("SETITEM")), "a value of type tuple as a key"),
        ((op("EMPTY_DICT"), name("builtins", "int"), op("NONE"), op("SETITEM")), "the name builtins.int as a key"),
        ((op("EMPTY_DICT"), data(b"bytes"), op("NONE"), op("SETITEM")), "a byte string as a key"),
        ((op("EMPTY_DICT"), op("BINFLOAT", bytes(8)), op("NONE"), op("SETITEM")), "a value of type float as a key"),
        (
            (op("EMPTY_DICT"), op("LONG1", b"\x08" + bytes(7) + b"\x7f"), op("NONE"), op("SETITEM")),
            "a value of type int as a key",
        ),
        ((op("EMPTY_SET"), op("MARK"), op("EMPTY_TUPLE"), op("ADDITEMS")), "a value of type tuple as a key"),
        ((text("os"), number(1), op("STACK_GLOBAL")), "a name that is not text"),
        ((data(b"os"), data(b"system"), op("STACK_GLOBAL")), "a name that is not text"),
        ((op("BINGET", b"\x05"),), "BINGET at byte 2: nothing is remembered"),
        ((op("MEMOIZE"),), "MEMOIZE at byte 2: no value for it"),
        ((op("REDUCE"),), "REDUCE at byte 2: no value for it"),
        ((op("NONE"), op("MARK"), op("APPEND")), "APPEND at byte 4: no value for it"),
        ((op("TUPLE"),), "TUPLE at byte 2: without a MARK"),
        ((op("NONE"), op("NONE")), "STOP at byte 4: values are left over"),
        ((op("NONE"), op("MARK")), "STOP at byte 4"),
        ((op("PROTO", b"\x04"), op("NONE")), "PROTO at byte 2"),
        ((text("ab")[:-1] + b"\xff",), "text at byte 2 is not UTF-8"),
        ((op("GLOBAL", 1000 * b"a" + b"\nb\n"),), "GLOBAL at byte 2"),
        ((b"\xff",), "byte 2 is no pickle operation"),
    ],
)
def test_values_used_as_what_they_are_not_are_refused(
    refused: Callable[..., str], operations: tuple[bytes, ...], words: str
) -> None:
    refused(pickled(*operations), words)


def test_control_characters_of_a_name_do_not_reach_the_terminal(refused: Callable[..., str]) -> None:
    message = refused(pickled(stack_name("o\x1b[2Js\n", "system\u202e" + 500 * "x")), "o\\x1b[2Js\\n.system\\u202e")
    assert message.isprintable()


# --- pickles inside storages


class _Harm:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def _with_storage(content: dict[str, Any], stand_ins: StandIns, place: str, stream: bytes) -> bytes:
    tensor = Reduced(stand_ins.rebuild_tensor, Reduced(stand_ins.load_from_bytes, stream), 0, (3,), (1,), False, ())
    if place == "G":
        return pickle.dumps(content | {"G": stand_ins.module(buffers={"b": tensor})}, protocol=3)
    return pickle.dumps(content | {place: {"grid_z": (tensor,)}}, protocol=3)


@pytest.mark.parametrize("place", ["G", "vis", "unknown"])
@pytest.mark.parametrize("part", ["magic", "version", "kind", "identity", "keys"])
def test_a_pickle_inside_a_storage_that_runs_a_command_is_refused(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any], tmp_path: Path, part: str, place: str
) -> None:
    harm = _Harm(tmp_path / "marker")
    stream = storage_stream(torch.zeros(3), **{part: os.system if part == "kind" else harm})
    refused(_with_storage(content, stand_ins, place, stream), "posix.system")


def test_the_harm_in_these_tests_is_real(tmp_path: Path) -> None:
    function, arguments = _Harm(tmp_path / "marker").__reduce__()
    assert function(*arguments) == 0 and (tmp_path / "marker").exists()


def _zipped(size: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", bytes(size))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "stream, words",
    [
        (_zipped(10_000_000), "a zip archive"),
        (b"", "cut off"),
        (b"\x80", "cut off"),
        (storage_stream(torch.zeros(3))[:-1], "elements"),
        (storage_stream(torch.zeros(3)) + b"\0", "elements"),
        (storage_stream(torch.zeros(3))[:-13], "elements"),
        (storage_stream(torch.zeros(3), count=2), "announces 2 elements"),
        (storage_stream(torch.zeros(3), count=2**60), "does not say what it holds"),
        (storage_stream(torch.zeros(3), count=-3), "does not say what it holds"),
        (storage_stream(torch.zeros(3), written=2**62), "then 4611686018427387904"),
        (storage_stream(torch.zeros(3), written=-1), "elements"),
        (storage_stream(torch.zeros(3), kind=torch.DoubleStorage), "elements of torch.float64"),
        (storage_stream(torch.zeros(3), kind=torch.ComplexFloatStorage), "torch.ComplexFloatStorage"),
        (storage_stream(torch.zeros(3), kind="FloatStorage"), "does not say what it holds"),
        (storage_stream(torch.zeros(3), identity="storage"), "does not say what it holds"),
        (storage_stream(torch.zeros(3), identity=("module", 0, 1, 2, 3, 4)), "does not say what it holds"),
        (storage_stream(torch.zeros(3), keys=["1"]), "elements"),
        (storage_stream(torch.zeros(3), magic=1), "not in torch's old"),
        (storage_stream(torch.zeros(3), version=1002), "not in torch's old"),
        (storage_stream(torch.zeros(3), little_endian=False), "not in torch's old"),
        (storage_stream(torch.zeros(3), magic=[[[[[[[[0]]]]]]]]), "not in torch's old"),
        (storage_stream(torch.zeros(3), keys=[*map(str, range(500))]), "operations"),
        (pickled(op("LONG1", b"\xff" + bytes(255)), protocol=2), "a number of 255 bytes"),
        (pickled(op("LONG_BINPUT", b"\xff\xff\xff\xff"), protocol=2), "LONG_BINPUT"),
        (pickled(op("NONE"), op("LONG_BINPUT", b"\xff\xff\xff\xff"), protocol=2), "memo 4294967295"),
    ],
)
def test_storages_that_are_not_what_they_say_are_refused(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any], stream: bytes, words: str
) -> None:
    refused(_with_storage(content, stand_ins, "G", stream), words)


@pytest.mark.parametrize(
    "layout",
    [
        {"size": (4,)},
        {"offset": 1},
        {"offset": -1},
        {"offset": 2**70},
        {"stride": (-1,)},
        {"stride": (2**62,)},
        {"stride": (2,)},
        {"size": (1000, 1000), "stride": (0, 0)},
        {"size": (2, 2), "stride": (1, 1), "offset": 1},
        {"size": (2**40, 2**40), "stride": (0, 0)},
        {"size": (2**40, 2**40, 0), "stride": (0, 0, 0)},
        {"size": (-3,)},
        {"size": (3.0,)},
        {"size": [3]},
        {"size": (True,)},
        {"size": (3, 1)},
        {"size": 9 * (1,), "stride": 9 * (1,)},
        {"size": ("3",)},
        {"stride": None, "size": None, "offset": None},
    ],
)
def test_sizes_strides_and_offsets_that_leave_the_storage_are_refused(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any], layout: dict[str, Any]
) -> None:
    module = stand_ins.module(buffers={"b": stand_ins.tensor(torch.zeros(3), **layout)})
    message = refused(pickle.dumps(content | {"G": module}, protocol=3), "G.b: ")
    assert "storage" in message or "elements" in message or "counts" in message


def test_a_storage_that_many_tensors_share_cannot_fill_the_memory(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any]
) -> None:
    storage = Reduced(stand_ins.load_from_bytes, storage_stream(torch.zeros(30_000)))
    buffers = {f"b{i}": Reduced(stand_ins.rebuild_tensor, storage, 0, (30_000,), (1,), False, ()) for i in range(1000)}
    module = stand_ins.module(buffers=buffers)
    refused(pickle.dumps(content | {"G": module}, protocol=3), "the tensors are together larger than the file")


@pytest.mark.parametrize("value", [3, "text", None, ("a",)])
def test_a_network_whose_parts_are_no_modules_or_tensors_is_refused(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any], value: object
) -> None:
    changes = {"D": value} if value else {}
    for network in (
        changes,
        {"G": stand_ins.module(buffers={"b": 3})},
        {"G": stand_ins.module(modules={"m": value or 3})},
        {"G": stand_ins.module(_parameters=value)},
        {"G": stand_ins.module(buffers={"a.b": torch.zeros(1)})},
        {"G": stand_ins.module(buffers={"": torch.zeros(1)})},
        {"G": stand_ins.module(buffers={5: torch.zeros(1)})},
        {"G": stand_ins.module(buffers={"a": torch.zeros(1)}, parameters={"a": torch.zeros(1)})},
        {"G": Reduced(stand_ins.persistent, value)},
        {"G": Reduced(stand_ins.persistent)},
        {"G": stand_ins.any_node()},
        {"augment_pipe": stand_ins.module(buffers={"p": "p"})},
        {"augment_pipe": stand_ins.module(buffers={"p": torch.tensor(float("nan"))})},
        {"G_opt": stand_ins.made(stand_ins.adam, param_groups=[value])},
    ):
        if network:
            refused(pickle.dumps(content | network, protocol=3))


# --- sizes


def test_files_that_are_something_else_are_refused_by_what_they_are(refused: Callable[..., str]) -> None:
    refused(b"", "empty")
    refused(_zipped(50_000_000), "a zip archive")
    refused(gzip.compress(SAMPLE.read_bytes()[:1000]), "gzip")
    refused(b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5")
    refused(b'{"__metadata__": {}}', "a text or safetensors file")
    refused(b"(dp0\nS'G'\n", "does not begin like a binary pickle")
    refused(b"\x80\x00.", "protocol 0")
    refused(b"\x80\x01N.", "protocol 1")
    refused(b"\x80\x06N.", "protocol 6")
    refused(b"\x80", "cut off")
    refused(pickled(op("NONE")) + b"\0", "1 bytes follow its end")
    refused(pickled(op("EMPTY_DICT")) + pickled(name("os", "system")), "follow its end")
    refused(pickled(op("EMPTY_DICT")), "G, D, G_ema missing")
    refused(pickled(op("EMPTY_LIST")), "its content is not a dict")


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path, "no file"), (tmp_path / "pipe", "no file"), (tmp_path / "none.pkl", "no such file")):
        with pytest.raises(InputError, match=f"^{path}: .*{words}"):
            read_snapshot(path)
    with open(tmp_path / "sparse.pkl", "wb") as file:
        file.write(b"\x80\x04")
        file.truncate(2**40)
    with pytest.raises(InputError, match="1099511627776 bytes"):
        read_snapshot(tmp_path / "sparse.pkl")


@pytest.mark.parametrize(
    "operations, words",
    [
        ((op("BINBYTES8", struct.pack("<Q", 2**60)),), "1152921504606846985 bytes announced"),
        ((op("BINUNICODE8", struct.pack("<Q", 2**64 - 1)),), "bytes announced"),
        ((op("BINBYTES", struct.pack("<I", 2**32 - 1)),), "bytes announced"),
        ((op("BINUNICODE", struct.pack("<I", 2**31)),), "bytes announced"),
        ((op("SHORT_BINBYTES", b"\xff"),), "bytes announced"),
        ((op("FRAME", struct.pack("<Q", 2**60)),), "bytes announced"),
        ((op("LONG1", b"\xff" + 255 * b"\x7f"),), "a number of 255 bytes"),
        ((op("NONE"), op("LONG_BINPUT", b"\xff\xff\xff\xff")), "memo 4294967295"),
        ((op("NONE"), op("LONG_BINPUT", struct.pack("<I", 500_000))), "memo 500000"),
        ((200_000 * op("EMPTY_LIST"), 199_999 * op("APPEND")), "more than 100000 values wait"),
        ((1_000_000 * op("MARK"), op("NONE"), 1_000_000 * op("TUPLE")), "nested deeper than 1000"),
        ((op("EMPTY_LIST") + 100_000 * op("NONE"),), "more than 100000 values wait"),
    ],
)
def test_what_would_fill_the_memory_is_refused_before_it_does(
    refused: Callable[..., str], operations: tuple[bytes, ...], words: str
) -> None:
    tracemalloc.start()
    try:
        refused(pickled(*operations), words)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_the_deepest_nesting_that_is_let_through_ends_without_a_crash(refused: Callable[..., str]) -> None:
    deep = op("NONE") + 900_000 * op("TUPLE1")
    refused(pickled(op("EMPTY_DICT"), text("G"), deep, op("SETITEM")), "missing")
    networks = dictionary(G=deep, D=op("NONE"), G_ema=op("NONE"))
    refused(pickled(networks), "missing")
    refused(pickled(dictionary(G=op("EMPTY_TUPLE"), D=op("EMPTY_TUPLE"), G_ema=deep)), "not a network module")
    records = name("collections", "OrderedDict") + op("BINPUT", b"\0")
    nested = records + op("EMPTY_TUPLE") + 300_000 * (op("REDUCE") + op("TUPLE1") + op("BINPUT", b"\1"))
    refused(pickled(nested))


def test_modules_inside_one_another_without_end_are_refused(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any]
) -> None:
    circle = stand_ins.by_reference(stand_ins.sequential)
    circle._modules["0"] = circle
    refused(pickle.dumps(content | {"D": circle}, protocol=3), "modules nested deeper than 16")
    deep = stand_ins.module()
    for _ in range(40):
        deep = stand_ins.module(modules={"m": deep})
    refused(pickle.dumps(content | {"D": deep}, protocol=3), "modules nested deeper than 16")


def test_names_that_are_objects_are_not_unfolded_into_messages(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any], tmp_path: Path
) -> None:
    laugh: Any = stand_ins.made(stand_ins.metadata)
    for _ in range(60):
        laugh = stand_ins.made(stand_ins.metadata, a=laugh, b=laugh, c=[laugh, laugh])
    laugh.circle = laugh
    message = refused(pickle.dumps(content | {"G": stand_ins.module(buffers={laugh: None})}, protocol=3))
    assert message.endswith("G._buffers: an object of Metadata is no name of a module or tensor")
    snapshot = read_snapshot(written(content | {laugh: 1}, tmp_path / "key.pkl"))
    assert "an object of Metadata: not needed" in snapshot.skipped


def test_shared_modules_cannot_multiply_without_end(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any]
) -> None:
    laugh = stand_ins.module(buffers=dict.fromkeys(map(str, range(10))))
    for _ in range(12):
        laugh = stand_ins.module(modules=dict.fromkeys(map(str, range(10)), laugh))
    refused(pickle.dumps(content | {"G": laugh}, protocol=3), "more than 20000 modules and tensors")


def _with_config(content: dict[str, Any], stand_ins: StandIns, config: Any) -> bytes:
    return pickle.dumps(content | {"G": stand_ins.module(cfg=config)}, protocol=3)


def test_settings_in_a_circle_are_refused(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any]
) -> None:
    config = stand_ins.config({"a": {"b": 1}})
    config._content["a"]._content["b"] = config
    refused(_with_config(content, stand_ins, config), "nested deeper than 24")
    parents = stand_ins.config({"a": 1})
    parents._parent = parents
    refused(_with_config(content, stand_ins, parents), "their own parents")
    listed: list[Any] = []
    listed.append(listed)
    refused(pickle.dumps(content | {"training_set_kwargs": {"a": listed}}, protocol=3), "nested deeper than 24")


def test_shared_settings_cannot_multiply_without_end(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any]
) -> None:
    laugh: Any = "ha"
    for _ in range(15):
        laugh = 10 * [laugh]
    refused(pickle.dumps(content | {"training_set_kwargs": {"a": laugh}}, protocol=3), "too many")
    config: dict[str, Any] = {"x0": "ha"}
    for i in range(12):
        config[f"x{i + 1}"] = {str(k): f"${{x{i}}}" for k in range(10)}
    refused(_with_config(content, stand_ins, stand_ins.config(config)), "multiply")


def test_a_numpy_number_of_an_unknown_type_or_length_is_refused(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any]
) -> None:
    for dtype, raw, words in (
        (np.dtype("O"), b"\x80\x04N.", "no known type"),
        (np.dtype("f8"), b"1234", "bytes of f8"),
        (np.dtype("V400000000"), b"", "no known type"),
        (3, bytes(8), "no known type"),
    ):
        gain = Reduced(stand_ins.scalar, dtype, raw)
        refused(pickle.dumps(content | {"stats": {"gain": gain}}, protocol=3), words)


def test_moments_that_do_not_belong_to_the_parameters_are_refused(
    refused: Callable[..., str], stand_ins: StandIns, content: dict[str, Any]
) -> None:
    state = content["G_opt"].state
    (key,) = state
    good = state[key]
    for change, words in (
        ({"step": -1}, "number of steps"),
        ({"step": 1.5}, "number of steps"),
        ({"step": float("inf")}, "not a finite number"),
        ({"step": None}, "not a finite number"),
        ({"exp_avg": torch.zeros(5)}, "does not have the shape (4,)"),
        ({"exp_avg": 0}, "is not a tensor"),
    ):
        state[key] = good | change
        refused(pickle.dumps(content, protocol=3), words)
    state[key] = good
    state["stray"] = good
    refused(pickle.dumps(content, protocol=3), "not in its group")


# --- damage


def _readable_or_refused(path: Path) -> Snapshot | None:
    """Any exception but the one for users is a failure of the test."""
    try:
        return read_snapshot(path)
    except InputError:
        return None


def test_a_file_cut_off_anywhere_is_refused(refused: Callable[..., str], content: dict[str, Any]) -> None:
    raw = pickle.dumps(content, protocol=4)
    for end in (*range(3, 60), *range(60, len(raw), 97), len(raw) - 1):
        refused(raw[:end])
    real = SAMPLE.read_bytes()
    for end in (10, 1000, len(real) // 3, len(real) // 2, len(real) - 1):
        refused(real[:end])


def _flipped(raw: bytes, chance: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def test_a_damaged_file_is_read_or_refused_and_nothing_else(content: dict[str, Any], tmp_path: Path) -> None:
    chance = random.Random(3)
    raw = pickle.dumps(content, protocol=4)
    path = tmp_path / "damaged.pkl"
    outcomes = []
    for _ in range(200):
        path.write_bytes(_flipped(raw, chance))
        outcomes.append(_readable_or_refused(path) is None)
    assert 20 < sum(outcomes) < 200  # some hit a number of a tensor, most do not


@pytest.mark.slow
def test_the_damaged_sample_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    chance = random.Random(4)
    raw = SAMPLE.read_bytes()
    path = tmp_path / "damaged.pkl"
    outcomes = []
    for _ in range(30):
        path.write_bytes(_flipped(raw, chance))
        outcomes.append(_readable_or_refused(path) is None)
    assert 3 < sum(outcomes) < 30


_WITH_LITTLE_MEMORY = """
import resource, sys
from errors import InputError
from stylegan_v.official.snapshot import read_snapshot

pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[1:]:
    try:
        read_snapshot(path)
    except InputError as error:
        print("refused:", error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space as Linux does")
def test_hostile_files_are_refused_within_200_mib(stand_ins: StandIns, content: dict[str, Any], tmp_path: Path) -> None:
    laugh: Any = "ha"
    for _ in range(15):
        laugh = 10 * [laugh]
    files = {
        "bytes": pickled(op("BINBYTES8", struct.pack("<Q", 2**60))),
        "frame": pickled(op("FRAME", struct.pack("<Q", 2**60))),
        "memo": pickled(op("NONE"), op("LONG_BINPUT", b"\xff\xff\xff\xff")),
        "lists": pickled(1_000_000 * op("EMPTY_LIST"), 999_999 * op("APPEND")),
        "sets": pickled(op("EMPTY_LIST"), op("MARK"), 99_000 * op("EMPTY_SET"), op("APPENDS")),
        "marks": pickled(1_000_000 * op("MARK")),
        "zip": _zipped(1_000_000_000),
        "laughs": pickle.dumps(content | {"training_set_kwargs": {"a": laugh}}, protocol=3),
        "strides": pickle.dumps(
            content
            | {"G": stand_ins.module(buffers={"b": stand_ins.tensor(torch.zeros(3), size=(2**30,), stride=(0,))})},
            protocol=3,
        ),
    }
    paths = []
    for key, raw in files.items():
        paths.append(tmp_path / f"{key}.pkl")
        paths[-1].write_bytes(raw)
    command = [sys.executable, "-c", _WITH_LITTLE_MEMORY, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    lines = done.stdout.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["refused", str(path)] for path in paths], done.stdout


_GROWTH = """
import sys
from pathlib import Path
from stylegan_v.official.snapshot import read_snapshot

def memory(key):
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return 1024 * int(line.split()[1])

before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the highest so far is now
snapshot = read_snapshot(sys.argv[1])
print(memory("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts memory as Linux does")
def test_reading_takes_little_more_memory_than_the_file_has(stand_ins: StandIns, tmp_path: Path) -> None:
    module = {
        name: stand_ins.module(buffers={f"b{i}": torch.randn(1_000_000) for i in range(8)})
        for name in ("G", "D", "G_ema")
    }
    path = written(module, tmp_path / "large.pkl", protocol=4)
    size = path.stat().st_size
    command = [sys.executable, "-c", _GROWTH, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert size > 96_000_000
    assert 0.8 * size < int(done.stdout) < 1.2 * size


def test_a_valid_file_is_still_read_after_all_this(content: dict[str, Any], tmp_path: Path) -> None:
    assert read_snapshot(written(content, tmp_path / "good.pkl")).stats["cur_nimg"] == 192
