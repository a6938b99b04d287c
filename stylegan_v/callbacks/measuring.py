"""Which scores a run is given: protocols, the feature networks that they ask for, and what becomes of a result.

The rooms of metrics are imported where they are used: most runs are not evaluated, and do without them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from errors import InputError

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from datasets.datamodule import ClipDataModule
    from stylegan_v.metrics.collecting import Options
    from stylegan_v.metrics.detectors.interface import Detector
    from stylegan_v.metrics.evaluation import Evaluation as _Evaluation
    from stylegan_v.metrics.protocols import MetricProtocol
    from stylegan_v.metrics.sides import Part, RealSide
    from stylegan_v.networks import Generator


@dataclass(frozen=True)
class Measurement:
    """A protocol and its feature network.

    Attributes:
        protocol: What is computed.
        detector: On the device of the run.
    """

    protocol: MetricProtocol
    detector: Detector


def read_protocols(names: Sequence[str]) -> list[MetricProtocol]:
    """The protocols of these names or files, each once.

    Raises:
        InputError: There is no such protocol, or two have the same name.
    """
    from stylegan_v.metrics.protocols import read_protocol

    protocols = [read_protocol(name) for name in names]
    taken: set[str] = set()
    for protocol in protocols:
        if protocol.name in taken:
            raise InputError(f"evaluation.protocols: {protocol.name} is there twice: leave one out, or rename its file")
        taken.add(protocol.name)
    return protocols


def load_measurements(
    protocols: Sequence[MetricProtocol],
    paths: Mapping[str, str],
    device: torch.device,
    try_out: Callable[[Measurement], None],
    agreed: Callable[[bool], bool] = bool,
) -> list[Measurement]:
    """The protocols with their feature networks; those that cannot be carried out are left out, in a line per reason.

    Args:
        protocols: In the order in which they are measured.
        paths: Files of weights by name of the network; those of the others are looked for in the cache folder.
        device: Where the networks compute.
        try_out: Raises `InputError` for what cannot be measured.
        agreed: Says whether something holds on all ranks, whose files may differ.

    Raises:
        InputError: A file is given for a network that there is not.
    """
    from stylegan_v.metrics.detectors.table import entry_of, load_detector

    for name in paths:
        entry_of(name)
    load = cache(lambda name: load_detector(name, paths.get(name), device=device))
    found: list[Measurement] = []
    lost: dict[str, list[str]] = {}
    for protocol in protocols:
        reason = ""
        try:
            measurement = Measurement(protocol, load(protocol.detector))
            try_out(measurement)
        except InputError as error:
            reason = str(error)
        if agreed(not reason):
            found.append(measurement)
            continue
        # The first rank speaks for all, unless it has what others lack.
        first = rank_zero_only.rank == 0
        only_others = agreed(not (first and reason))
        if first or (only_others and reason):
            lost.setdefault(reason or "another rank lacks what it needs", []).append(protocol.name)
    for reason, names in lost.items():
        _log.warning("evaluation: %s left out: %s", ", ".join(names), reason)
    return found


def real_side(data: ClipDataModule, part: Part) -> RealSide:
    """The real videos that a run is measured on.

    Args:
        data: Set up.
        part: All, or one half.

    Raises:
        InputError: There are too few for two halves.
    """
    from stylegan_v.metrics.sides import RealSide

    return RealSide.of_data(data, part)


def try_out(measurement: Measurement, generator: Generator, real: RealSide) -> None:
    """Prepares an evaluation and does not carry it out: what is wrong is known at the start, not after hours.

    Args:
        measurement: What is to be measured.
        generator: Like the one it is to be measured of.
        real: What it is to be measured against.

    Raises:
        InputError: It cannot be: no video is long enough, or the feature network does not suit the protocol.
    """
    _evaluation(measurement, generator, real, None)


def measure(measurement: Measurement, generator: Generator, real: RealSide, options: Options) -> dict[str, Any]:
    """The record of a generator's score.

    Args:
        measurement: What is measured.
        generator: In evaluation mode, on the device of the options.
        real: What it is measured against.
        options: How it is computed.
    """
    return _evaluation(measurement, generator, real, options).run().record()


def _evaluation(measurement: Measurement, generator: Generator, real: RealSide, options: Options | None) -> _Evaluation:
    from stylegan_v.metrics.evaluation import Evaluation, Options
    from stylegan_v.metrics.sides import GeneratedSide

    fake = GeneratedSide(generator, real)
    return Evaluation(measurement.protocol, real, fake, measurement.detector, options or Options())


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a result as TensorBoard shows them, by tag."""
    tag = f"metrics/{record['protocol']}"
    late = {f"{tag}/from_{start}": value for start, value in (record["late"] or {}).items()}
    return {tag: record["value"], **{f"{tag}/{name}": value for name, value in _rows(record).items()}, **late}


def headline(record: Mapping[str, Any]) -> str:
    """A result of training in one line."""
    spread = "" if record["spread"] is None else f" +- {record['spread']:.2g}"
    rows = ", ".join(f"{name} {value:.4g}" for name, value in _rows(record).items())
    return f"update {record['updates']}: {record['protocol']} {record['value']:.4g}{spread}" + f" ({rows})" * bool(rows)


def _rows(record: Mapping[str, Any]) -> dict[str, float]:
    """Sanity rows; real against real, the lowest a score can be expected to get, is called the floor."""
    names = {"real": "floor", "frozen": "frozen", "shuffled": "shuffled", "reversed": "reversed"}
    rows = record["sanity"] or {}
    return {shown: rows[name] for name, shown in names.items() if name in rows}


def append_result(folder: Path, record: Mapping[str, Any]) -> None:
    """Adds a result to ``metrics.jsonl`` of a run folder and draws ``metrics.png`` anew."""
    from stylegan_v.metrics.curves import draw_scores
    from stylegan_v.metrics.results import append_line, read_lines

    append_line(folder / "metrics.jsonl", record)
    draw_scores(read_lines(folder / "metrics.jsonl"), folder / "metrics.png")
