"""Pickles for tests: written operation by operation, or by the real pickler from classes that stand in for others."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

SAMPLE = Path(__file__).parents[2] / "conformance/data/stylegan_v/official_style_small.pkl"
MAGIC = 0x1950A86A20F9469CFC6C
PROGRAM = "raise SystemExit('the text of the program was run')  # " + 200 * "unread "

_CODES = {info.name: info.code.encode("latin1") for info in pickletools.opcodes}


def op(name: str, argument: bytes = b"") -> bytes:
    """One operation."""
    return _CODES[name] + argument


def pickled(*operations: bytes, protocol: int = 4) -> bytes:
    """A whole pickle."""
    return op("PROTO", bytes([protocol])) + b"".join(operations) + op("STOP")


def text(value: str) -> bytes:
    raw = value.encode()
    return op("BINUNICODE", struct.pack("<I", len(raw)) + raw)


def data(value: bytes) -> bytes:
    return op("BINBYTES", struct.pack("<I", len(value)) + value)


def number(value: int) -> bytes:
    return op("BININT", struct.pack("<i", value))


def name(module: str, qualified: str) -> bytes:
    """A look-up in the old spelling."""
    return op("GLOBAL", f"{module}\n{qualified}\n".encode())


def stack_name(module: str, qualified: str) -> bytes:
    """A look-up in the new spelling."""
    return text(module) + text(qualified) + op("STACK_GLOBAL")


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + op("MARK") + b"".join(arguments) + op("TUPLE") + op("REDUCE")


def dictionary(**items: bytes) -> bytes:
    return op("EMPTY_DICT") + op("MARK") + b"".join(text(k) + v for k, v in items.items()) + op("SETITEMS")


def storage_stream(
    values: Tensor,
    *,
    location: str = "cpu",
    count: int | None = None,
    written: int | None = None,
    magic: object = MAGIC,
    version: object = 1001,
    little_endian: bool = True,
    kind: object = None,
    identity: object = None,
    keys: object = None,
) -> bytes:
    """A storage in torch's old format, with every part open to lies.

    Args:
        values: The elements, contiguous.
        location: The device that they are said to be on.
        count: How many elements the persistent id announces.
        written: How many the count before the elements announces.
        magic: The first pickle.
        version: The second.
        little_endian: Part of the third.
        kind: The class of the storage.
        identity: The whole persistent id.
        keys: The fifth pickle.
    """
    count = values.numel() if count is None else count
    classes = {torch.float32: torch.FloatStorage, torch.int64: torch.LongStorage, torch.float16: torch.HalfStorage}
    classes |= {torch.float64: torch.DoubleStorage, torch.bool: torch.BoolStorage, torch.uint8: torch.ByteStorage}
    buffer = io.BytesIO()
    for value in (magic, version, {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}):
        pickle.dump(value, buffer, protocol=2)
    told = ("storage", kind or classes[values.dtype], "94872", location, count, None) if identity is None else identity
    _PersistentPickler(buffer, told).dump(_Placeholder())
    pickle.dump(["94872"] if keys is None else keys, buffer, protocol=2)
    buffer.write(struct.pack("<q", values.numel() if written is None else written))
    buffer.write(values.contiguous().numpy().tobytes())
    return buffer.getvalue()


class _Placeholder:
    """What a persistent id is written for."""


class _PersistentPickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, identity: object) -> None:
        super().__init__(file, protocol=2)
        self.identity = identity

    def persistent_id(self, value: object) -> object:
        return self.identity if isinstance(value, _Placeholder) else None


class Reduced:
    """An object that is pickled as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call


