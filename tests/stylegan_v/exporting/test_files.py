"""Files draw what sampling draws, at any time and in any numbers; what does not is not written."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from errors import InputError
from stylegan_v.exporting.checking import TOLERANCE, checked_times
from stylegan_v.exporting.files import Exported, write_generator
from stylegan_v.exporting.formats import METADATA, OPSETS, FileFormat, Onnx, Pt2, Run
from stylegan_v.exporting.inputs import Port, draw_inputs
from stylegan_v.networks import Generator
from stylegan_v.rendering import draw_latents, render_float
from tests.stylegan_v.exporting.small import DISTANCE, KINDS, REACH, generator

AIM = 1e-5
FACTS = {"source": "last.ckpt", "updates": 7}


def expected(network: Generator, seed: int, videos: Sequence[int], t: Tensor) -> Tensor:
    return torch.cat(list(render_float(network, draw_latents(network, seed, videos), t)), dim=1)


def check_draws(run: Run, network: Generator) -> None:
    """Other numbers of videos and frames than those of the example, in any order, up to where float32 is lost."""
    for videos, times in [([3, 1, 2], [1000.5, 12.25]), ([5], [0.0]), ([6, 7], [1e9 + 0.5, 1e9 - 3, 1e9, 1e9 + 20])]:
        t = torch.tensor(times, dtype=torch.float64)
        found = run(draw_inputs(network, "z", 9, videos, t))
        torch.testing.assert_close(found, expected(network, 9, videos, t), atol=AIM, rtol=0)


@dataclass(frozen=True)
class Made:
    """A file of a generator with labels, and what it draws."""

    written: Exported
    run: Run


def made(folder: Path, format: FileFormat) -> Made:
    written = write_generator(generator(c_dim=3), folder / "g.file", format, facts=FACTS)
    return Made(written, format.open(written.path))


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("onnx"), Onnx())


@pytest.fixture(scope="module")
def pt2_file(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("pt2"), Pt2())


@pytest.fixture(params=["onnx", "pt2"])
def file(request: pytest.FixtureRequest) -> Made:
    """Each of the two."""
    return request.getfixturevalue(f"{request.param}_file")


def test_a_file_draws_what_sampling_draws(file: Made) -> None:
    written = file.written

    assert written.difference < AIM
    assert written.num_bytes == written.path.stat().st_size
    assert 0.0 in written.times and 1000.5 in written.times
    assert any(time > DISTANCE and time % 1 for time in written.times)
    check_draws(file.run, generator(c_dim=3))


def test_an_onnx_file_is_whole_and_of_the_opset_that_is_said(onnx_file: Made) -> None:
    path = onnx_file.written.path
    model = onnx.load(path, load_external_data=False)

    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 18)]
    assert model.ir_version == 8
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert [path.name for path in sorted(path.parent.iterdir())] == ["g.file", "g.file.json"]


def test_an_onnx_file_describes_what_it_takes(onnx_file: Made) -> None:
    session = onnxruntime.InferenceSession(onnx_file.written.path, providers=["CPUExecutionProvider"])

    assert {one.name: (one.type, one.shape) for one in session.get_inputs()} == {
        "z": ("tensor(float)", ["batch", 8]),
        "truncation_psi": ("tensor(float)", ["batch"]),
        "t": ("tensor(double)", ["batch", "frames"]),
        "motion_z": ("tensor(float)", ["batch", "codes", 6]),
        "first_code": ("tensor(int64)", ["batch"]),
        "c": ("tensor(float)", ["batch", 3]),
    }
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("frames", ["batch", "frames", 3, 8, 8])]
    metadata = session.get_modelmeta().custom_metadata_map
    ports = json.loads(metadata["inputs"])
    assert {port["name"]: port["shape"] for port in ports} == {one.name: one.shape for one in session.get_inputs()}
    assert f"floor(t / {DISTANCE}) + {REACH + 1}" in next(one["meaning"] for one in ports if one["name"] == "motion_z")
    assert metadata["format"] == "ONNX, opset 18"
    assert json.loads(metadata["facts"]) == FACTS


def embedded(path: Path) -> dict[str, Any]:
    """What a file says of itself, texts and JSON."""
    extra = {METADATA: ""}
    if zipfile.is_zipfile(path):
        torch.export.load(path, extra_files=extra)
        return json.loads(extra[METADATA])
    texts = {one.key: one.value for one in onnx.load(path).metadata_props}
    return {name: json.loads(text) if text[0] in "[{0123456789" else text for name, text in texts.items()}


def test_the_description_beside_is_the_one_inside_with_the_check(file: Made) -> None:
    written = file.written

    beside = json.loads((written.path.parent / f"{written.path.name}.json").read_text())

    check = beside.pop("check")
    assert check == {"times": written.times, "largest_difference_from_pytorch": written.difference}
    assert beside == embedded(written.path)
    assert beside["resolution"] == [8, 8]
    assert beside["motion"] == {
        "kind": "MotionEncoder",
        "encoding": "AcyclicEncoding",
        "distance": 8,
        "codes_beyond": 4,
    }
    assert beside["facts"] == FACTS


def test_a_file_names_no_place_on_the_machine_that_made_it(file: Made) -> None:
    content = file.written.path.read_bytes()

    assert b"synthesis" in content  # names of weights are there
    for place in (str(Path(__file__).resolve().parents[3]), str(Path(torch.__file__).parents[1]), ".py"):
        assert place.encode() not in content


def test_a_file_refuses_times_outside_of_its_window(file: Made) -> None:
    inputs = draw_inputs(generator(c_dim=3), "z", 0, [0], torch.tensor([40.0], dtype=torch.float64))

    for moved in (-1, 1):
        with pytest.raises(Exception, match=r"(?i)out of (range|bounds)"):
            file.run({**inputs, "first_code": inputs["first_code"] + moved})


def test_a_program_can_move_to_another_device(pt2_file: Made) -> None:
    program = move_to_device_pass(torch.export.load(pt2_file.written.path), "meta")
    inputs = draw_inputs(generator(c_dim=3), "z", 0, [0], torch.tensor([40.0], dtype=torch.float64))

    frames = program.module()(**{name: tensor.to("meta") for name, tensor in inputs.items()})

    assert (frames.device.type, frames.shape) == ("meta", (1, 1, 3, 8, 8))


class Spoilt(FileFormat):
    """A file that is off by so much."""

    name = "spoilt"

    def __init__(self, network: Generator, by: float) -> None:
        self.network, self.by = network, by

    def serialize(self, program: ExportedProgram, ports: Sequence[Port], metadata: Mapping[str, Any]) -> bytes:
        return b"new"

    def open(self, path: Path) -> Run:
        assert path.read_bytes() == b"new"

        def run(inputs: Mapping[str, Tensor]) -> Tensor:
            frames = self.network.synthesis(inputs["ws"], inputs["t"])
            frames[-1, -1, -1, -1, -1] += self.by
            return frames

        return run


@pytest.mark.parametrize("by", [2 * TOLERANCE, math.nan])
def test_a_file_that_differs_is_not_written(by: float, tmp_path: Path) -> None:
    network = KINDS["images with labels"]()
    path = tmp_path / "g.onnx"
    path.write_bytes(b"old")

    with pytest.raises(InputError, match=r"differ from PyTorch's by (0\.0002|nan), more than 0\.0001"):
        write_generator(network, path, Spoilt(network, by), "ws")

    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("g.onnx", b"old")]


def test_a_file_that_differs_by_rounding_replaces_the_old_one(tmp_path: Path) -> None:
    network = KINDS["images with labels"]()
    path = tmp_path / "g.onnx"
    path.write_bytes(b"old")

    written = write_generator(network, path, Spoilt(network, TOLERANCE / 2), "ws")

    assert written.difference == pytest.approx(TOLERANCE / 2, rel=0.05)
    assert path.read_bytes() == b"new"


@pytest.mark.slow
@pytest.mark.parametrize("format", [Onnx(), Pt2()], ids=["onnx", "pt2"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_exported(kind: str, format: FileFormat, tmp_path: Path) -> None:
    network = KINDS[kind]()

    written = write_generator(network, tmp_path / "g", format)

    assert written.times == checked_times(network)
    assert written.difference < AIM
    check_draws(format.open(written.path), network)


@pytest.mark.slow
@pytest.mark.parametrize("format", [Onnx(), Pt2()], ids=["onnx", "pt2"])
def test_a_file_can_take_styles(format: FileFormat, tmp_path: Path) -> None:
    network = generator(c_dim=3)

    written = write_generator(network, tmp_path / "g", format, "ws")

    t = torch.tensor([1000.5, 12.25], dtype=torch.float64)
    inputs = draw_inputs(network, "ws", 9, range(3), t)
    inputs["ws"][:, 1:] = inputs["ws"][:1, 1:].clone()
    mixed = replace(draw_latents(network, 9, range(3)), ws=inputs["ws"])
    frames = torch.cat(list(render_float(network, mixed, t)), dim=1)
    torch.testing.assert_close(format.open(written.path)(inputs), frames, atol=AIM, rtol=0)


@pytest.mark.slow
def test_the_latest_opset_draws_the_same(tmp_path: Path) -> None:
    format = Onnx(OPSETS[-1])

    written = write_generator(generator(), tmp_path / "g", format)

    assert [(one.domain, one.version) for one in onnx.load(written.path).opset_import] == [("", 23)]
    check_draws(format.open(written.path), generator())
