"""Several processes against one, and the pieces that make them agree."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.strategies import StrategyRegistry

from stylegan_v import distributed
from tests.stylegan_v.tiny_gan import labelled_gradients, same_gradient

ROOT = Path(__file__).parents[2]


def test_buckets_keep_order_and_bounds() -> None:
    tensors = [torch.zeros(n) for n in (3, 4, 10, 1, 1)]
    sizes = [[t.numel() for t in bucket] for bucket in distributed.buckets(tensors, max_bytes=7 * 4)]
    assert sizes == [[3, 4], [10], [1, 1]]


def test_buckets_hold_one_dtype() -> None:
    tensors = [torch.zeros(1), torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)]
    assert [len(bucket) for bucket in distributed.buckets(tensors, 1 << 20)] == [1, 2]


def test_one_process_is_left_alone() -> None:
    tensors = [torch.randn(3), torch.randn(2, 2)]
    before = [t.clone() for t in tensors]
    distributed.average_over_ranks(tensors)
    assert distributed.num_ranks() == 1
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
    assert torch.equal(distributed.summed_over_ranks(tensors[0]), before[0])


@pytest.mark.parametrize("name", ["ddp", "ddp_spawn", "ddp_fork", "ddp_notebook", "ddp_find_unused_parameters_true"])
def test_strategy_answers_to_every_name_of_ddp(name: str) -> None:
    assert type(StrategyRegistry.get(name)) is distributed.OwnReductionDDPStrategy


@pytest.fixture
def one_process_group(tmp_path: Path):  # noqa: ANN201
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process_group")
@pytest.mark.parametrize("own", [True, False])
def test_only_modules_that_say_so_stay_unwrapped(own: bool) -> None:
    class Module(LightningModule):
        reduces_own_gradients = own

    strategy = distributed.OwnReductionDDPStrategy(parallel_devices=[torch.device("cpu")])
    module = Module()
    module.layer = torch.nn.Linear(1, 1)
    strategy.connect(module)
    strategy.configure_ddp()
    assert (strategy.model is module) == own


@pytest.mark.usefixtures("one_process_group")
def test_an_error_out_of_an_exchange_means_a_lost_peer() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.distributed.all_reduce(torch.zeros(1).to_sparse(), op=torch.distributed.ReduceOp.PRODUCT)
    assert distributed.lost_peer(caught.value)
    assert not distributed.lost_peer(RuntimeError("shapes differ"))


def test_restarts_are_told_by_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert not distributed.launched_by_torchrun() and not distributed.restarted()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    assert distributed.launched_by_torchrun() and not distributed.restarted()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert distributed.restarted()


def test_a_restarted_process_does_not_find_what_those_before_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = torch.distributed.TCPStore("localhost", 0, is_master=True)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(agent.port))
    agent.set("address", "of the first start")
    starts = []
    for count in (1, 2):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(count))
        starts.append(distributed.store_of_this_start(timedelta(seconds=5)))
        assert not starts[-1].check(["address"])
        starts[-1].set("address", str(count))
    assert [store.get("address") for store in starts] == [b"1", b"2"]


class Message(torch.distributed.Work):
    """One that has come; its tensor is what this and another rank with the same values sum up to."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()
        tensor *= 2

    def wait(self, timeout: Any = None) -> bool:
        """Nothing is left to wait for."""
        return True


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """Makes this process one of two that compute the same; what it sends, message by message."""
    messages: list[list[float]] = []

    def all_reduce(tensor: torch.Tensor, async_op: bool = False) -> Message:
        messages.append(tensor.tolist())
        return Message(tensor)

    monkeypatch.setattr(distributed, "num_ranks", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", all_reduce)
    return messages


def weights(*values: float) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.tensor([value])) for value in values]


def test_leaves_of_a_loss_are_those_that_it_depends_on() -> None:
    a, b, c, d = weights(1.0, 2.0, 3.0, 4.0)
    loss = (a * b + torch.exp(a)).sum() + c.detach().sum()
    assert distributed.leaves_of(loss) == {id(a), id(b)}
    (slope,) = torch.autograd.grad((a * d**2 + c).sum(), a, create_graph=True)
    assert distributed.leaves_of(slope.square().sum()) == {id(d)}
    loss.backward()
    assert c.grad is None and a.grad is not None


def test_gradients_go_in_buckets_from_the_last_parameter_on_before_the_pass_ends(sent: list[list[float]]) -> None:
    first, middle, last = weights(1.0, 2.0, 3.0)
    exchange = distributed.Exchange([first, middle, last], bucket_bytes=4)
    with exchange.backward_pass((loss := (first * 5 + middle * 7).sum()), last=False):
        loss.backward()
    assert sent == [] and exchange.sent_early == 0
    seen: list[int] = []
    first.register_hook(lambda gradient: seen.append(len(sent)))
    with exchange.backward_pass((loss := (torch.exp(first * 0) * middle * last).sum()), last=True):
        loss.backward()
    assert seen == [2]  # two messages were under way when the gradient of the first parameter came
    assert exchange.sent_early == 3 and sent == [[2.0], [7.0 + 3.0], [5.0]]
    exchange.finish([total := torch.tensor([4.0])])
    assert [parameter.grad.item() for parameter in (first, middle, last)] == [5.0, 10.0, 2.0] and total.item() == 4.0
    assert sent[3] == [4.0]


