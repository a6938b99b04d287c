from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from errors import InputError
from stylegan_v.metrics.detectors.torchscript import call_script, load_script
from tests.stylegan_v.metrics.detectors.scripts import ToyI3D, rewritten, script

CPU = torch.device("cpu")


class Stubborn(nn.Module):
    """Answers with a list, with too few rows, or not at all."""

    def forward(self, x: Tensor, few: bool = False) -> Tensor:
        if few:
            return x[:1].flatten(1)
        if x.shape[0] > 3:
            raise ValueError("only three at once")
        return x


class Constants(nn.Module):
    """A network whose stored program has a tensor among its constants, and names that are numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            (x,) = torch.split(layer(x), 4, dim=1)
        return x * torch.tensor([1.0, 2.0, 3.0, 0.1])


@pytest.mark.parametrize("traced", [False, True])
def test_a_network_answers_bit_for_bit_as_before_it_was_stored(tmp_path: Path, traced: bool) -> None:
    network, x = Constants().eval(), torch.randn(3, 4)
    if traced:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.trace(network, x), str(tmp_path / "a.pt"))
    else:
        script(network, tmp_path / "a.pt")

    assert torch.equal(call_script(tmp_path / "a.pt", load_script(tmp_path / "a.pt", CPU), x), network(x))


def test_keywords_reach_the_network_and_every_call_gives_the_same_bits(tmp_path: Path) -> None:
    network = ToyI3D().eval()
    stored = load_script(script(network, tmp_path / "a.pt"), CPU)
    x = torch.rand(2, 3, 5, 20, 20) * 255

    answers = [call_script(tmp_path, stored, x, rescale=True, resize=True, return_features=True) for _ in range(4)]
    with torch.no_grad():
        expected = network(x, rescale=True, resize=True, return_features=True)
    assert all(torch.equal(answer, expected) for answer in answers)


def test_no_gradient_and_no_reduced_precision_whatever_is_around(tmp_path: Path) -> None:
    stored = load_script(script(ToyI3D(), tmp_path / "a.pt"), CPU)
    x = torch.rand(2, 3, 5, 20, 20)
    plain = call_script(tmp_path, stored, x, return_features=True)
    with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16):
        inside = call_script(tmp_path, stored, x, return_features=True)

    assert torch.equal(plain, inside)
    assert not inside.requires_grad and not any(weight.requires_grad for weight in stored.parameters())
    assert not stored.training


def test_loading_warns_of_nothing(tmp_path: Path) -> None:
    path = script(ToyI3D(), tmp_path / "a.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = load_script(path, CPU)
        call_script(path, stored, torch.rand(1, 3, 5, 20, 20))


def test_what_a_network_cannot_answer_is_one_line(tmp_path: Path) -> None:
    path = script(Stubborn(), tmp_path / "a.pt")
    network = load_script(path, CPU)
    for x, options, words in [
        (torch.ones(2, 3, 4), {}, r"answers with \[2, 3, 4\] to 2 items"),
        (torch.ones(2, 3), {"few": True}, r"answers with \[1, 3\] to 2 items"),
        (torch.ones(4, 3), {}, "only three at once"),
        (torch.ones(2, 3), {"many": True}, r"cannot be called as network\(x, many=True\)"),
    ]:
        with pytest.raises(InputError, match=words) as caught:
            call_script(path, network, x, **options)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_an_archive_that_torch_cannot_follow_is_one_line(tmp_path: Path) -> None:
    path = script(ToyI3D(), tmp_path / "a.pt")
    rewritten(path, {"data.pkl": b"\x80\x02c__torch__.nowhere\nNet\n)\x81}b."})
    with pytest.raises(InputError, match="torch cannot read this archive") as caught:
        load_script(path, CPU)
    assert "\n" not in str(caught.value)
