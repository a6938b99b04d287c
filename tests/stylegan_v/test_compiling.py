"""Networks as graphs: where they run, that they change nothing, and what is refused."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.demos.boring_classes import BoringModel
from torch import Tensor, nn

from errors import InputError
from stylegan_v.callbacks import CompileNetworks, RecomputeActivations
from stylegan_v.compiling import Compilation, Compiled, compile_generator, compile_method, differentiated_twice
from stylegan_v.networks import Generator
from stylegan_v.rendering import draw_latents, render_float
from tests.checkpoint_state import assert_same
from tests.stylegan_v import viewed_gan
from tests.stylegan_v.tiny_gan import RecordingGAN, StopAfter, data, gan, generator, same_gradient, trainer

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _as_without_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks of shapes are Python that no graph can hold; outside of tests there are none."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    torch._dynamo.reset()


class Graphs:
    """A backend that runs graphs as they are, and counts what was compiled and how often it ran."""

    def __init__(self) -> None:
        self.compiled = self.runs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        self.compiled += 1

        def run(*args: Tensor) -> tuple[Tensor, ...]:
            self.runs += 1
            return graph.forward(*args)

        return run


class CountingGAN(RecordingGAN):
    """Keeps how often graphs ran in each phase of an update, and how many there are after it."""

    graphs: Graphs

    def on_gradients(self, phase: str) -> None:
        super().on_gradients(phase)
        counts = self.__dict__.setdefault("counts", [])
        counts.append((self.updates, phase, self.graphs.runs - sum(count for *_, count in counts)))


@pytest.mark.parametrize("generator", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_only_first_derivatives_run_as_graphs_and_nothing_changes(tmp_path: Path, generator: bool) -> None:
    """To the bit, where the backend computes as torch does; later updates make no new graphs."""
    graphs, models = Graphs(), []
    for number, callbacks in enumerate(([], [CompileNetworks(generator, backend=graphs)])):
        model = gan(made=CountingGAN, augmented=True, pl_weight=2.0, r1_every=1, num_micro_batches=2)
        model.graphs = graphs
        run = trainer(tmp_path / str(number), *callbacks, StopAfter(2))
        run.fit(model, data())
        run.save_checkpoint(tmp_path / f"{number}.ckpt")
        models.append(model)
    first, second = [(phase, runs) for update, phase, runs in models[1].counts if update == 0], models[1].counts[4:]
    # Of each of two micro-batches: the generator draws once in both phases, the discriminator judges once and twice.
    drawn = 2 if generator else 0
    assert first == [("generator", 2 + drawn), ("path_length", 0), ("discriminator", 4 + drawn), ("r1", 0)]
    assert second == [(1, "generator", 2 + drawn), (1, "discriminator", 4 + drawn), (1, "r1", 0)]
    assert graphs.compiled == 2 + drawn  # of each network one for each of the two phases
    assert_same(tmp_path / "0.ckpt", tmp_path / "1.ckpt")


class Square(nn.Module):
    """A network of one weight; its graph can be told from itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x**2


def compiled_square() -> tuple[Square, Graphs]:
    network, graphs = Square(), Graphs()
    compile_method(network, "forward", Compilation(graphs))
    return network, graphs


def test_names_stay_and_a_second_time_takes_the_place_of_the_first() -> None:
    network, graphs = compiled_square()
    assert list(network.state_dict()) == ["weight"]
    compile_method(network, "forward", Compilation(graphs))
    assert isinstance(network.forward, Compiled) and not isinstance(network.forward.method, Compiled)
    assert network(torch.tensor([2.0])).item() == 12 and graphs.runs == 1


def test_gradients_of_gradients_need_the_method_itself() -> None:
    network = Square()
    compile_method(network, "forward", Compilation("aot_eager"))
    x = torch.tensor([2.0], requires_grad=True)
    (slope,) = torch.autograd.grad(network(x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        slope.backward()
    with differentiated_twice():
        (slope,) = torch.autograd.grad(network(x), x, create_graph=True)
    slope.backward()
    assert x.grad.item() == 6  # of 3 x^2


def test_copies_are_not_compiled_and_run_their_own_parameters() -> None:
    network, graphs = compiled_square()
    network(torch.ones(1))
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):  # noqa: S301
        other.weight.data.fill_(5.0)
        assert other(torch.ones(1)).item() == 5
        assert other.forward.__self__ is other
    assert graphs.runs == 1 and isinstance(network.forward, Compiled)


def test_loaded_weights_are_those_of_the_next_run() -> None:
    network, graphs = compiled_square()
    assert network(torch.ones(1)).item() == 3
    network.load_state_dict({"weight": torch.tensor([7.0])})
    assert network(torch.ones(1)).item() == 7 and graphs.compiled == 1 and graphs.runs == 2


def test_derivatives_are_taken_without_autocast() -> None:
    """As training takes them, also where the forward pass rounds: the rounded weights see the slopes unrounded."""
    grads = []
    for compiled in (False, True):
        torch.manual_seed(0)
        layer = nn.Linear(33, 7)
        if compiled:
            compile_method(layer, "forward", Compilation("aot_eager"))
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(torch.randn(5, 33)).float()
        with torch.autocast("cpu", enabled=False):
            (out.square().sum() / 3).backward()
        grads.append(layer.weight.grad)
    assert torch.equal(*grads)


def test_what_is_no_single_graph_is_refused() -> None:
    class Asking(Square):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else x

    network = Asking()
    compile_method(network, "forward", Compilation("eager"))
    with pytest.raises(InputError, match="backend: eager cannot compile the network"):
        network(torch.ones(1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "nvcc"}, "backend: nvcc: give one of inductor, aot_eager, eager"),
        ({"mode": "fast"}, "mode: fast: give one of default, reduce-overhead"),
        ({"backend": "eager", "mode": "reduce-overhead"}, "belongs to backend inductor"),
    ],
)
def test_unknown_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Compilation(**settings)


