from __future__ import annotations

import copy
import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from errors import InputError
from stylegan_v.metrics.detectors.factors import (
    CLASSES,
    FORMAT,
    FRAME_SIZE,
    NUM_FRAMES,
    VALUES,
    FactorDetector,
    FactorNetwork,
    as_input,
    drifting_waves,
    initialized,
    load_factors,
    write_factors,
)
from stylegan_v.metrics.detectors.interface import Detector
from stylegan_v.metrics.detectors.table import load_detector
from stylegan_v.metrics.factors.clips import draw_batch
from stylegan_v.weights import read_tensors, write_tensors


@pytest.fixture(scope="module")
def network() -> FactorNetwork:
    """Untrained, with running moments of its own."""
    network = initialized(0)
    network.train()
    with torch.no_grad():
        network(as_input(draw_batch(0, 0, 8).clips))
    return network.eval()


@pytest.fixture(scope="module")
def clips() -> Tensor:
    return draw_batch(0, 8, 6).clips


@pytest.fixture
def file(tmp_path: Path, network: FactorNetwork) -> Path:
    write_factors(tmp_path / "factors.safetensors", network, {"seed": 7, "scores": {"shape": {"value": 0.9}}})
    return tmp_path / "factors.safetensors"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_holds_the_network_and_what_is_known_of_it(file: Path, network: FactorNetwork, clips: Tensor) -> None:
    detector = load_factors(file, sha256(file))
    assert isinstance(detector, Detector)
    assert detector.digest == sha256(file) and detector.facts == {
        "version": 1,
        "seed": 7,
        "scores": {"shape": {"value": 0.9}},
    }
    assert (detector.name, detector.unit, detector.min_frames) == ("factors", "clip", 9)
    assert detector.caveat == "not comparable with published numbers"
    assert torch.equal(detector.features(clips), FactorDetector(network, "", {}).features(clips))


def test_the_table_finds_the_file_in_the_cache_folder(file: Path, clips: Tensor) -> None:
    detector = load_detector("factors", cache_dir=file.parent)
    assert detector.digest == sha256(file)
    assert torch.equal(detector.features(clips), load_factors(file, "").features(clips))


def test_features_and_probabilities_of_each_clip_alone(file: Path, clips: Tensor) -> None:
    detector = load_factors(file, "")
    features, probabilities = detector.features(clips), detector.probabilities(clips)
    assert features.shape == (6, 128) and features.dtype == torch.float32 and not features.requires_grad
    told = detector.network.tell(features)
    shapes, directions = told["shape"].softmax(dim=1), told["direction"].softmax(dim=1)
    assert probabilities.shape == (6, 32)
    torch.testing.assert_close(probabilities[:, 8 * 3 + 5], shapes[:, 3] * directions[:, 5])
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(6))
    torch.testing.assert_close(detector.features(clips[2:3]), features[2:3], atol=1e-5, rtol=1e-5)
    many = clips.repeat(4, 1, 1, 1, 1)  # more than are looked at together
    torch.testing.assert_close(detector.features(many), features.repeat(4, 1), atol=1e-5, rtol=1e-5)


def test_features_are_means_over_windows_of_the_least_length(file: Path) -> None:
    detector = load_factors(file, "")
    clips = draw_batch(0, 0, 2).clips
    clips = torch.cat([clips, clips.flip(1)], dim=1)[:, :17]
    windows = torch.stack([detector.features(clips[:, i : i + 9]) for i in range(0, 9, 2)])  # the stride in time is 2
    torch.testing.assert_close(detector.features(clips), windows.mean(dim=0), atol=1e-5, rtol=1e-5)


