"""Everything that is to be said of a file of weights, as one tree of plain values: for people and for machines."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import nn

from stylegan_v.inspect import settings
from stylegan_v.inspect.contents import KINDS, Contents
from stylegan_v.inspect.health import generator_marks, run_marks, tensor_marks
from stylegan_v.inspect.tensors import TensorRow, by_module, row
from stylegan_v.weights import NETWORKS

_HASHED = (".safetensors", ".pkl")  # files that are passed on; a checkpoint changes with every save
_MODULE_OF = {"generator": "generator", "generator_ema": "generator", "discriminator": "discriminator"}
_OFFICIAL = ("G", "G_ema", "D")


def describe(contents: Contents) -> dict[str, Any]:
    """The report on a file: plain values, None where a number is not finite or not known.

    Args:
        contents: The opened file.
    """
    modules = settings.built(contents)
    rows = _rows(contents, modules)
    state, updates = contents.tensors, contents.facts.get("updates")
    marks = [
        *generator_marks(
            state.get("generator", state.get("G")), state.get("generator_ema", state.get("G_ema")), updates
        ),
        *run_marks(contents.facts, contents.bad_in_a_row, contents.optimizers),
        *tensor_marks(rows),
    ]
    report = {
        "file": _file(contents),
        "counters": _counters(contents),
        "networks": _networks(rows),
        "settings": _settings(contents, modules),
        "origins": {name: asdict(origin) for name, origin in contents.origins.items()},
        "embedded": contents.embedded,
        "optimizers": [asdict(optimizer) for optimizer in contents.optimizers],
        "health": [asdict(mark) for mark in marks],
        "notes": contents.notes,
        "modules": [asdict(module) for module in by_module(rows)],
        "tensors": [asdict(one) | {"module": one.module} for one in rows],
        "config": contents.config,
    }
    return plain(report)


def plain(value: Any) -> Any:
    """A tree of JSON's own types; numbers that are not finite become None, anything unknown its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _file(contents: Contents) -> dict[str, Any]:
    path = contents.path
    stat = path.stat()
    return {
        "path": str(path),
        "kind": contents.kind,
        "what": KINDS[contents.kind],
        "bytes": stat.st_size,
        "sha256": (contents.sha256 or _sha256(path)) if path.suffix in _HASHED else None,
        "modified": datetime.fromtimestamp(stat.st_mtime, UTC).isoformat(timespec="seconds"),
        "written_by": contents.written_by,
        "beside": contents.beside,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _counters(contents: Contents) -> dict[str, Any]:
    facts = contents.facts
    names = ("updates", "num_clips", "num_frames", "past_clips", "fps", "augment_p")
    found = {name: facts[name] for name in names if name in facts}
    if "num_clips" in facts:
        found["kclips"] = facts["num_clips"] / 1000
    if "num_frames" in facts:
        found["kimg"] = facts["num_frames"] / 1000
    if contents.bad_in_a_row:
        found["bad_in_a_row"] = contents.bad_in_a_row
    return found


def _rows(contents: Contents, modules: Mapping[str, nn.Module]) -> list[TensorRow]:
    rows = []
    for network in sorted(contents.tensors, key=_place):
        tensors = contents.tensors[network]
        moved = contents.parameters.get(network)
        if moved is None and (module := modules.get(_MODULE_OF.get(network, ""))) is not None:
            moved = frozenset(name for name, _ in module.named_parameters())
        rows += [row(network, name, one, None if moved is None else name in moved) for name, one in tensors.items()]
    return rows


def _place(network: str) -> int:
    """Networks in their usual order, what belongs to none at the end."""
    order = [*NETWORKS, *_OFFICIAL]
    return order.index(network) if network in order else len(order)


def _networks(rows: list[TensorRow]) -> dict[str, Any]:
    """Sizes of each network; its parameters are unknown where nothing tells them from buffers."""
    networks = {}
    for network in dict.fromkeys(one.network for one in rows):
        own = [one for one in rows if one.network == network]
        known = all(one.parameter is not None for one in own)
        networks[network] = {
            "tensors": len(own),
            "values": sum(one.spread.count for one in own),
            "parameters": sum(one.spread.count for one in own if one.parameter) if known else None,
            "not_finite": sum(one.spread.not_finite for one in own),
            "dtypes": dict(Counter(one.dtype for one in own)),
        }
    return networks


def _settings(contents: Contents, modules: Mapping[str, nn.Module]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if generator := modules.get("generator"):
        own = contents.weights.networks
        state = own.get("generator_ema") or own.get("generator") or {}
        found["generator"] = settings.generator_settings(generator, state)
    if discriminator := modules.get("discriminator"):
        found["discriminator"] = settings.discriminator_settings(discriminator)
    found["training"] = settings.training_settings(contents.config)
    found["data"] = settings.data_settings(contents.config)
    return {name: part for name, part in found.items() if part}