def test_devices_are_checked_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="reduce-overhead replays CUDA graphs, and the device is cpu"):
        trainer(tmp_path, CompileNetworks(mode="reduce-overhead")).fit(gan(), data())
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    torch._inductor.cpp_builder.cpp_compiler_search.cache_clear()
    with pytest.raises(InputError, match=r"inductor needs a C\+\+ compiler"):
        trainer(tmp_path, CompileNetworks()).fit(gan(), data())


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="CompileNetworks: is for video GANs, model is BoringModel"):
        trainer(tmp_path, CompileNetworks(), fast_dev_run=1).fit(BoringModel())


def test_gradients_kept_in_place_are_the_same(tmp_path: Path) -> None:
    """As replayed graphs need them, which write theirs into the same memory again."""
    for number, keeps in enumerate((False, True)):
        model = gan(augmented=True, pl_weight=2.0, r1_every=1, num_micro_batches=2)
        model.keeps_gradients = keeps
        run = trainer(tmp_path / str(number), StopAfter(2))
        run.fit(model, data())
        run.save_checkpoint(tmp_path / f"{number}.ckpt")
    assert_same(tmp_path / "0.ckpt", tmp_path / "1.ckpt")


def run_until(path: Path, updates: int, compiled: bool, ckpt: Path | None = None) -> Path:
    """A run with everything switched on, to so many updates, and its checkpoint."""
    clips = data(labelled=True)
    clips.setup("fit")
    callbacks = [CompileNetworks(backend="eager")] if compiled else []
    run = trainer(path.parent, *callbacks, StopAfter(updates))
    run.fit(gan(clips.c_dim, augmented=True, pl_weight=2.0, freeze_d=2), clips, ckpt_path=ckpt)
    run.save_checkpoint(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
def test_runs_go_on_compiled_or_not(tmp_path: Path, compiled: bool) -> None:
    """To the bit: a checkpoint does not know how it was made."""
    whole = run_until(tmp_path / "whole.ckpt", 3, compiled=False)
    half = run_until(tmp_path / "half.ckpt", 1, compiled=not compiled)
    assert_same(whole, run_until(tmp_path / "rest.ckpt", 3, compiled=compiled, ckpt=half))


@pytest.mark.slow
@pytest.mark.parametrize("callbacks", [[], [RecomputeActivations()]])
def test_gradients_through_compiled_derivatives(tmp_path: Path, callbacks: list) -> None:
    """Up to rounding; also where activations are made again."""
    gradients = []
    for chosen in ([], [*callbacks, CompileNetworks(backend="aot_eager")]):
        model = gan(made=RecordingGAN, augmented=True, pl_weight=2.0, r1_every=1)
        trainer(tmp_path, *chosen, StopAfter(1)).fit(model, data())
        gradients.append(model.gradients)
    assert {name.split("/")[1] for name in gradients[0]} == {"generator", "path_length", "discriminator", "r1"}
    for phase, expected in gradients[0].items():
        assert same_gradient(expected, gradients[1][phase]), phase


@pytest.mark.parametrize("videos", [[0], [0, 1]])
def test_compiled_generators_draw_the_same_videos(videos: list[int]) -> None:
    """Folded for one video, which another takes without a new graph; with a last chunk that is shorter."""
    plain, graphs = generator().eval(), Graphs()
    compiled = copy.deepcopy(plain)
    compile_generator(compiled, Compilation(graphs))

    def draw(network: Generator, first: int) -> Tensor:
        latents = draw_latents(network, 0, [first + video for video in videos])
        return torch.cat(list(render_float(network, latents, torch.arange(11.0).double(), chunk=4)), dim=1)

    assert torch.equal(draw(plain, 0), draw(compiled, 0))
    assert torch.equal(draw(plain, 2), draw(compiled, 2))
    assert graphs.compiled == 2 and graphs.runs == 6 * len(videos)


def test_random_noise_is_drawn_as_without_graphs() -> None:
    network = Generator(16, z_dim=8, w_dim=8, channel_base=128, channel_max=8, noise_inputs=True).eval()
    graphs, latents, t = Graphs(), draw_latents(network, 0, [0]), torch.arange(4.0).double()
    compile_generator(network, Compilation(graphs))
    for mode, runs in (("random", 0), ("const", 1)):
        next(render_float(network, latents, t, chunk=4, noise_mode=mode))
        assert graphs.runs == runs


@pytest.mark.slow
def test_clips_with_views_and_a_decoder_train_the_same(tmp_path: Path) -> None:
    """To the bit; views change from clip to clip and make no new graphs."""
    graphs = Graphs()
    for number, callbacks in enumerate(([], [CompileNetworks(backend=graphs)])):
        run = trainer(tmp_path / str(number), *callbacks, StopAfter(3))
        run.fit(viewed_gan.gan(), viewed_gan.data())
        run.save_checkpoint(tmp_path / f"{number}.ckpt")
    assert graphs.compiled == 4
    assert_same(tmp_path / "0.ckpt", tmp_path / "1.ckpt")


@pytest.mark.slow
def test_two_processes_train_the_same(tmp_path: Path) -> None:
    """To the bit, and both ranks hold the same."""
    states = []
    for compiled in ([], ["compiled"]):
        command = [sys.executable, "-m", "tests.stylegan_v.compiled_gan", str(tmp_path), *compiled]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=1500)
        states += [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    plain, _, *ranks = states
    for rank in ranks:
        for phase, expected in plain["gradients"].items():
            assert all(torch.equal(a, b) for a, b in zip(expected, rank["gradients"][phase], strict=True)), phase
        assert all(torch.equal(value, rank["state"][name]) for name, value in plain["state"].items())


@pytest.mark.slow
def test_inductor_trains_the_tiny_config_and_its_samples_compile(tmp_path: Path) -> None:
    """As commands, on a CPU: close to the run without; and the videos of one checkpoint differ by rounding."""
    config = [sys.executable, "train.py", "fit", "--config", "configs/stylegan_v/tiny.yaml", "--trainer.callbacks=null"]
    compiling = "--trainer.callbacks+=stylegan_v.callbacks.CompileNetworks"
    for name, flags in (("plain", []), ("compiled", [compiling])):
        _command([*config, *flags, f"--runs_dir={tmp_path / name}", "--model.total_kimg=0.024"])
    plain, compiled = (
        torch.load(tmp_path / name / "tiny" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("plain", "compiled")
    )
    assert plain.keys() == compiled.keys()
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-3, atol=1e-3, msg=name)

    sample = [sys.executable, "generate.py", "sample", f"--ckpt={tmp_path / 'plain' / 'tiny'}", "--num_frames=5"]
    for name, flag in (("plain", "false"), ("compiled", "true")):
        _command([*sample, "--chunk=4", f"--compile={flag}", f"--out={tmp_path / name}.npy"])
    videos = [np.load(tmp_path / f"{name}.npy").astype(int) for name in ("plain", "compiled")]
    assert videos[0].std() > 1 and np.abs(videos[0] - videos[1]).max() <= 1


def _command(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=1500)


def same_within(folder: Path, tolerance: float, callback: Callback, **settings: Any) -> None:
    """Whether three updates in micro-batches have the gradients of a run without a callback, phase by phase."""
    gradients = []
    for callbacks in ([], [callback]):
        model = gan(made=RecordingGAN, augmented=True, pl_weight=2.0, r1_every=1, num_micro_batches=2)
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "max_epochs": -1}
        run = Trainer(default_root_dir=folder, callbacks=[*callbacks, StopAfter(3)], **quiet, **settings)
        run.fit(model, data())
        gradients.append(model.gradients)
    for phase in gradients[0]:
        expected, found = (torch.cat([one.flatten() for one in some[phase]]) for some in gradients)
        difference = torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected)
        assert difference < tolerance, (phase, difference)


