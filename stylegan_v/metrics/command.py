"""What ``python -m stylegan_v.metrics`` does: opens both sides, carries protocols out one after the other."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from tqdm import tqdm

from errors import InputError
from stylegan_v.metrics.curves import draw_late
from stylegan_v.metrics.detectors.interface import Detector
from stylegan_v.metrics.detectors.table import load_detector
from stylegan_v.metrics.evaluation import Options, evaluate
from stylegan_v.metrics.protocols import MetricProtocol, read_protocol
from stylegan_v.metrics.ranks import Ranks
from stylegan_v.metrics.results import append_line, as_text
from stylegan_v.metrics.sides import FilmedSide, GeneratedSide, LabelSource, Part, RealSide, is_generator
from stylegan_v.pretrained import load_generator
from stylegan_v.weights import find_weights


@dataclass(frozen=True)
class Request:
    """What was asked for; see `stylegan_v.metrics.__main__.measure`."""

    fake: str
    real: str | None = None
    part: Part = "all"
    labels: LabelSource = "none"
    changes: Mapping[str, Any] = field(default_factory=dict)
    detector_path: str | None = None
    batch_frames: int = 128
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cache_dir: str | None = None
    out: str = "metrics.jsonl"


def carry_out(request: Request, names: Sequence[str]) -> bool:
    """Computes, prints and keeps the scores; what cannot be computed is said, and the rest goes on.

    Args:
        request: What was asked for.
        names: Of the protocols.

    Returns:
        Whether all could be computed.

    Raises:
        InputError: No protocol could be computed at all because of what was given.
    """
    protocols = [read_protocol(name).changed(**request.changes) for name in names]
    if request.batch_frames < 1:
        raise InputError(f"batch_frames: {request.batch_frames}: give at least 1")
    if request.detector_path is not None and len({protocol.detector for protocol in protocols}) > 1:
        raise InputError("detector_path: the protocols have several feature networks: give those of one at a time")
    out = Path(request.out).expanduser()
    with processes():
        first = Ranks().rank == 0
        device = _device(request.device)
        real, fake = open_sides(request, device)
        _require_writable(out)
        missing = 0
        for protocol in protocols:
            try:
                record = _one(protocol, real, fake, request, device)
            except InputError as error:
                if len(protocols) == 1:
                    raise
                missing += 1
                if first:
                    print(f"metrics: {protocol.name}: left out: {' '.join(str(error).split())}", file=sys.stderr)
                continue
            if first:
                print(as_text(record), flush=True)  # before anything can go wrong with the file
                append_line(out, record)
                title = f"{protocol.plain_name}, by first frame"
                draw_late(record, title, out.with_name(f"{out.stem}.{protocol.plain_name}.late.png"))
        return not missing


def open_sides(request: Request, device: torch.device) -> tuple[RealSide, GeneratedSide | FilmedSide]:
    """Both sides of the comparison.

    Raises:
        InputError: There are no videos or weights, or it is not known what to compare with.
    """
    generated = is_generator(request.fake)
    if request.real is None and not generated:
        raise InputError(f"fake: {request.fake}: videos do not say what they are to be compared with: give --real")
    real = RealSide.open(request.real or request.fake, request.part, request.labels)
    if not generated:
        return real, FilmedSide.open(request.fake)
    path = find_weights(Path(request.fake).expanduser())
    side = GeneratedSide(load_generator(path).to(device), real, str(path), _sha256(path))
    if side.generator.c_dim and side.labels is None and Ranks().rank == 0:
        print(
            f"metrics: {real.name}: without labels of {side.generator.c_dim} values, so those of fakes are not "
            "drawn from real videos but from all classes equally: give --labels json or folders",
            file=sys.stderr,
        )
    return real, side


@contextmanager
def processes() -> Iterator[None]:
    """Lets the processes that torchrun started talk to each other; one process alone does nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def _one(
    protocol: MetricProtocol, real: RealSide, fake: GeneratedSide | FilmedSide, request: Request, device: torch.device
) -> dict[str, Any]:
    detector = _load(protocol.detector, request.detector_path, device)
    silent = None if Ranks().rank == 0 else True  # None: only in a terminal
    with tqdm(unit="frame", unit_scale=True, desc=protocol.name, disable=silent) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        options = Options(device, request.cache_dir, request.batch_frames, progress=progress)
        return evaluate(protocol, real, fake, detector, options).record()


def _load(name: str, path: str | None, device: torch.device) -> Detector:
    """The feature network, if all processes have it: those that do would wait for the others."""
    detector, problem = None, None
    try:
        detector = load_detector(name, path, device=device)
    except InputError as error:
        problem = error
    problems = [said for said in Ranks().gather(problem and str(problem)) if said]
    if detector is None or problems:
        raise problem or InputError(f"another process: {problems[0]}")
    return detector


def _require_writable(out: Path) -> None:
    """Results that took hours must not be lost for want of a folder."""
    if out.is_dir():
        raise InputError(f"out: {out} is a folder: give the name of a file, such as {out / 'metrics.jsonl'}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # of file systems that make no folders, such as /proc
        raise InputError(f"out: {out.parent} cannot be made: give a file in a folder of yours") from error
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise InputError(f"out: {out} cannot be written: give a file in a folder of yours")


def _device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: there is no CUDA device here: give cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