class StandIns:
    """Classes and functions under the names of others, so that the real pickler writes these names.

    Args:
        monkeypatch: Puts their modules into `sys.modules` for the time of a test.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.persistent = self.function("src.torch_utils.persistence", "_reconstruct_persistent_obj")
        self.scalar = self.function("numpy.core.multiarray", "scalar")
        self.load_from_bytes = torch.storage._load_from_bytes
        self.rebuild_tensor = torch._utils._rebuild_tensor_v2
        self.easy_dict = self.kind("src.dnnlib.util", "EasyDict", dict)
        self.time_encoder = self.kind("training.layers", "TemporalDifferenceEncoder")
        self.sequential = self.kind("torch.nn.modules.container", "Sequential")
        self.adam = self.kind("torch.optim.adam", "Adam")
        self.dict_config = self.kind("omegaconf.dictconfig", "DictConfig")
        self.list_config = self.kind("omegaconf.listconfig", "ListConfig")
        self.any_node = self.kind("omegaconf.nodes", "AnyNode")
        self.metadata = self.kind("omegaconf.base", "Metadata")

    def _module(self, module: str) -> ModuleType:
        """A module of that name, and its parents, none of them the real one."""
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            path = ".".join(parts[:end])
            if not isinstance(sys.modules.get(path), _Fake) and (end == len(parts) or path not in sys.modules):
                self.monkeypatch.setitem(sys.modules, path, _Fake(path))
        return sys.modules[module]

    def kind(self, module: str, name: str, base: type = object) -> type:
        made = type(name, (base,), {"__module__": module, "__qualname__": name})
        setattr(self._module(module), name, made)
        return made

    def function(self, module: str, name: str) -> Callable[..., Any]:
        def stand_in(*arguments: object) -> object:
            raise AssertionError(f"{module}.{name} was called with {arguments}")

        stand_in.__module__, stand_in.__name__, stand_in.__qualname__ = module, name, name
        setattr(self._module(module), name, stand_in)
        return stand_in

    def made(self, kind: type, **state: object) -> Any:
        thing = kind.__new__(kind)
        thing.__dict__.update(state)
        return thing

    def module(
        self,
        class_name: str = "FullyConnectedLayer",
        parameters: dict[str, Any] | None = None,
        buffers: dict[str, Any] | None = None,
        modules: dict[str, Any] | None = None,
        **attributes: object,
    ) -> Reduced:
        """A persistent module with the attributes that even old files have, and no others."""
        state = {"training": False, **_module_state(parameters, buffers, modules), **attributes}
        meta = {"type": "class", "version": 6, "module_src": PROGRAM, "class_name": class_name, "state": state}
        return Reduced(self.persistent, meta)

    def by_reference(self, kind: type, **parts: Any) -> Any:
        return self.made(kind, training=False, **_module_state(parts.get("parameters"), None, parts.get("modules")))

    def tensor(
        self,
        values: Tensor,
        *,
        offset: Any = 0,
        size: Any = None,
        stride: Any = None,
        **lies: Any,
    ) -> Reduced:
        """A tensor of which each part can be a lie; ``values`` is the storage, in one row."""
        storage = Reduced(self.load_from_bytes, storage_stream(values, **lies))
        size = (values.numel(),) if size is None else size
        stride = (1,) if stride is None else stride
        return Reduced(self.rebuild_tensor, storage, offset, size, stride, False, OrderedDict())

    def config(self, content: Any, parent: Any = None) -> Any:
        """A tree of config nodes out of plain values."""
        if not isinstance(content, dict | list):
            return self.made(self.any_node, _metadata=self.made(self.metadata), _parent=parent, _val=content)
        kind = self.dict_config if isinstance(content, dict) else self.list_config
        node = self.made(kind, _metadata=self.made(self.metadata), _parent=parent, _content=None)
        if isinstance(content, dict):
            node._content = {key: self.config(value, node) for key, value in content.items()}
        else:
            node._content = [self.config(value, node) for value in content]
        return node


class _Fake(ModuleType):
    """A module that exists only for the pickler."""


def _module_state(parameters: Any, buffers: Any, modules: Any) -> dict[str, Any]:
    named = {"_parameters": parameters, "_buffers": buffers, "_modules": modules}
    return {key: OrderedDict(items or {}) for key, items in named.items()}


def written(content: object, path: Path, protocol: int = 3) -> Path:
    """A file with the content pickled."""
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


class OldSnapshot:
    """A snapshot as an older training would have written it, and what is in it.

    Protocol 3, numpy 1 names, whole numbers as steps, no bookkeeping beyond the four attributes that are always there;
    with strides of channels-last, a view into a larger storage, half precision, and moments that were left on a GPU.
    """

    def __init__(self, stand_ins: StandIns) -> None:
        self.stand_ins = stand_ins
        generator = torch.Generator().manual_seed(1)
        self.weight = torch.randn(4, 3, 3, 3, generator=generator).to(memory_format=torch.channels_last)
        self.bias = torch.randn(20, generator=generator)[5:9]  # a view
        self.average = torch.randn(6, generator=generator).half()
        self.moment = torch.randn(4, generator=generator)
        self.content = self._content()

    def _content(self) -> dict[str, Any]:
        s = self.stand_ins
        root = s.config(
            {
                "model": {
                    "generator": {"sampling": "${sampling}", "motion": {"distance": "${sampling.max_num_frames}"}},
                    "discriminator": {"sampling": "${sampling}"},
                },
                "sampling": {"max_num_frames": 64, "total_dists": [1, 2]},
                "broken": "${nowhere.to}",
            }
        )
        configs = root._content["model"]._content
        return {
            "G": self._generator(configs["generator"]),
            "D": self._discriminator(configs["discriminator"]),
            "G_ema": self._generator(configs["generator"]),
            "G_opt": self._optimizer(),
            "stats": {"cur_nimg": 192, "cur_tick": 1, "batch_idx": 3},
            "vis": {"labels": np.zeros((2, 3)), "grid_z": (s.tensor(torch.zeros(4), location="cuda:0"),)},
        }

    def _generator(self, config: Any) -> Reduced:
        s = self.stand_ins
        parameters = {"weight": torch.nn.Parameter(self.weight), "bias": torch.nn.Parameter(self.bias), "gone": None}
        conv = s.module("SynthesisLayer", parameters, gain=Reduced(s.scalar, np.dtype("f8"), struct.pack("<d", 0.5)))
        mapping = s.module("MappingNetwork", buffers={"w_avg": self.average})
        return s.module(
            "Generator",
            modules={"synthesis": s.by_reference(s.sequential, modules={"0": conv}), "mapping": mapping, "none": None},
            cfg=config,
            sampling_dict={"fps": 30},
            _init_args=(),
            _init_kwargs=self._init_kwargs(config),
        )

    def _init_kwargs(self, config: Any) -> dict[str, Any]:
        s = self.stand_ins
        gain = Reduced(s.scalar, np.dtype("f8"), struct.pack("<d", 0.25))
        widths = s.easy_dict(channel_base=655, conv_clamp=None, gain=gain)
        return {"w_dim": 20, "synthesis_kwargs": widths, "cfg": config, "sizes": (1, 2)}

    def _discriminator(self, config: Any) -> Reduced:
        s = self.stand_ins
        encoder = s.by_reference(s.time_encoder, parameters={"weight": torch.nn.Parameter(torch.ones(2, 2))})
        return s.module("Discriminator", modules={"time_encoder": encoder}, cfg=config, _init_kwargs={"c_dim": 0})

    def _optimizer(self) -> Any:
        s = self.stand_ins
        on_gpu = s.tensor(self.bias, location="cuda:0")
        copies = [torch.nn.Parameter(self.weight.clone()), Reduced(torch._utils._rebuild_parameter, on_gpu, True, ())]
        state = defaultdict(dict)
        moments = {"exp_avg": self.moment, "exp_avg_sq": self.moment.square()}
        state[copies[1]] = {"step": 7, **{k: s.tensor(v, location="cuda:0") for k, v in moments.items()}}
        group = {"lr": 0.002, "betas": (0.0, 0.99), "eps": 1e-8, "params": copies}
        return s.made(s.adam, defaults={}, state=state, param_groups=[group])
