from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from errors import InputError
from stylegan_v.metrics.detectors.i3d import I3D, load_i3d
from stylegan_v.metrics.detectors.interface import Detector
from tests.stylegan_v.metrics.detectors.scripts import ToyI3D, script

CPU = torch.device("cpu")


class Recorder(nn.Module):
    """Answers with what it was called with: keywords, axes, range and type of its input, and one of its values."""

    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        facts = [float(rescale), float(resize), float(return_features), float(x.dtype == torch.float32)]
        facts += [float(n) for n in x.shape[1:]]
        facts += [float(x.min()), float(x.max())]
        row = torch.tensor(facts)
        return torch.cat([row.unsqueeze(0).repeat(x.shape[0], 1), x[:, 2, 7, 1, 0].unsqueeze(1)], dim=1)


def clips(num: int = 2, num_frames: int = 10) -> Tensor:
    values = torch.randint(256, (num, num_frames, 3, 6, 5), dtype=torch.uint8)
    values[0, 0, 0, 0, :2] = torch.tensor([0, 255])
    return values


def test_the_call_is_that_of_the_original_fvd(tmp_path: Path) -> None:
    detector, batch = load_i3d(script(Recorder(), tmp_path / "a.pt"), "0" * 64, CPU), clips()
    told = detector.features(batch)

    assert told[0, :10].tolist() == [1, 1, 1, 1, 3, 10, 6, 5, 0, 255]
    assert told[:, 10].tolist() == batch[:, 7, 2, 1, 0].tolist()


def test_features_are_those_of_the_network_bit_for_bit(tmp_path: Path) -> None:
    network, batch = ToyI3D().eval(), clips()
    detector = load_i3d(script(network, tmp_path / "a.pt"), "0" * 64, CPU)
    with torch.no_grad():
        expected = network(batch.movedim(1, 2).float(), rescale=True, resize=True, return_features=True)

    assert torch.equal(detector.features(batch), expected)
    assert torch.equal(detector.to("cpu").features(batch.clone()), expected)


def test_what_it_says_of_itself(tmp_path: Path) -> None:
    detector = load_i3d(script(ToyI3D(), tmp_path / "a.pt"), "ab" * 32, CPU)

    assert isinstance(detector, Detector) and isinstance(detector, I3D)
    facts = (detector.name, detector.digest, detector.caveat, detector.unit, detector.min_frames)
    assert facts == ("i3d", "ab" * 32, "", "clip", 10)


def test_short_clips_and_questions_for_classes_are_one_line(tmp_path: Path) -> None:
    detector = load_i3d(script(ToyI3D(), tmp_path / "a.pt"), "0" * 64, CPU)
    with pytest.raises(InputError, match="i3d: clips of 9 frames are too short: it needs 10"):
        detector.features(clips(num_frames=9))
    with pytest.raises(InputError, match="i3d: gives no class probabilities"):
        detector.probabilities(clips())


def test_another_network_in_the_file_is_named_when_it_is_called(tmp_path: Path) -> None:
    detector = load_i3d(script(nn.Flatten(), tmp_path / "a.pt"), "0" * 64, CPU)
    with pytest.raises(InputError, match=r"a\.pt: cannot be called as network\(x, rescale=True, resize=True"):
        detector.features(clips())


@pytest.mark.gpu
def test_the_gpu_gives_the_features_of_the_cpu(tmp_path: Path) -> None:
    detector, batch = load_i3d(script(ToyI3D(), tmp_path / "a.pt"), "0" * 64, CPU), clips()
    expected = detector.features(batch)
    found = detector.to("cuda").features(batch)

    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-5, atol=1e-6)