def test_a_repeated_frame_has_the_same_features_at_any_length(file: Path, clips: Tensor) -> None:
    detector = load_factors(file, "")
    still = [detector.features(clips[:, :1].expand(-1, length, -1, -1, -1)) for length in (9, 16, 40)]
    torch.testing.assert_close(still[1], still[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(still[2], still[0], atol=1e-5, rtol=1e-5)


def test_too_short_clips_are_refused(file: Path, clips: Tensor) -> None:
    with pytest.raises(InputError, match="clips of 8 frames are too short: it needs 9"):
        load_factors(file, "").features(clips[:, :8])


def test_larger_frames_are_filtered_before_they_are_made_small(clips: Tensor) -> None:
    assert torch.equal(as_input(clips), clips.float() / 127.5 - 1)
    large = torch.randint(0, 256, (1, 2, 3, 64, 128), dtype=torch.uint8)
    small = as_input(large)
    assert small.shape == (1, 2, 3, FRAME_SIZE, FRAME_SIZE)
    # A triangle as wide as two new pixels: weights 1 3 3 1 where two pixels become one, away from the borders.
    taps = torch.tensor([1.0, 3, 3, 1]) / 8
    rows = F.interpolate(large[0].float(), (64, FRAME_SIZE), mode="bilinear", antialias=True) / 127.5 - 1
    expected = sum(taps[i] * rows[:, :, i + 1 : i + 1 + 60 : 2] for i in range(4))
    torch.testing.assert_close(small[0, :, :, 1:31], expected, atol=1e-5, rtol=1e-5)


def test_untrained_networks_are_functions_of_their_seed() -> None:
    first, again, other = initialized(1).weights(), initialized(1).weights(), initialized(2).weights()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["gather.weight"], other["gather.weight"])


def test_without_weights_for_places_a_clip_moved_around_the_torus_is_the_same(network: FactorNetwork) -> None:
    somewhere = copy.deepcopy(network)
    somewhere.gather.weight.data[:, 5 * 24 :] = 0
    clips = as_input(draw_batch(0, 0, 3).clips)
    moved = clips.roll((8, 16), dims=(3, 4))
    torch.testing.assert_close(somewhere.features(moved), somewhere.features(clips), atol=1e-5, rtol=1e-5)
    assert (network.features(moved) - network.features(clips)).abs().max() > 0.01


def test_half_of_the_first_filters_begin_blind_to_what_stands_still(clips: Tensor) -> None:
    still = as_input(clips[:, :1]).expand(-1, 9, -1, -1, -1).transpose(1, 2)
    response = initialized(1).stem[0](still).abs().amax(dim=(0, 2, 3, 4))
    assert response[::2].max() < 1e-4 and response[1::2].min() > 0.1


def test_the_network_is_small_and_tells_every_factor(network: FactorNetwork) -> None:
    assert sum(p.numel() for p in network.parameters()) < 300_000
    told = network(torch.zeros(1, NUM_FRAMES, 3, FRAME_SIZE, FRAME_SIZE))
    assert {name: value.shape[1] for name, value in told.items()} == {**CLASSES, **VALUES}


def _metadata(facts: object = None, form: str = FORMAT) -> dict[str, str]:
    return {"format": form, "facts": json.dumps({"version": 1} if facts is None else facts)}


@pytest.mark.parametrize(
    "change, metadata, says",
    [
        ({}, _metadata(form="stylegan_v"), "holds something else"),
        ({}, {}, "holds something else"),
        ({}, {"format": FORMAT, "facts": "{"}, "metadata are damaged"),
        ({}, {"format": FORMAT, "facts": "[" * 100_000}, "metadata are damaged"),
        ({}, _metadata([1]), "is not of version 1"),
        ({}, _metadata({"version": 2}), "is not of version 1"),
        ({"heads.bias": None}, _metadata(), "heads.bias is missing there"),
        ({"more": torch.zeros(1)}, _metadata(), "more is torch.float32 [1] there and missing here"),
        ({"heads.bias": torch.zeros(3)}, _metadata(), "heads.bias is torch.float32 [3] there"),
        ({"heads.bias": torch.zeros(36).half()}, _metadata(), "heads.bias is torch.float16 [36] there"),
        ({"heads.bias": torch.full((36,), float("nan"))}, _metadata(), "not finite"),
    ],
)
def test_another_file_is_refused_in_one_line(
    tmp_path: Path, network: FactorNetwork, change: dict[str, Tensor | None], metadata: dict[str, str], says: str
) -> None:
    path = tmp_path / "factors.safetensors"
    tensors = {name: value for name, value in {**network.weights(), **change}.items() if value is not None}
    with open(path, "wb") as file:
        write_tensors(file, tensors, metadata)
    with pytest.raises(InputError) as refusal:
        load_factors(path, "")
    message = str(refusal.value)
    assert says in message and message.startswith(str(path)) and "\n" not in message and "train_detector" in message


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text", "long header", "large"])
def test_a_damaged_file_is_refused(file: Path, damage: str) -> None:
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "large":
        os.truncate(file, 17_000_000)
    else:
        changed = {"empty": b"", "cut": content[:-100], "text": b"hello " * 50, "long header": b"\xff" * 8 + content}
        file.write_bytes(changed[damage])
    with pytest.raises(InputError, match=str(file)):
        load_factors(file, "")


def test_a_failed_write_leaves_the_old_file(
    file: Path, network: FactorNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()
    monkeypatch.setattr(FactorNetwork, "weights", lambda self: {"x": torch.zeros(2, dtype=torch.complex64)})
    with pytest.raises(KeyError):
        write_factors(file, network, {})
    assert file.read_bytes() == before and [path.name for path in file.parent.iterdir()] == [file.name]
    monkeypatch.undo()
    assert set(read_tensors(file)[0]) == set(network.weights())


def test_each_of_the_waves_answers_most_to_what_drifts_its_way() -> None:
    t, y, x = torch.meshgrid(torch.arange(9.0), torch.arange(32.0), torch.arange(32.0), indexing="ij")
    filters = drifting_waves(0, 8)
    energies = []
    for angle in 2 * torch.pi * torch.arange(8) / 8:
        wave = torch.cos(2 * torch.pi / 6 * (torch.sin(angle) * y + torch.cos(angle) * x) - 0.63 * t)
        response = F.conv3d(wave.expand(1, 3, -1, -1, -1), filters, dilation=(2, 1, 1))
        energies.append(response.square().mean(dim=(0, 2, 3, 4)))
    assert torch.equal(torch.stack(energies).argmax(dim=0), torch.arange(8))
