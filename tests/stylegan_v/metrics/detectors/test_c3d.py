from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.detectors.c3d import load_c3d
from stylegan_v.metrics.detectors.interface import Detector
from tests.stylegan_v.metrics.detectors.scripts import ToyC3D, script

CPU = torch.device("cpu")


def clips(num_frames: int = 16) -> Tensor:
    return torch.randint(256, (2, num_frames, 3, 6, 6), dtype=torch.uint8)


def test_probabilities_are_those_of_the_network(tmp_path: Path) -> None:
    network, batch = ToyC3D().eval(), clips()
    detector = load_c3d(script(network, tmp_path / "a.pt"), "ab" * 32, CPU)

    assert isinstance(detector, Detector)
    assert (detector.name, detector.unit, detector.min_frames, detector.digest) == ("c3d", "clip", 16, "ab" * 32)
    assert torch.equal(detector.probabilities(batch), network(batch.movedim(1, 2).float()))


def test_logits_are_not_taken_for_probabilities(tmp_path: Path) -> None:
    detector = load_c3d(script(ToyC3D(softmax=False), tmp_path / "a.pt"), "0" * 64, CPU)
    with pytest.raises(InputError, match=r"a\.pt: answers with rows that sum to .* no class probabilities"):
        detector.probabilities(clips())


def test_only_clips_of_its_length_and_no_features(tmp_path: Path) -> None:
    detector = load_c3d(script(ToyC3D(), tmp_path / "a.pt"), "0" * 64, CPU)
    for num_frames, words in [(15, "too short: it needs 16"), (17, "clips of 16 frames, not 17")]:
        with pytest.raises(InputError, match=words):
            detector.probabilities(clips(num_frames))
    with pytest.raises(InputError, match="c3d: gives class probabilities only"):
        detector.features(clips())
