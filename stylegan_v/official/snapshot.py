"""A released StyleGAN-V training snapshot as plain values: nothing that the file carries is run or imported.

The way through a file: the operations of the pickle are checked (`opcodes`), a machine follows them and builds inert
records (`machine`), and from these the tensors (`storages`, `stored_modules`, `stored_optimizers`) and the settings
(`embedded`, `interpolation`) are read. A file that is anything else ends in one `InputError`.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from errors import InputError
from stylegan_v.official.embedded import PlainReader, numbers, root_of
from stylegan_v.official.interpolation import References
from stylegan_v.official.machine import Rebuilt, rebuild
from stylegan_v.official.opcodes import shown
from stylegan_v.official.storages import TensorReader, stored_number
from stylegan_v.official.stored_modules import attributes, drop_program_texts, mapping, read_network
from stylegan_v.official.stored_optimizers import OptimizerState, read_optimizer
from stylegan_v.official.vocabulary import LIMITS, VOCABULARY

NETWORKS = ("G", "D", "G_ema")
_OPTIMIZERS = {"G_opt": "G", "D_opt": "D"}
_KNOWN = {*NETWORKS, *_OPTIMIZERS, "augment_pipe", "training_set_kwargs", "stats"}
_LARGEST_FILE = 2**36  # bytes; the largest network of the original with its optimizers needs 2**31
_BEGINNINGS = {
    b"PK": "a zip archive, such as torch.save writes",
    b"\x1f\x8b": "compressed with gzip: unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"{": "a text or safetensors file",
}


@dataclass(frozen=True)
class Snapshot:
    """Tensors and settings of a training snapshot of the original, under the original's names.

    Attributes:
        path: Where it was read from.
        sha256: Of the file, as hexadecimal digits.
        networks: "G", "D" and "G_ema", each its official tensor names in the original's order.
        parameters: Of each network, the names that are parameters; the others are buffers.
        config: The complete settings of the run, or None where the networks carry none. A reference that could not be
            resolved stays as its text ``"${...}"``, a value that was never given as ``"???"``; `skipped` lists both.
        init_kwargs: Of "G" and "D", the named arguments that they were constructed with.
        sampling: The settings of frame sampling that the generator carries; empty where it carries none.
        augment: "p" and the multipliers of the augmentation pipe, or None where there was none.
        optimizers: Of "G_opt" and "D_opt", those that are stored; without moments where these were not asked for.
        stats: Counters: "cur_nimg" (frames), "cur_tick", "batch_idx"; empty where none are stored.
        training_set: The arguments of the data set; empty where none are stored.
        skipped: What was left unread, and why, one line each.
    """

    path: Path
    sha256: str
    networks: dict[str, dict[str, Tensor]]
    parameters: dict[str, tuple[str, ...]]
    config: dict[str, Any] | None
    init_kwargs: dict[str, dict[str, Any]]
    sampling: dict[str, Any]
    augment: dict[str, Any] | None
    optimizers: dict[str, OptimizerState]
    stats: dict[str, int]
    training_set: dict[str, Any]
    skipped: tuple[str, ...]


def read_snapshot(path: str | Path, *, with_moments: bool = True) -> Snapshot:
    """A released snapshot, read without executing, importing or writing anything from the file.

    Memory: the tensors that are returned, and the pages of the file that are being looked at.

    Args:
        path: A ``network-snapshot-NNNNNN.pkl`` of the original.
        with_moments: Whether to read the moments of the optimisers; without them it takes half of the memory.

    Raises:
        InputError: The file is no such snapshot, is damaged, or asks for anything but plain values and tensors.
    """
    path = Path(path)
    try:
        with open(_regular(path), "rb") as file:
            size = _checked_size(file)
            with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as source:
                rebuilt = rebuild(source, 0, size, LIMITS, VOCABULARY)
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                return _Reader(rebuilt, size).snapshot(path, sha256, with_moments=with_moments)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except InputError as error:
        raise InputError(f"{path}: not a readable StyleGAN-V snapshot: {error}") from error


def _regular(path: Path) -> Path:
    """The path, when it is a file and nothing that only looks like one."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InputError("it is no file; give a network-snapshot-NNNNNN.pkl")
    return path


