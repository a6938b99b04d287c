"""Networks as graphs: where they run, that they change nothing, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest
import torch
from torch import Tensor

from stylegan_v.callbacks import CompileNetworks
from tests.checkpoint_state import assert_same
from tests.stylegan_v.tiny_gan import RecordingGAN, StopAfter, data, gan, trainer


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


def test_only_first_derivatives_run_as_graphs_and_nothing_changes(tmp_path: Path) -> None:
    """To the bit, where the backend computes as torch does; later updates make no new graphs."""
    graphs, models = Graphs(), []
    for number, callbacks in enumerate(([], [CompileNetworks(backend=graphs)])):
        model = gan(made=CountingGAN, augmented=True, pl_weight=2.0, r1_every=1, num_micro_batches=2)
        model.graphs = graphs
        run = trainer(tmp_path / str(number), *callbacks, StopAfter(2))
        run.fit(model, data())
        run.save_checkpoint(tmp_path / f"{number}.ckpt")
        models.append(model)
    first, second = [(phase, runs) for update, phase, runs in models[1].counts if update == 0], models[1].counts[4:]
    assert first == [("generator", 4), ("path_length", 0), ("discriminator", 6), ("r1", 0)]
    assert second == [(1, "generator", 4), (1, "discriminator", 6), (1, "r1", 0)]
    assert graphs.compiled == 4  # of each network one for each of the two phases
    assert_same(tmp_path / "0.ckpt", tmp_path / "1.ckpt")
