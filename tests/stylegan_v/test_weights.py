"""Files of weights: what goes in comes out, and what is damaged or hostile is refused in one line."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from errors import InputError
from stylegan_v.checkpoints import write_checkpoint
from stylegan_v.weights import NETWORKS, Weights, checkpoint_facts, find_weights, read_weights, write_weights

ROOT = Path(__file__).resolve().parents[2]
NODE = {"class_path": "stylegan_v.networks.Generator", "init_args": {"resolution": 16}}
MODEL = {"class_path": "stylegan_v.gan.VideoGAN", "init_args": {"generator": NODE}}
FACTS = {"updates": 3, "num_clips": 12, "num_frames": 36, "fps": 25.0, "augment_p": 0.5}
FORMAT = {"format": "stylegan_v", "facts": "{}"}


def some_networks() -> dict[str, dict[str, Tensor]]:
    """Tensors of every kind that a state dict may hold."""
    return {
        "generator": {"a.weight": torch.randn(3, 4), "scalar": torch.tensor(2.5)},
        "generator_ema": {"a.weight": torch.randn(4, 3).T, "n": torch.arange(3), "none": torch.zeros(0, 2)},
        "discriminator": {
            "flag": torch.tensor([True, False, True]),
            "half": torch.randn(5).bfloat16(),
            "d": torch.rand(2).double(),
        },
    }


def write_folder(folder: Path, name: str = "generator.safetensors", config: Any = None, **facts: Any) -> Path:
    """A folder with weights and the config beside them."""
    folder.mkdir(exist_ok=True)
    write_weights(folder / name, some_networks(), facts)
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": MODEL} if config is None else config))
    return folder / name


def write_run(folder: Path, **extra: Any) -> Path:
    """A checkpoint as a run leaves it."""
    folder.mkdir(exist_ok=True)
    state = {f"{network}.{name}": t for network, state in some_networks().items() for name, t in state.items()}
    config = {"model": MODEL, "data": {"class_path": "datasets.datamodule.VideoFolder"}}
    counters = {name: FACTS[name] for name in ("updates", "num_clips", "num_frames")}
    data_state = {"update": 3, "fps": 25.0}
    content = {
        "state_dict": state | {"ada.p": torch.tensor(0.5), "mean_path_length": torch.zeros(())},
        "config": yaml.safe_dump(config),
        "counters": counters | {"bad_in_a_row": {}},
        "VideoFolder": data_state,
    }
    write_checkpoint(content | extra, folder / "last.ckpt")
    return folder / "last.ckpt"


def assert_same(found: dict[str, dict[str, Tensor]], expected: dict[str, dict[str, Tensor]]) -> None:
    assert found.keys() == expected.keys()
    for network, state in expected.items():
        assert found[network].keys() == state.keys()
        for name, tensor in state.items():
            assert found[network][name].dtype == tensor.dtype
            assert torch.equal(found[network][name], tensor)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    torch.manual_seed(3)
    path = write_folder(tmp_path / "out", **FACTS)
    weights = read_weights(path)
    torch.manual_seed(3)
    assert_same(weights.networks, some_networks())
    assert (weights.path, weights.model, weights.facts) == (path, MODEL, FACTS)
    assert "tensor(" not in repr(weights)  # a report on weights does not print them


def test_a_checkpoint_and_a_file_of_weights_read_alike(tmp_path: Path) -> None:
    torch.manual_seed(3)
    heavy = read_weights(write_run(tmp_path / "run"))
    torch.manual_seed(3)
    light = read_weights(write_folder(tmp_path / "out", **FACTS))
    assert_same(heavy.networks, light.networks)
    assert (heavy.kind, light.kind) == ("checkpoint", "model")  # it holds a discriminator, whatever its name
    assert (heavy.model, heavy.facts) == (light.model, light.facts)


@pytest.mark.parametrize("wanted", [["generator_ema"], ["generator", "discriminator"], [], ["generator_ema", "ada"]])
def test_only_what_is_wanted_is_read(tmp_path: Path, wanted: list[str]) -> None:
    write_folder(tmp_path, "model.safetensors")
    for path in (tmp_path / "model.safetensors", write_run(tmp_path / "run")):
        weights = read_weights(path, wanted)
        assert set(weights.networks) == set(wanted) & set(NETWORKS)
        assert weights.kind == ("model" if path.suffix == ".safetensors" else "checkpoint")


def test_any_reader_of_the_format_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    networks = some_networks()
    write_weights(path, networks, FACTS)
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == {f"{network}.{name}" for network, state in networks.items() for name in state}
        assert json.loads(file.metadata()["facts"]) == FACTS
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + length])
    assert (8 + length) % 8 == 0
    for name, entry in entries.items():  # aligned to the size of a number
        assert (
            name == "__metadata__"
            or entry["data_offsets"][0] % {"F64": 8, "I64": 8, "F32": 4}.get(entry["dtype"], 1) == 0
        )


def test_tensors_are_writable_and_the_file_stays_as_it_is(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    before = path.read_bytes()
    for tensor in read_weights(path, ["generator"]).networks["generator"].values():
        tensor.add_(1)
    assert path.read_bytes() == before


def test_weights_that_were_read_can_be_written_over_their_own_file(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    read = read_weights(path)
    networks = {network: {name: t.clone() for name, t in state.items()} for network, state in read.networks.items()}
    write_weights(path, read.networks, {})
    assert_same(read.networks, networks)
    assert_same(read_weights(path).networks, networks)


def test_facts_that_make_no_sense_are_not_written(tmp_path: Path) -> None:
    facts = {"updates": -1, "num_clips": 2.5, "num_frames": True, "fps": float("nan"), "augment_p": 1.5, "source": "x"}
    assert read_weights(write_folder(tmp_path, **facts)).facts == {"source": "x"}


@pytest.mark.parametrize(
    ("extra", "missing"),
    [
        ({"counters": None}, {"updates", "num_clips", "num_frames"}),
        ({"counters": {"updates": 3, "num_clips": "many", "num_frames": -1}}, {"num_clips", "num_frames"}),
        ({"VideoFolder": None}, {"fps"}),
        ({"VideoFolder": {"fps": float("inf")}}, {"fps"}),
        ({"VideoFolder": {"fps": True}}, {"fps"}),
    ],
)
def test_a_checkpoint_that_does_not_say_everything(tmp_path: Path, extra: dict[str, Any], missing: set[str]) -> None:
    facts = read_weights(write_run(tmp_path, **extra)).facts
    assert facts == {name: value for name, value in FACTS.items() if name not in missing}


@pytest.mark.parametrize("p", [None, "half", torch.ones(3), torch.tensor(float("nan"))])
def test_a_probability_that_is_none_is_no_fact(p: Any) -> None:
    assert checkpoint_facts({"state_dict": {"ada.p": p}}, {"data": "text"}) == {}


def test_what_is_no_tensor_of_a_network_is_left_out(tmp_path: Path) -> None:
    state = {"generator.a": torch.ones(1), "generator.b": "text", 3: torch.ones(1), "evil.x": torch.ones(1)}
    weights = read_weights(write_run(tmp_path, state_dict=state), [*NETWORKS, "evil", "3"])
    assert weights.networks == {"generator": {"a": torch.ones(1)}}
    save_file(
        {"evil.x": torch.ones(1), "generator.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "a.safetensors", FORMAT
    )
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": MODEL}))
    weights = read_weights(tmp_path / "a.safetensors", [*NETWORKS, "evil", "b"])
    assert weights.networks == {"generator": {"a": torch.ones(1)}}


def test_a_folder_means_its_checkpoint_then_its_networks_then_its_generator(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no weights: give a folder with last\.ckpt, model\.safetensors or gen"):
        find_weights(tmp_path)
    for name in ("generator.safetensors", "model.safetensors", "last.ckpt"):
        (tmp_path / name).touch()
        assert find_weights(tmp_path) == tmp_path / name
    assert find_weights(str(tmp_path / "model.safetensors")) == tmp_path / "model.safetensors"
    with pytest.raises(InputError, match=r"gone: no such file or folder"):
        find_weights(tmp_path / "gone")


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_folder(tmp_path / "out")
    assert read_weights("~/out").path == tmp_path / "out" / "generator.safetensors"


# What is refused.


def refused(path: Path, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_weights(path)
    assert str(caught.value).startswith(str(path.parent)) and "\n" not in str(caught.value)


def test_weights_without_their_config(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    (tmp_path / "config.yaml").unlink()
    refused(path, r"config\.yaml: missing: weights need the config that stood beside them")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list",
        "model: text",
        "model: {init_args: [1]}",
        "model: !!python/object/apply:os.mkdir [executed]",
        "x" * 6_000_000,
        "a: " + "[" * 100_000,
        "a: " + "{b: " * 60 + "1" + "}" * 60,
        "a: &a [*a]",
        "\0",
        b"\xff\xfe\x00",
    ],
    ids=range(11),
)
def test_a_config_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_folder(tmp_path / "out")
    path.with_name("config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(path, r"config\.yaml: its config (is|names)")
    assert not (tmp_path / "executed").exists()


def test_files_that_are_no_weights_or_a_part_of_them(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    content = path.read_bytes()
    for damaged in (
        b"",
        b"hello",
        b"PK\x03\x04",
        content[:8],
        content[:100],
        content[:-1],
        content + b"x",
        content[1:],
    ):
        path.write_bytes(damaged)
        refused(path, r"generator\.safetensors: not a file of weights, or a damaged one")


def with_header(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        (2**63 - 1).to_bytes(8, "little") + b"{}",
        (10_000_001).to_bytes(8, "little") + b" " * 10_000_001,
        with_header(b"[" * 100_000),
        with_header(b'{"a":' * 5000 + b"1" + b"}" * 5000),
        with_header([1]),
        with_header({"generator.a": ONE}),
        with_header({"generator.a": ONE | {"data_offsets": [0, 2**62]}}, bytes(8)),
        with_header({"generator.a": ONE | {"data_offsets": [8, 0]}}, bytes(8)),
        with_header({"generator.a": ONE | {"data_offsets": [4, 12]}}, bytes(12)),
        with_header({"generator.a": ONE | {"shape": [2**40, 2**40]}}, bytes(8)),
        with_header({"generator.a": ONE | {"shape": [-2]}}, bytes(8)),
        with_header({"generator.a": ONE | {"shape": [3]}}, bytes(8)),
        with_header({"generator.a": ONE | {"dtype": "PICKLE"}}, bytes(8)),
        with_header({"generator.a": ONE, "generator.b": ONE}, bytes(8)),
        with_header({"__metadata__": {"format": 3}, "generator.a": ONE}, bytes(8)),
    ],
    ids=range(15),
)
def test_headers_that_lie(tmp_path: Path, content: bytes) -> None:
    path = write_folder(tmp_path)
    path.write_bytes(content)
    refused(path, r"generator\.safetensors: not a file of weights, or a damaged one")


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, "of another program"),
        ({"format": "pt"}, "of another program"),
        ({"facts": "{}"}, "of another program"),
        (FORMAT | {"facts": "{"}, "metadata are damaged"),
        (FORMAT | {"facts": "[" * 100_000}, "metadata are damaged"),
        (FORMAT | {"facts": "[1]"}, "not plain values"),
        (FORMAT | {"facts": '{"updates": "many"}'}, "say that updates is many"),
        (FORMAT | {"facts": '{"updates": -1}'}, "say that updates is -1"),
        (FORMAT | {"facts": '{"num_clips": 1.5}'}, "say that num_clips is 1.5"),
        (FORMAT | {"facts": '{"fps": NaN}'}, "say that fps is nan"),
        (FORMAT | {"facts": '{"fps": "25"}'}, "say that fps is 25"),
        (FORMAT | {"facts": '{"augment_p": 1e999}'}, "say that augment_p is inf"),
        (FORMAT | {"facts": '{"source": ["x"]}'}, "say that source is"),
        (FORMAT | {"facts": '{"updates": ' + "9" * 5000 + "}"}, "metadata are damaged"),
    ],
)
def test_metadata_that_are_not_ours(tmp_path: Path, metadata: dict[str, str] | None, says: str) -> None:
    path = write_folder(tmp_path)
    save_file({"generator_ema.a": torch.ones(1)}, path, metadata)
    refused(path, rf"generator\.safetensors: .*{says}")


def test_no_damage_to_a_file_brings_anything_but_a_refusal(tmp_path: Path) -> None:
    path = write_folder(tmp_path, **FACTS)
    content = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    draw = random.Random(0)
    read = refusals = 0
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(draw.choice([1, 1, 2, 5])):
            damaged[draw.randrange(header)] = draw.choice([draw.randrange(256), *b'0123456789[]{},":'])
        path.write_bytes(damaged)
        try:
            assert isinstance(read_weights(path), Weights)
            read += 1
        except InputError:
            refusals += 1
    assert read > 0 and refusals > 200


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    path = tmp_path / "generator.safetensors"
    write_weights(path, some_networks(), {})
    before = path.read_bytes()
    (tmp_path / f".{path.name}.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write_weights(path, {"generator": {"a": torch.zeros(1_000_000)}}, {})
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


_WRITER = """
import sys
from pathlib import Path
import torch
from stylegan_v.weights import write_weights

def kilobytes(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

folder = Path(sys.argv[1])
write_weights(folder / "warm.safetensors", {"generator": {"a": torch.ones(3)}}, {})
networks = {"generator": {str(i): torch.ones(1 << 20) for i in range(32)}}  # 128 MiB, resident
before = kilobytes("VmRSS")
write_weights(folder / "a.safetensors", networks, {})
print((kilobytes("VmHWM") - before) / 1024)
"""


def test_writing_makes_no_copy_of_the_tensors(tmp_path: Path) -> None:
    if not os.path.exists("/proc/self/status"):
        pytest.skip("the system does not tell the largest memory of a process")
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (tmp_path / "a.safetensors").stat().st_size > 128 * 2**20
    assert float(done.stdout) < 16  # MiB
