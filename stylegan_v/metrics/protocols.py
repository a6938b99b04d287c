"""Protocols of evaluation: every choice that a score depends on, under one name and one hash.

Two scores can be compared when their protocol hashes, detector hashes and data manifest hashes agree, and not
otherwise. A protocol is a file of ``configs/metrics/``, or one of the user's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from errors import InputError

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "metrics"
_MAX_BYTES = 100_000
_NOT_HASHED = ("name", "about", "comparable")  # what is said of a protocol, not what it does


@dataclass(frozen=True)
class ClipChoice:
    """Which frames of a video make a clip.

    Args:
        num_frames: Frames of a clip.
        stride: Distance between neighbours, in frames of the video.
    """

    num_frames: int
    stride: int = 1

    @property
    def span(self) -> int:
        """Frames from the first to the last one, both included."""
        return (self.num_frames - 1) * self.stride + 1

    @property
    def required(self) -> int:
        """Frames that a video must have: num_frames x stride, as in the original; shorter videos are skipped."""
        return self.num_frames * self.stride


@dataclass(frozen=True)
class RealChoice:
    """Which clips of the real videos are the reference.

    Args:
        take: "one_clip_per_video"; "every_frame" of every video, each equally, so that long videos count more; or
            "random_frames", as many as there are fakes, drawn without replacement from all frames of all videos.
        starts: Of the clips: "random", uniform over all offsets at which the clip fits, or "zero".
        order: In which videos are taken until there are ``max_num``: that of the "index", or a "random" one.
        max_num: Largest number of clips, or frames for image networks; None: all.
        mirror: Never.
        short_videos: Always skipped, and counted.
    """

    take: Literal["one_clip_per_video", "every_frame", "random_frames"] = "one_clip_per_video"
    starts: Literal["random", "zero"] = "random"
    order: Literal["index", "random"] = "index"
    max_num: int | None = 2048
    mirror: Literal[False] = False
    short_videos: Literal["skipped"] = "skipped"


@dataclass(frozen=True)
class FakeChoice:
    """Which clips are generated.

    Args:
        num: Clips, or frames for image networks, of one draw.
        starts: Time of the first frame: "zero"; or "as_real", whole numbers drawn as the offsets of clips of real
            videos, of which no more than the first ``max_start`` frames are looked at.
        max_start: See ``starts``.
        late_starts: Further times at which all clips of one more draw each start: the curve of long videos.
        truncation_psi: 1 leaves the styles as they are.
        labels: Those of random real videos.
        weights: The averaged ones.
        jpeg_quality: Quality of JPEG through which frames go as if they were stored; None: none.
    """

    num: int = 2048
    starts: Literal["zero", "as_real"] = "zero"
    max_start: int = 1024
    late_starts: tuple[int, ...] = ()
    truncation_psi: float = 1.0
    labels: Literal["of_random_real_videos"] = "of_random_real_videos"
    weights: Literal["averaged"] = "averaged"
    jpeg_quality: int | None = None


@dataclass(frozen=True)
class FilmedChoice:
    """Which clips of generated videos that are files, or of another data set, take the place of fakes.

    Args:
        starts: "zero": the first frames of each video; "random".
        order: As in `RealChoice`.
    """

    starts: Literal["zero", "random"] = "zero"
    order: Literal["index", "random"] = "index"


@dataclass(frozen=True)
class FrameChoice:
    """How frames reach the feature network; what it does with them by itself is part of the network.

    Args:
        size: That of the fakes: real frames of other sizes are brought to it.
        crop: Largest box of that shape, at the centre.
        filter: Bicubic, with a window that grows with the reduction.
        rounding: Of generated frames x in [-1, 1] to bytes.
    """

    size: Literal["that_of_the_fakes"] = "that_of_the_fakes"
    crop: Literal["centre"] = "centre"
    filter: Literal["bicubic_antialiased"] = "bicubic_antialiased"
    rounding: Literal["x*127.5+128 clipped to 0..255, truncated"] = "x*127.5+128 clipped to 0..255, truncated"


@dataclass(frozen=True)
class Frechet:
    """Frechet distance of Gaussians.

    Args:
        covariance: "biased" divides by N, "unbiased" by N - 1.
    """

    covariance: Literal["biased", "unbiased"] = "biased"


@dataclass(frozen=True)
class Kernel:
    """Unbiased squared maximum mean discrepancy under the kernel (x . y / D + 1)^3, times ``scale``.

    Args:
        num_subsets: Mean over so many random subsets of both sets; None: all pairs once.
        subset_size: Largest number of items of a subset.
        scale: Factor of the result.
        num_resamples: Of the bootstrap that tells its spread, where all pairs are taken.
    """

    num_subsets: int | None = None
    subset_size: int = 1000
    scale: float = 1.0
    num_resamples: int = 200


@dataclass(frozen=True)
class Inception:
    """Inception score: exp of the mean divergence of class probabilities from their mean, averaged over splits.

    Args:
        num_splits: Equal parts, one score each.
        shuffle_seed: Of the order in which probabilities are shared out; None: as they come.
    """

    num_splits: int = 10
    shuffle_seed: int | None = None


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
        }
        for key, value in positive.items():
            if value < 1:
                raise InputError(f"{self.name}: {key}: too small: give a larger number")
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
    from stylegan_v.checkpoints import parse_config

    with path.open("rb") as file:
        config = parse_config(file.read(_MAX_BYTES).decode(errors="replace"), path)
    return _parse(config, path)


def _parse(config: Mapping[str, Any], path: Path) -> MetricProtocol:
    """Plain values as a protocol; types are checked by the parser of all configs."""
    from jsonargparse import ArgumentError, ArgumentParser

    from command_line import one_line

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(MetricProtocol, skip={"name", "measure"}, fail_untyped=True)
    (kind, options), *more = (config.get("measure") or {"": None}).items()
    if more or kind not in _MEASURES:
        raise InputError(f"{path}: measure: give one of {', '.join(_MEASURES)}, with its options below it")
    parser.add_class_arguments(_MEASURES[kind], "measure")
    values = {key: value for key, value in config.items() if key != "measure"} | {"measure": options or {}}
    try:
        made = parser.instantiate(parser.parse_object(values))
        return MetricProtocol(**vars(made), name=path.stem)
    except InputError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {one_line(str(error), [])}") from error


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


_MEASURES = {"frechet": Frechet, "kernel": Kernel, "inception_score": Inception}