@pytest.mark.slow
def test_rounding_of_bfloat16_stays_where_it_was(tmp_path: Path) -> None:
    """Backward passes of graphs leave autocast as ours do."""
    same_within(tmp_path, 0.05, CompileNetworks(backend="aot_eager"), accelerator="cpu", precision="bf16-mixed")


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
@pytest.mark.parametrize(("precision", "tolerance"), [("32-true", 1e-2), ("bf16-mixed", 0.2)])
def test_graphs_of_a_gpu_train_alike(tmp_path: Path, mode: str, precision: str, tolerance: float) -> None:
    """Recorded in the second call, replayed in the others."""
    same_within(tmp_path, tolerance, CompileNetworks(mode=mode), accelerator="gpu", devices=1, precision=precision)


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_graphs_of_a_gpu_draw_alike(mode: str) -> None:
    plain = generator().eval().cuda()
    compiled = copy.deepcopy(plain)
    compile_generator(compiled, Compilation(mode=mode))
    for videos in ([0], [1], [2]):
        drawn = [
            torch.cat(
                list(render_float(one, draw_latents(one, 0, videos), torch.arange(12.0).double(), chunk=4)), dim=1
            )
            for one in (plain, compiled)
        ]
        torch.testing.assert_close(drawn[1], drawn[0], rtol=1e-3, atol=1e-3)
