"""No phase of an update makes the host wait for the device.

The phases run on torch's meta device, on which tensors have no values: whatever would have to read one (``item``,
``tolist``, ``if tensor``, ``nonzero``, a mask as an index, ``unique``, a copy to the host) raises there. What waits
although it only sends values to the device, copies that are not ``non_blocking``, is looked for by name.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from stylegan_v.augment import AdaptiveProbability, AugmentPipe
from stylegan_v.gan import VideoGAN
from stylegan_v.r1 import DifferencesR1
from stylegan_v.rendering import VideoLatents, render
from stylegan_v.steps import AdversarialAdam, all_finite, step_if
from tests.stylegan_v import tiny_gan

META = torch.device("meta")
CODE = Path(__file__).parents[2] / "stylegan_v"
WAITING_WITHOUT_VALUES = "meta tensor"


def on_device(value: object) -> bool:
    return isinstance(value, Tensor) and value.device == META


class Sends(TorchFunctionMode):
    """Notes calls that send values from the host to the device and wait until they are there."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        made = {torch.tensor: 0, torch.as_tensor: 0, Tensor.new_tensor: 1}.get(func)
        if made is not None and on_device(out) and not on_device(args[made]):
            self.note(name)
        if func in (Tensor.to, Tensor.copy_) and on_device(out):
            source = args[0] if func is Tensor.to else args[1]
            if not on_device(source) and not kwargs.get("non_blocking"):
                self.note(name)
        if func in (Tensor.__getitem__, Tensor.__setitem__) and on_device(args[0]):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            listed = [part for part in index if isinstance(part, list) or (isinstance(part, Tensor) and part.dim())]
            if any(not on_device(part) for part in listed):
                self.note(f"{name} by an index of the host")
        return out

    def note(self, what: str) -> None:
        """Keeps it with the line of ours that did it."""
        ours = [frame for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(CODE)]
        self.found.append(f"{what} in {ours[-1].filename}:{ours[-1].lineno}" if ours else what)


class Done(Exception):
    """The update is over."""


class Update(VideoGAN):
    """Ends before anything is reported."""

    def report(self) -> None:
        raise Done


class Accelerator(CPUAccelerator):
    """Lets Lightning train on a device without values."""

    def setup_device(self, device: torch.device) -> None:
        pass


class Strategy(SingleDeviceStrategy):
    """Leaves everything on the device."""

    def teardown(self) -> None:
        pass


