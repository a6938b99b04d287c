"""Checkpoints that the original LIIF writes and publishes: ``{model: {name, args, sd}, optimizer, epoch}``.

They are read as tensors and plain values; nothing in them is executed. What the optimiser remembers, two thirds of such
a file, is left on the disk.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from errors import InputError
from fields.official.image_models import liif, liif_node, metasr, metasr_node
from fields.weights import StoredField, load_plain, plain_tensors

_DENSE_LAYER = re.compile(r"encoder\.RDBs\.(\d{1,4})\.convs\.(\d{1,4})\.conv\.0\.weight")
SUFFIXES = (".pth", ".pt")
_SYSTEMS = {"liif": (liif_node, liif), "metasr": (metasr_node, metasr)}
_REMEDY = "give a checkpoint of the original LIIF, such as edsr-baseline-liif.pth"


def read_released(path: Path) -> StoredField:
    """A checkpoint of the original as a field of ours; its facts say where it comes from.

    Args:
        path: The file.

    Raises:
        InputError: It is no such file, a damaged one, or its tensors are not those of its settings, name by name.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file: {_REMEDY}")
    checkpoint = load_plain(path)
    saved = checkpoint.get("model")
    if not isinstance(saved, dict) or not isinstance(saved.get("sd"), dict):
        raise InputError(f"{path}: holds no model with its settings: {_REMEDY}")
    if str(saved.get("name")) not in _SYSTEMS:
        name = str(saved.get("name"))[:40]
        raise InputError(f"{path}: holds a model {name!r}, which is none of {', '.join(_SYSTEMS)}: {_REMEDY}")
    given = plain_tensors(saved["sd"], path)
    node, model = _made(path, saved, given)
    state = {name: tensor.float() for name, tensor in model.state_dict().items()}
    dropped = sorted(given.keys() - state.keys())
    return StoredField(path, node, state, _facts(path, checkpoint, dropped))


def _made(path: Path, saved: Mapping[str, Any], given: dict[str, Tensor]) -> tuple[dict[str, Any], nn.Module]:
    """The node of the model, and the model, which is how names and shapes of all tensors are checked."""
    make_node, make = _SYSTEMS[saved["name"]]
    try:
        settings = {"model": {"name": saved["name"], "args": dict(saved["args"])}, "rdn_DCG": _rdn_sizes(saved, given)}
        return make_node(settings), make(settings, given)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its settings are not those of such a model ({error}): {_REMEDY}") from error


def _rdn_sizes(saved: Mapping[str, Any], given: Mapping[str, Tensor]) -> list[int] | None:
    """Blocks, layers and growth of an RDN whose sizes have no published letter, as its tensors show them."""
    spec = saved["args"]["encoder_spec"]
    if spec["name"] != "rdn" or (spec.get("args") or {}).get("RDNconfig", "B") in ("A", "B"):
        return None
    layers = [found for name in given if (found := _DENSE_LAYER.fullmatch(name))]
    blocks, depth = (1 + max(int(found[i]) for found in layers) for i in (1, 2))
    return [blocks, depth, len(given["encoder.RDBs.0.convs.0.conv.0.weight"])]


def _facts(path: Path, checkpoint: Mapping[str, Any], dropped: list[str]) -> dict[str, Any]:
    with open(path, "rb") as file:
        facts: dict[str, Any] = {"source": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    if type(checkpoint.get("epoch")) is int:
        facts["epoch"] = checkpoint["epoch"]
    return facts | {"dropped": ", ".join(dropped)}
