"""The project's frame holds together: versions, documents, what the rooms import when they start."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CODE = [p for name in ("stylegan_v", "datasets", "fields") for p in sorted((ROOT / name).rglob("*.py"))]
TOP_LEVEL = {
    "train",
    "generate",
    "generate_options",
    "command_line",
    "errors",
    "torchvision_guard",
    "weight_files",
    "plain_config",
}
CODE += [ROOT / f"{name}.py" for name in sorted(TOP_LEVEL)]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"stylegan_v", "datasets", "fields", *TOP_LEVEL}
MODULES = {  # where they differ
    "flip-evaluator": "flip_evaluator",
    "huggingface-hub": "huggingface_hub",
    "pillow": "PIL",
    "pytorch-lightning": "pytorch_lightning",
    "pyyaml": "yaml",
    "torch-fidelity": "torch_fidelity",
}


def requirements(lines: list[str]) -> dict[str, Requirement]:
    """Requirements by normalised name, comments left out."""
    parsed = [Requirement(line) for line in (line.partition("#")[0].strip() for line in lines) if line]
    return {re.sub(r"[-_.]+", "-", one.name).lower(): one for one in parsed}


def pinned(name: str) -> dict[str, Requirement]:
    return requirements((ROOT / name).read_text().splitlines())


def only_version(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    return specifier.version


def test_every_pin_lies_within_the_bounds_of_the_project() -> None:
    bounds = requirements([*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())])
    pins = pinned("requirements.txt")

    assert set(pins) == set(bounds)
    for name, pin in pins.items():
        assert bounds[name].specifier.contains(only_version(pin)), name
        assert {specifier.operator for specifier in bounds[name].specifier} == {">=", "<"}
        assert (pin.extras, str(pin.marker)) == (bounds[name].extras, str(bounds[name].marker))


def test_constraints_name_one_public_version_of_everything_else() -> None:
    constraints = pinned("constraints.txt")

    assert not set(constraints) & set(pinned("requirements.txt"))
    for name, constraint in constraints.items():
        assert "+" not in only_version(constraint), name
        assert constraint.url is None
        assert not re.match("nvidia|cuda|triton", name)


def imported_names(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_dependencies_are_what_the_code_imports() -> None:
    used = set().union(*(imported_names(path) for path in CODE)) - OURS - sys.stdlib_module_names - {""}
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *extras["export"], *extras["fid"], *extras["flip"]]
    stated = {MODULES.get(name, name) for name in requirements(needed)}

    assert used - stated == set(), "imported, but no dependency"
    assert stated - used == set(), "a dependency that nothing imports"


def unsafe_loads(path: Path) -> list[str]:
    """Where a file calls `torch.load` without saying that nothing but tensors and plain values may come of it."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [
        f"{path.name}:{call.lineno}"
        for call in calls
        if ast.unparse(call.func).endswith(("torch.load", "load_from_checkpoint"))
        and not any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in call.keywords)
    ]


def test_nothing_is_unpickled_from_a_checkpoint(tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text("torch.load(a)\ntorch.load(a, weights_only=False)\ntorch.load(a, weights_only=True)\n")
    assert unsafe_loads(example) == ["example.py:1", "example.py:2"]
    folders = [p for name in ("benchmarks", "tests") for p in sorted((ROOT / name).rglob("*.py"))]
    assert [place for path in [*CODE, *folders] for place in unsafe_loads(path)] == []


def documents() -> str:
    return "\n".join((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))


def test_documents_name_files_that_exist() -> None:
    text = documents()
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    named = set(re.findall(r"\bconfigs/[\w/]+\.yaml|\b(?:stylegan_v|datasets|benchmarks|tests)/[\w/]+\.py", text))

    missing = sorted(name for name in links | named if not (ROOT / name).exists())
    assert not missing


def test_documents_name_modules_that_exist() -> None:
    for module in set(re.findall(r"python -m ((?:stylegan_v|datasets|fields)[\w.]*)", documents())):
        assert importlib.util.find_spec(module), module


def test_documents_name_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"(?:^|`)make ([a-z-]+)", documents(), re.MULTILINE))

    assert {"demo", "test", "test-all", "lint"} <= targets
    assert asked <= targets


def imported_by(code: str) -> set[str]:
    """Top-level modules loaded in a fresh interpreter after ``code``."""
    code += "\nimport sys; print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("loaded:")[2].split())


def answers(program: str, *arguments: str) -> str:
    """Code that runs a program of the checkout with ``arguments`` up to its exit."""
    return (
        "import runpy, sys\n"
        f"sys.argv = {[program, *arguments]}\n"
        f"try: runpy.run_path({program!r}, run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code, stop.code"
    )


def test_networks_and_losses_load_neither_lightning_nor_data() -> None:
    rooms = ["networks", "ops", "noise", "losses", "augment", "rendering"]
    loaded = imported_by("import " + ", ".join(f"stylegan_v.{room}" for room in rooms))
    assert loaded & {"pytorch_lightning", "torchmetrics", "datasets", "kornia", "decord", "av"} == set()


def test_data_sources_load_no_network_and_no_lightning() -> None:
    loaded = imported_by("import datasets.sources, datasets.index, datasets.clips, datasets.synthetic")
    assert loaded & {"pytorch_lightning", "torchmetrics", "stylegan_v", "fields", "kornia"} == set()


def test_the_package_loads_nothing_before_it_is_used() -> None:
    loaded = imported_by("import stylegan_v; assert 'from_pretrained' in stylegan_v.__all__")
    assert loaded & {"torchvision", "huggingface_hub", "safetensors", "yaml", "einops"} == set()


def test_weights_are_read_without_lightning_data_and_network() -> None:
    loaded = imported_by("from stylegan_v import from_pretrained")
    unneeded = {"pytorch_lightning", "torchmetrics", "datasets", "kornia", "huggingface_hub", "httpx", "httpx2"}
    assert loaded & unneeded == set()


@pytest.mark.parametrize("module", ["sources", "index", "clips", "datamodule", "video_writer", "prepare"])
def test_decoders_are_loaded_with_the_first_video_file(module: str) -> None:
    assert imported_by(f"import datasets.{module}") & {"av", "decord"} == set()


@pytest.mark.parametrize(
    "command, unneeded",
    [
        (
            ("generate.py", "--help"),
            {"pytorch_lightning", "torchmetrics", "torchvision", "kornia", "tensorboard", "av"},
        ),
        (("train.py", "fit", "--help"), {"kornia", "tensorboard", "av", "decord"}),
    ],
    ids=["generate", "train"],
)
def test_help_loads_nothing_that_only_work_needs(command: tuple[str, ...], unneeded: set[str]) -> None:
    assert imported_by(answers(*command)) & unneeded == set()