class NotedSteps(torch.optim.SGD):
    """Stands for a fused optimiser, which torch does not make on this device: its step does nothing."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, lr=0.0)
        self.defaults["fused"] = True

    def step(self, closure: Callable | None = None) -> None:
        if closure is not None:
            closure()


@pytest.fixture(autouse=True)
def _autocast_knows_no_meta_device(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda kind, *a, **k: real("cpu" if kind == "meta" else kind, *a, **k))
    is_enabled = torch.is_autocast_enabled
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: is_enabled("cpu" if kind == "meta" else kind))


def update(made: type[VideoGAN], folder: Path, **settings: Any) -> VideoGAN:
    """An update with all phases, path length, labels and augmentation, that has not been reported yet."""
    data = tiny_gan.data(4, labelled=True)
    data.setup("fit")
    optimizers = {"g_optimizer": NotedSteps, "d_optimizer": NotedSteps}
    augment = {"augment": AugmentPipe("bgcfnc"), "ada": AdaptiveProbability(p=0.5, every=1)}
    model = tiny_gan.gan(data.c_dim, made=made, pl_weight=2.0, r1_every=1, **augment, **optimizers, **settings)
    begin = model.on_fit_start

    def on_fit_start() -> None:
        model.ada.p = torch.tensor(0.5)  # the one number that a start reads from the device
        begin()
        model.ada.p = model.ada.p.to(META)

    model.on_fit_start = on_fit_start
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "max_epochs": -1}
    run = Trainer(
        accelerator=Accelerator(), strategy=Strategy(META), default_root_dir=folder, enable_model_summary=False, **quiet
    )
    run.fit(model, data)
    return model


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="plain"),
        pytest.param({"num_micro_batches": 2}, marks=pytest.mark.slow, id="micro-batches"),
        pytest.param({"r1": DifferencesR1()}, marks=pytest.mark.slow, id="differences"),
    ],
)
def test_no_phase_of_an_update_waits(tmp_path: Path, settings: dict[str, Any]) -> None:
    seen: list[str] = []

    class Watched(Update):
        def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
            assert self.device == META and self.augment_p == 0.5
            with Sends() as sends:
                try:
                    super().training_step(batch, batch_idx)
                finally:
                    seen.extend([*self.finite, *sends.found])

    with pytest.raises(Done):
        update(Watched, tmp_path, **settings)
    assert seen == ["generator", "path_length", "discriminator", "r1"]


def test_the_report_is_what_waits(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match=WAITING_WITHOUT_VALUES):
        update(VideoGAN, tmp_path)


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: bool((x > 0).all()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: torch.equal(x, x),
        lambda x: x.unique(),
        lambda x: x.masked_select(x > 0),
        lambda x: x.cpu(),
    ],
)
def test_reading_a_value_is_noticed(waits: Callable[[Tensor], object]) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        waits(torch.zeros(3, device=META))


@pytest.mark.parametrize(
    ("sends", "waits"),
    [
        (lambda x: torch.tensor([1, 2], device=META), True),
        (lambda x: x.new_tensor([1.0]), True),
        (lambda x: torch.ones(2).to(META), True),
        (lambda x: torch.ones(2).to(META, non_blocking=True), False),
        (lambda x: x[[0, 1]], True),
        (lambda x: x[torch.tensor([0, 1])], True),
        (lambda x: x[torch.tensor([0, 1]).to(META, non_blocking=True)], False),
        (lambda x: x[1:] + torch.arange(2, device=META), False),
    ],
)
def test_sending_values_so_that_the_host_waits_is_noticed(sends: Callable[[Tensor], object], waits: bool) -> None:
    x = torch.zeros(3, device=META)
    with Sends() as found:
        sends(x)
    assert bool(found.found) is waits


class Reads(TorchDispatchMode):
    """Notes that a value of a tensor becomes one of Python."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func.overloadpacket in (torch.ops.aten._local_scalar_dense, torch.ops.aten.is_nonzero):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("fused", [True, False])
def test_a_fused_step_is_left_out_without_reading_the_flag(fused: bool) -> None:
    parameter = torch.nn.Parameter(torch.randn(3))
    parameter.grad = torch.full((3,), torch.nan)
    optimizer = AdversarialAdam([parameter], fused=fused)
    with Reads() as reads:
        step_if(all_finite(parameter.grad), optimizer)
    assert bool(reads.found) is not fused


def test_frames_of_a_sample_are_made_without_waiting() -> None:
    """Where its motion lies in time is found on the host, from times of the host."""
    with META:
        generator = tiny_gan.generator().eval()

    class Noise:
        def window(self, first: int, num: int) -> Tensor:
            return torch.zeros(1, num, generator.synthesis.motion.z_dim, device=META)

    ws = torch.zeros(1, generator.mapping.num_ws, generator.w_dim, device=META)
    with Sends() as sends:
        frames = list(render(generator, VideoLatents(ws, Noise()), torch.arange(10, dtype=torch.float64), chunk=4))
    assert [len(chunk[0]) for chunk in frames] == [4, 4, 2] and all(on_device(chunk) for chunk in frames)
    assert set(sends.found) == set()


@pytest.mark.gpu
@pytest.mark.parametrize("settings", [{}, {"r1": DifferencesR1()}], ids=["plain", "differences"])
def test_a_gpu_is_not_waited_for_either(tmp_path: Path, settings: dict[str, Any]) -> None:
    class Strict(VideoGAN):
        def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
            # The first update fills caches and picks algorithms.
            torch.cuda.set_sync_debug_mode("error" if self.updates else "default")
            try:
                super().training_step(batch, batch_idx)
            finally:
                torch.cuda.set_sync_debug_mode("default")

        def report(self) -> None:
            torch.cuda.set_sync_debug_mode("default")
            super().report()

    model = tiny_gan.gan(made=Strict, augmented=True, pl_weight=2.0, r1_every=1, **settings)
    run = Trainer(
        accelerator="gpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=-1,
        default_root_dir=tmp_path,
        callbacks=[tiny_gan.StopAfter(3)],
    )
    run.fit(model, tiny_gan.data())
    assert model.updates == 3
