"""Protocols of evaluation: every choice that a score depends on, under one name and one hash.

Two scores can be compared when their protocol hashes, detector hashes and data manifest hashes agree, and not
otherwise. A protocol is a file of ``configs/metrics/``, or one of the user's.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from errors import InputError
from plain_config import parse_config
from stylegan_v.metrics.choices import (
    ClipChoice,
    FakeChoice,
    FilmedChoice,
    FrameChoice,
    Frechet,
    Inception,
    Kernel,
    RealChoice,
    smallest,
)

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "metrics"
_MAX_BYTES = 100_000
_MAX_COUNT = 10**7  # of frames, clips, draws, samples: memory would not be enough for more
_EXAMPLE = "the files of configs/metrics show what one looks like"
_NOT_HASHED = ("name", "about", "comparable")  # what is said of a protocol, not what it does


@dataclass(frozen=True)
class MetricProtocol:
    """Everything a score depends on, except for data, generator and the feature network's weights.

    Args:
        about: What it is, in one line.
        detector: Name of the feature network, see ``python -m stylegan_v.metrics.detectors``.
        measure: What is computed from its features.
        clip: Frames of a clip.
        real: The reference.
        fake: Generated clips.
        filmed: What takes their place when fakes are videos in files.
        frames: How frames reach the network.
        equal_num: Whether both sides are cut to the smaller number: Frechet distances depend on it.
        seed: Of all draws.
        num_draws: Independent draws of fakes; the value is their mean, the spread their standard deviation.
        detector_sha256: What the weights must be; None: not known, they are hashed and the hash stands in each result.
        comparable: What a value may be compared with.
        name: That of the file.
    """

    about: str
    detector: str
    measure: Frechet | Kernel | Inception
    clip: ClipChoice
    real: RealChoice = field(default_factory=RealChoice)
    fake: FakeChoice = field(default_factory=FakeChoice)
    filmed: FilmedChoice = field(default_factory=FilmedChoice)
    frames: FrameChoice = field(default_factory=FrameChoice)
    equal_num: bool = False
    seed: int = 0
    num_draws: int = 5
    detector_sha256: str | None = None
    comparable: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        positive = {
            "clip.num_frames": self.clip.num_frames,
            "clip.stride": self.clip.stride,
            "fake.num": self.fake.num,
            "fake.max_start": self.fake.max_start,
            "num_draws": self.num_draws,
            "real.max_num": 1 if self.real.max_num is None else self.real.max_num,
            "seed": self.seed + 1,
            "fake.late_starts": 1 + min(self.fake.late_starts, default=0),
            **{f"measure.{key}": value for key, value in smallest(self.measure).items()},
        }
        for key, value in positive.items():
            if value < 1:
                raise InputError(f"{self.name}: {key}: too small: give a larger number")
            if value > _MAX_COUNT and not key.endswith(("seed", "late_starts")):
                raise InputError(f"{self.name}: {key}: too large: give at most {_MAX_COUNT}")
        if not math.isfinite(self.fake.truncation_psi):
            raise InputError(f"{self.name}: fake.truncation_psi: {self.fake.truncation_psi}: give a number")
        if self.fake.jpeg_quality is not None and not 1 <= self.fake.jpeg_quality <= 100:
            raise InputError(f"{self.name}: fake.jpeg_quality: {self.fake.jpeg_quality}: give 1 to 100, or null")

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller value means better samples."""
        return not isinstance(self.measure, Inception)

    @property
    def plain_name(self) -> str:
        """The name without what was changed."""
        return self.name.partition("[")[0]

    @property
    def choices(self) -> dict[str, Any]:
        """All that decides a score, as plain values."""
        return {name: value for name, value in _plain(self).items() if name not in _NOT_HASHED}

    @property
    def digest(self) -> str:
        """SHA-256 of `choices`: the same for every name and description."""
        return hashlib.sha256(json.dumps(self.choices, sort_keys=True).encode()).hexdigest()

    def changed(self, **changes: Any) -> MetricProtocol:
        """The protocol with other choices, which its name tells.

        Args:
            changes: New values by dotted key, "." written "__": ``fake__num=64``.
        """
        made, said = self, []
        if changes.get("detector", self.detector) != self.detector:
            changes = {"detector_sha256": None, **changes}  # what was said of the other network's weights
        for key, value in changes.items():
            path = key.split("__")
            if _get(made, path) == value:
                continue
            made = _set(made, path, value)
            said.append(f"{'.'.join(path)}={value}")
        return replace(made, name=f"{self.name}[{','.join(said)}]", comparable="") if said else self


def list_protocols() -> list[str]:
    """Names of the protocols that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_protocol(name: str | Path) -> MetricProtocol:
    """The protocol of this name, or in this file.

    Args:
        name: A name of `list_protocols`, or the path of a YAML file.

    Raises:
        InputError: There is none, or it is not readable as one.
    """
    path = Path(name).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name}.yaml"
        if str(name) not in list_protocols():
            raise InputError(f"protocol: no {name}: give a YAML file, or one of {', '.join(list_protocols())}")
    if not path.is_file():
        raise InputError(f"{path}: no such file: give a YAML file, or one of {', '.join(list_protocols())}")
    with path.open("rb") as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise InputError(f"{path}: too large to be a protocol: {_EXAMPLE}")
    return _parse(parse_config(text.decode(errors="replace"), path, _EXAMPLE), path)


def _parse(config: Mapping[str, Any], path: Path) -> MetricProtocol:
    """Plain values as a protocol; types are checked by the parser of all configs."""
    from jsonargparse import ArgumentError, ArgumentParser

    from command_line import one_line

    for key, value in config.items():
        # The parser would import a class that is named here, before it refuses it.
        if (key in _GROUPS and not isinstance(value, dict)) or _names_a_class(value):
            raise InputError(f"{path}: {key}: give names and values below it: {_EXAMPLE}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(MetricProtocol, skip={"name", "measure"}, fail_untyped=True)
    measure = config.get("measure")
    kind, options = next(iter(measure.items())) if isinstance(measure, dict) and len(measure) == 1 else (None, None)
    if kind not in _MEASURES or not isinstance(options or {}, dict):
        raise InputError(f"{path}: measure: give one of {', '.join(_MEASURES)}, with its options below it")
    parser.add_class_arguments(_MEASURES[kind], "measure")
    values = {str(key): value for key, value in config.items() if key != "measure"} | {"measure": options or {}}
    try:
        made = parser.instantiate(parser.parse_object(values))
        return MetricProtocol(**vars(made), name=path.stem)
    except InputError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {one_line(str(error), [])}") from error


def _names_a_class(tree: Any) -> bool:
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return (isinstance(tree, dict) and "class_path" in tree) or any(map(_names_a_class, children))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        tree = {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
        return {type(value).__name__: asdict(value)} if type(value) in _MEASURES.values() else tree
    return list(value) if isinstance(value, tuple) else value


def _get(tree: Any, path: list[str]) -> Any:
    for name in path:
        tree = getattr(tree, name)
    return tree


def _set(tree: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    return replace(tree, **{name: _set(getattr(tree, name), rest, value) if rest else value})


_GROUPS = ("clip", "real", "fake", "filmed", "frames")
_MEASURES = {"frechet": Frechet, "kernel": Kernel, "inception_score": Inception}
