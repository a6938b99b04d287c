"""Methods of networks as compiled graphs, where their results are differentiated once at most.

The method is wrapped on the instance: modules, parameters and their names stay, so checkpoints do not know of it. What
differentiates twice (R1, path length) says so by `differentiated_twice` and gets the method itself, since compiled
graphs have no gradients of gradients. Copies of a network, the averaged generator among them, are not compiled.

A method has to become one graph for each kind of call: where Python would have to step in, compiling is refused rather
than slow.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from errors import InputError

Backend = Literal["inductor", "aot_eager", "eager"]
Mode = Literal["default", "reduce-overhead", "max-autotune-no-cudagraphs"]
_MAX_GRAPHS = 64  # of one method: phases, shapes, precisions
_twice: ContextVar[bool] = ContextVar("differentiated twice", default=False)


@dataclass(frozen=True)
class Compilation:
    """How methods are compiled.

    Args:
        backend: "inductor" makes kernels; "aot_eager" and "eager" run the graphs by torch's own, for tests.
        mode: Of inductor: "reduce-overhead" replays CUDA graphs, "max-autotune-no-cudagraphs" tries kernels at length.
        dynamic: Whether graphs are made for all sizes; None: once they turn out to change.

    Raises:
        InputError: There are no such ones, or they do not go together.
    """

    backend: Backend | Callable = "inductor"
    mode: Mode = "default"
    dynamic: bool | None = None

    def __post_init__(self) -> None:
        if isinstance(self.backend, str) and self.backend not in get_args(Backend):
            raise InputError(f"backend: {self.backend}: give one of {', '.join(get_args(Backend))}")
        if self.mode not in get_args(Mode):
            raise InputError(f"mode: {self.mode}: give one of {', '.join(get_args(Mode))}")
        if self.mode != "default" and self.backend != "inductor":
            raise InputError(f"mode: {self.mode} belongs to backend inductor: leave one of the two out")

    @property
    def replays(self) -> bool:
        """Whether CUDA graphs are replayed, which write their results into the same memory again."""
        return self.mode == "reduce-overhead"

    def check(self, device: torch.device) -> None:
        """Makes sure that this can work on a device.

        Raises:
            InputError: It cannot; says what to do.
        """
        if self.replays and device.type != "cuda":
            raise InputError(f"mode: reduce-overhead replays CUDA graphs, and the device is {device}: give default")
        if self.backend != "inductor":
            return
        if device.type == "cuda":
            from torch.utils._triton import has_triton

            if not has_triton():
                raise InputError("backend: inductor needs triton for this GPU: install it, or do not compile")
        elif device.type == "cpu":
            _check_cpp_compiler()

    def __call__(self, function: Callable) -> Callable:
        """The function, compiled when it is first called."""
        mode = {} if self.mode == "default" else {"mode": self.mode}
        return torch.compile(function, backend=self.backend, dynamic=self.dynamic, fullgraph=True, **mode)


def _check_cpp_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise InputError(
            "backend: inductor needs a C++ compiler on a CPU: install g++ (or name one in CXX), or do not compile"
        ) from error


@contextmanager
def differentiated_twice() -> Iterator[None]:
    """Inside, compiled methods run as they were written, so that gradients of their gradients are there."""
    token = _twice.set(True)
    try:
        yield
    finally:
        _twice.reset(token)


class Compiled:
    """A method in two forms: a graph, and as it is.

    Args:
        method: Of a network.
        compilation: How its graphs are made.
    """

    def __init__(self, method: Callable, compilation: Compilation) -> None:
        self.method, self.compilation = method, compilation

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if _twice.get():
            return self.method(*args, **kwargs)
        with _settings(self.compilation):
            found = self.graph(*args, **kwargs)
        # The next replay writes over its results, which the caller may still hold.
        return pytree.tree_map_only(Tensor, torch.clone, found) if self.compilation.replays else found

    @cached_property
    def graph(self) -> Callable:
        """The compiled form."""
        return self.compilation(self.method)

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable:
        return copy.deepcopy(self.method, memo)  # a graph would go on with the parameters of the first network

    def __reduce__(self) -> tuple[Callable, tuple[Any, str]]:
        return getattr, (self.method.__self__, self.method.__name__)


@contextmanager
def _settings(compilation: Compilation) -> Iterator[None]:
    """What is compiled inside has derivatives without autocast, as ours are taken, and as many graphs as it needs."""
    import torch._dynamo as dynamo
    import torch._functorch.config as functorch

    with dynamo.config.patch(recompile_limit=_MAX_GRAPHS), functorch.patch(backward_pass_autocast="off"):
        try:
            yield
        except (dynamo.exc.Unsupported, dynamo.exc.BackendCompilerFailed, dynamo.exc.FailOnRecompileLimitHit) as error:
            first = str(error).strip().splitlines()[0]
            raise InputError(
                f"backend: {compilation.backend} cannot compile the network ({first}): do without"
            ) from error


def compile_generator(generator: nn.Module, compilation: Compilation) -> None:
    """Lets a generator draw by graphs, in sampling as in training; mapping, motion and decoder stay as they are.

    Args:
        generator: With a synthesis network.
        compilation: How.
    """
    for name in ("backbone", "run_folded"):
        compile_method(generator.synthesis, name, compilation)


def compile_method(network: nn.Module, name: str, compilation: Compilation) -> None:
    """Lets a method of a network run as graphs; one that does so already gets other graphs.

    Args:
        network: Whose method; its state dict stays as it is.
        name: Of the method.
        compilation: How.
    """
    method = getattr(network, name)
    setattr(network, name, Compiled(method.method if isinstance(method, Compiled) else method, compilation))