def _checked_size(file: BinaryIO) -> int:
    """The size of a file that begins like a binary pickle."""
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise InputError("it is empty; copy it again")
    if size > _LARGEST_FILE:
        raise InputError(f"it has {size} bytes, at most {_LARGEST_FILE} are read")
    beginning = file.read(4)
    file.seek(0)
    for known, what in _BEGINNINGS.items():
        if beginning.startswith(known):
            raise InputError(f"it is {what}; a released snapshot is one plain pickle")
    if not beginning.startswith(b"\x80"):
        raise InputError("it does not begin like a binary pickle")
    return size


class _Reader:
    """Takes a snapshot's value apart; what it can do without, it notes instead of insisting.

    Args:
        rebuilt: The value, made of inert records.
        size: Of the file, in bytes.
    """

    def __init__(self, rebuilt: Rebuilt, size: int) -> None:
        if rebuilt.end != size:
            raise InputError(f"{size - rebuilt.end} bytes follow its end: refused")
        drop_program_texts(rebuilt.records)
        self.content = mapping(rebuilt.value, "its content")
        missing = [name for name in NETWORKS if self.content.get(name) is None]
        if missing:
            raise InputError(f"{', '.join(missing)} missing; it needs the networks {', '.join(NETWORKS)}")
        self.tensors = TensorReader(size)
        for record in rebuilt.records:
            if record.kind == "_load_from_bytes":
                self.tensors.storage(record)  # also of those that are not needed: none may hold anything else
        self.plain = PlainReader()
        self.references = References({})

    def snapshot(self, path: Path, sha256: str, *, with_moments: bool) -> Snapshot:
        networks = {name: read_network(self.content[name], name, self.tensors) for name in NETWORKS}
        config = self._config()
        optimizers = {
            name: read_optimizer(
                self.content[name], name, networks[network], self.tensors, self.plain, with_moments=with_moments
            )
            for name, network in _OPTIMIZERS.items()
            if self.content.get(name) is not None
        }
        return Snapshot(
            path=path,
            sha256=sha256,
            networks={name: network.tensors for name, network in networks.items()},
            parameters={name: network.parameters for name, network in networks.items()},
            config=config,
            init_kwargs={name: self._section(name, "_init_kwargs") for name in ("G", "D")},
            sampling=self._section("G", "sampling_dict"),
            augment=self._augment(),
            optimizers={name: optimizer for name, optimizer in optimizers.items() if optimizer is not None},
            stats=self._stats(),
            training_set=self._resolved(self.content.get("training_set_kwargs"), "training_set_kwargs"),
            skipped=self._skipped(),
        )

    def _config(self) -> dict[str, Any] | None:
        """The settings of the whole run, found upwards from those of a network."""
        for name in ("G", "D"):
            root = root_of(attributes(self.content[name], name).get("cfg"))
            if root is not None:
                config = self.plain.section(root, "config")
                self.references = References(config)
                return self.references.resolved(config, "config")
        self.plain.skipped.append("config: the networks carry no settings of the run")
        return None

    def _section(self, network: str, key: str) -> dict[str, Any]:
        return self._resolved(attributes(self.content[network], network).get(key), f"{network}.{key}")

    def _resolved(self, stored: object, where: str) -> dict[str, Any]:
        return {} if stored is None else self.references.resolved(self.plain.section(stored, where), where)

    def _augment(self) -> dict[str, Any] | None:
        pipe = self.content.get("augment_pipe")
        if pipe is None:
            return None
        state = attributes(pipe, "augment_pipe")
        p = mapping(state.get("_buffers"), "augment_pipe._buffers").get("p")
        return {"p": stored_number(p, self.tensors, "augment_pipe.p"), **numbers(state.items())}

    def _stats(self) -> dict[str, int]:
        stats = self.plain.section(self.content.get("stats") or {}, "stats")
        wrong = {name: None for name, value in stats.items() if type(value) is not int or value < 0}
        self.plain.skipped.extend(f"stats.{shown(name)}: no count" for name in wrong)
        return {name: value for name, value in stats.items() if name not in wrong}

    def _skipped(self) -> tuple[str, ...]:
        """Notes on what was not read, each once."""
        others = [f"{shown(key)}: not needed" for key in self.content if key not in _KNOWN]
        unknown = [
            f"{where}: {text} refers to nothing that is known" for where, text in self.references.unknown.items()
        ]
        return tuple(dict.fromkeys((*others, *self.plain.skipped, *unknown)))
