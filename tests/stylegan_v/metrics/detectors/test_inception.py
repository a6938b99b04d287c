from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.detectors.inception import load_inception
from stylegan_v.metrics.detectors.interface import Detector
from tests.stylegan_v.metrics.detectors.scripts import ToyInception, script

CPU = torch.device("cpu")


def clips(num: int = 2, num_frames: int = 3, size: int = 8) -> Tensor:
    return torch.randint(256, (num, num_frames, 3, size, size), dtype=torch.uint8)


def test_an_archive_is_asked_frame_by_frame_in_the_order_of_clips(tmp_path: Path) -> None:
    network, batch = ToyInception().eval(), clips()
    detector = load_inception(script(network, tmp_path / "a.pt"), "ab" * 32, CPU)
    with torch.no_grad():
        features = network(batch.flatten(0, 1), return_features=True)
        without_bias = network(batch.flatten(0, 1), no_output_bias=True)

    assert isinstance(detector, Detector)
    assert (detector.name, detector.unit, detector.min_frames, detector.digest) == ("inception", "frame", 1, "ab" * 32)
    assert torch.equal(detector.features(batch), features)
    assert torch.equal(detector.to("cpu").probabilities(batch), without_bias)
    assert not torch.allclose(without_bias, network(batch.flatten(0, 1)))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights under the names of torch-fidelity's network, of spreads that keep the signal alive."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unfilled(FeatureExtractorInceptionV3):
        def load_state_dict(self, state: Any, *args: Any, **kwargs: Any) -> None:
            """Keeps what it was made with."""

    folder = tmp_path_factory.mktemp("weights")
    torch.save({}, folder / "empty.pth")
    state = Unfilled("inception", ["2048"], str(folder / "empty.pth")).state_dict()
    generator = torch.Generator().manual_seed(0)
    for weight in state.values():
        if weight.ndim > 1:
            weight.normal_(std=math.sqrt(2 / weight[0].numel()), generator=generator)
    torch.save(state, folder / "random.pth")
    return folder / "random.pth"


@pytest.mark.slow
def test_weights_give_the_features_of_torchmetrics_and_softmax_without_bias(weights: Path) -> None:
    """Torchmetrics reads the same weights through the same package; it resizes as TensorFlow 1 if told to."""
    from torchmetrics.image.fid import NoTrainInceptionV3

    batch = clips(num=1, num_frames=2, size=40)
    detector = load_inception(weights, "0" * 64, CPU)
    other = NoTrainInceptionV3("inception", ["2048"], str(weights), antialias=False)

    features, probabilities = detector.features(batch), detector.probabilities(batch)
    assert features.shape == (2, 2048) and probabilities.shape == (2, 1008)
    assert torch.equal(features, other(batch.flatten(0, 1)))
    assert features[0].std() > 1e-3 and not torch.equal(features[0], features[1])
    torch.testing.assert_close(probabilities, (features @ other.fc.weight.T).softmax(dim=1))


def test_a_file_of_weights_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "touched",)

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=r"evil\.pth: no file of weights, or a damaged one"):
        load_inception(tmp_path / "evil.pth", "0" * 64, CPU)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "content, words",
    [
        ({"a": torch.ones(1)}, "no weights of the Inception"),
        ({"a": 1}, "other things than tensors"),
        ([1], "other things than tensors"),
    ],
)
def test_other_weights_are_one_line(tmp_path: Path, content: object, words: str) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=words) as caught:
        load_inception(tmp_path / "a.pth", "0" * 64, CPU)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_without_the_package_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(InputError, match="pip install torch-fidelity, or give the TorchScript file"):
        load_inception(tmp_path / "a.pth", "0" * 64, CPU)