def test_buckets_keep_their_order_where_a_loss_reaches_some_parameters_only(sent: list[list[float]]) -> None:
    first, middle, last = weights(1.0, 2.0, 3.0)
    exchange = distributed.Exchange([first, middle, last], bucket_bytes=4)
    with exchange.backward_pass((loss := (first * middle).sum()), last=True):
        loss.backward()
    assert sent == [[0.0], [1.0], [2.0]] and exchange.sent_early == 3
    exchange.finish()
    assert last.grad.item() == 0.0

    # A gradient that does not come although the graph leads there holds back what is behind it until the end.
    for parameter in (first, middle, last):
        parameter.grad = None
    exchange = distributed.Exchange([first, middle, last], bucket_bytes=4)
    with exchange.backward_pass((loss := (first * middle + last).sum()), last=True):
        torch.autograd.backward(loss, inputs=[first, middle])
    assert exchange.sent_early == 0
    exchange.finish()
    assert sent[3:] == [[0.0], [1.0], [2.0]]


def test_no_backward_pass_follows_the_last_one() -> None:
    (only,) = weights(1.0)
    exchange = distributed.Exchange([only])
    with exchange.backward_pass((loss := only.sum()), last=True):
        loss.backward()
    with pytest.raises(RuntimeError, match="follows"), exchange.backward_pass(only.sum(), last=False):
        pass
    exchange.finish()
    assert only.grad.item() == 1.0 and exchange.sent_early == 0 and not only._post_accumulate_grad_hooks


def test_an_error_of_a_message_under_way_means_a_lost_peer() -> None:
    class Broken(torch.distributed.Work):
        def wait(self, timeout: Any = None) -> bool:
            raise RuntimeError("Connection closed by peer")

    with pytest.raises(RuntimeError) as caught:
        distributed._wait(Broken())
    assert distributed.lost_peer(caught.value)


def two_processes(what: str, folder: Path, program: str = "tiny_gan") -> list[dict[str, Any]]:
    """What both ranks write down."""
    command = [sys.executable, "-m", f"tests.stylegan_v.{program}", what, str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=240)
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def test_two_processes_give_the_gradients_of_one(tmp_path: Path) -> None:
    """Every phase of two updates, with augmentation, labels, minibatch std and path length; `strategy: auto`."""
    first, second = two_processes("gradients", tmp_path)
    whole = labelled_gradients(tmp_path)

    first_update = [phase.split("/")[1] for phase in whole["gradients"]][:4]
    assert first_update == ["generator", "path_length", "discriminator", "r1"]
    for phase, gradients in whole["gradients"].items():
        assert same_gradient(gradients, first["gradients"][phase]), phase
    assert all(torch.equal(value, second["state"][name]) for name, value in first["state"].items())
    for name in ("generator.mapping.w_avg", "ada.p", "mean_path_length", "ada.sums"):
        torch.testing.assert_close(first["state"][name], whole["state"][name], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_both_ranks_skip_what_one_rank_spoilt(tmp_path: Path) -> None:
    first, second = two_processes("spoilt", tmp_path)
    for result in (first, second):
        assert result["bad_in_a_row"] == {"generator": 1, "discriminator": 1, "r1": 1}
        assert all(value.isfinite().all() for value in result["state"].values())
    assert all(torch.equal(value, second["state"][name]) for name, value in first["state"].items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "multi_scale"])
def test_gradients_under_way_early_are_those_exchanged_afterwards_bit_for_bit(kind: str, tmp_path: Path) -> None:
    """All phases of two updates; micro-batches, labels, augmentation, frozen layers; views that differ by rank."""
    ranks = two_processes(kind, tmp_path, "overlapping_gan")
    for rank in ranks:
        after, early = rank["after"], rank["overlapped"]
        assert {phase.split("/")[1] for phase in after["gradients"]} >= {"generator", "discriminator", "r1"}
        for phase, gradients in after["gradients"].items():
            assert all(torch.equal(a, b) for a, b in zip(gradients, early["gradients"][phase], strict=True)), phase
        assert all(torch.equal(value, early["state"][name]) for name, value in after["state"].items())
        assert len(early["counts"]) == (4 if kind == "plain" else 3)
        assert all(0 < soon == there for soon, there in early["counts"].values()), early["counts"]
        assert after["counts"] == {}
