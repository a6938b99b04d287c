from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics
import torchvision
from torch import Tensor, nn

from errors import InputError
from fields.reconstruction import lpips as module
from fields.reconstruction.lpips import MIN_SIZE, Lpips, load_lpips, read_weights, weight_file
from tests.fields.reconstruction import naive
from weight_files import MissingWeights

ARCHITECTURES = {
    "alex": torchvision.models.alexnet,
    "vgg": torchvision.models.vgg16,
    "squeeze": torchvision.models.squeezenet1_1,
}
slow_vgg = pytest.param("vgg", marks=pytest.mark.slow)


def features(net: str) -> nn.Sequential:
    return ARCHITECTURES[net](weights=None).features.eval()


def state_of(layers: nn.Sequential) -> dict[str, Tensor]:
    """As torchvision's file names the weights, the classifier left out."""
    return {f"features.{name}": value for name, value in layers.state_dict().items()}


def linear_layers(net: str) -> dict[str, Tensor]:
    folder = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models"
    return torch.load(folder / f"{net}.pth", map_location="cpu", weights_only=True)


def published(monkeypatch: pytest.MonkeyPatch, net: str, path: Path) -> None:
    """Makes the file the published one: its digits stand in the name."""
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setitem(module._FILES, net, f"{net}-{digits}.pth")


def squeeze_file(folder: Path) -> Path:
    torch.save(state_of(features("squeeze")), folder / "weights.pth")
    return folder / "weights.pth"


@pytest.mark.parametrize("net", ["alex", "squeeze", slow_vgg])
def test_every_frame_is_the_paper_s_formula(net: Any) -> None:
    layers = features(net)
    result, reference = torch.rand(2, 3, 40, 47), torch.rand(2, 3, 40, 47)
    reference[1] = result[1] + 0.02 * (torch.rand(3, 40, 47) - result[1])
    linear = linear_layers(net)
    with torch.no_grad():
        pairs = zip(result, reference, strict=True)
        direct = [naive.lpips(one, other, layers, linear, net) for one, other in pairs]
    found = Lpips(net, state_of(layers), "0" * 64)(result, reference)
    torch.testing.assert_close(found, torch.tensor(direct, dtype=torch.float64), rtol=1e-3, atol=1e-7)
    assert found[0] > 5 * found[1] > 0


def test_equal_frames_have_distance_zero_and_a_frame_does_not_change_another() -> None:
    distance = Lpips("squeeze", state_of(features("squeeze")), "0" * 64)
    result, reference = torch.rand(3, 3, 32, 32), torch.rand(3, 3, 32, 32)
    whole = distance(result, reference)
    assert torch.equal(whole, torch.cat([distance(result[i : i + 1], reference[i : i + 1]) for i in range(3)]))
    assert distance(result, result).tolist() == [0, 0, 0]
    torch.testing.assert_close(distance(reference, result), whole)


# Of the package lpips 0.1.4, version 0.1, with the weights and frames that `recorded_case` makes.
RECORDED = {
    "alex": [0.04765017, 0.045396805, 0.046392798],
    "squeeze": [0.056950081, 0.061386518, 0.055573717],
    "vgg": [0.056970187, 0.055278186, 0.054720838],
}


def recorded_case(net: str) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Weights and frames from numpy's generator, which draws the same everywhere."""
    rng = np.random.default_rng(0)
    weights = {}
    for name, value in state_of(features(net)).items():
        spread = math.sqrt(2 / max(value[0].numel(), 1)) if value.ndim == 4 else 0.1
        weights[name] = torch.from_numpy(rng.standard_normal(tuple(value.shape)) * spread).float()
    result = torch.from_numpy(rng.random((3, 3, 48, 64))).float()
    return weights, result, torch.from_numpy(rng.random((3, 3, 48, 64))).float().lerp(result, 0.5)


@pytest.mark.parametrize("net", ["alex", "squeeze", slow_vgg])
def test_figures_of_the_package_of_the_paper_s_authors(net: Any) -> None:
    weights, result, reference = recorded_case(net)
    found = Lpips(net, weights, "0" * 64)(result, reference)
    torch.testing.assert_close(found, torch.tensor(RECORDED[net], dtype=torch.float64), rtol=1e-5, atol=0)


def test_a_caller_s_precision_does_not_matter() -> None:
    weights, result, reference = recorded_case("squeeze")
    distance = Lpips("squeeze", weights, "0" * 64)
    want = distance(result, reference)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(distance(result.requires_grad_(), reference), want)


@pytest.mark.gpu
def test_a_graphics_card_gives_the_same_figures() -> None:
    weights, result, reference = recorded_case("alex")
    found = Lpips("alex", weights, "0" * 64).to("cuda")(result.cuda(), reference.cuda()).cpu()
    torch.testing.assert_close(found, torch.tensor(RECORDED["alex"], dtype=torch.float64), rtol=1e-4, atol=0)


@pytest.mark.parametrize("net", ["alex", "squeeze", slow_vgg])
def test_the_smallest_frames_of_each_backbone(net: Any) -> None:
    distance, least = Lpips(net, state_of(features(net)), "0" * 64), MIN_SIZE[net]
    assert distance(torch.rand(1, 3, least, least), torch.rand(1, 3, least, least)).isfinite().all()
    small = torch.rand(1, 3, least, least - 1)
    with pytest.raises(InputError, match=f"lpips: frames of {least}x{least - 1} are too small"):
        distance(small, small)
    with pytest.raises(RuntimeError):  # it is the backbone that cannot
        distance.network(small, small)


def test_building_leaves_the_stream_of_random_numbers_alone() -> None:
    weights = state_of(features("squeeze"))
    before = torch.get_rng_state()
    Lpips("squeeze", weights, "0" * 64)
    assert torch.equal(torch.get_rng_state(), before)


def test_names_carry_the_digits_that_are_checked() -> None:
    digits = {net: weight_file(net).sha256 for net in ARCHITECTURES}
    assert digits == {"alex": "7be5be79", "vgg": "397923af", "squeeze": "b8a52dc0"}
    for net in digits:
        spec = weight_file(net)
        assert spec.file.endswith(f"-{spec.sha256}.pth")
        name = {"alex": "AlexNet_Weights", "vgg": "VGG16_Weights", "squeeze": "SqueezeNet1_1_Weights"}[net]
        assert spec.url == getattr(torchvision.models, name).IMAGENET1K_V1.url


def test_a_file_by_path_and_from_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = squeeze_file(tmp_path)
    published(monkeypatch, "squeeze", path)
    frames = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    want = Lpips("squeeze", read_weights(path), "0" * 64)(*frames)
    by_path = load_lpips("squeeze", path)
    assert torch.equal(by_path(*frames), want)
    assert by_path.convention.endswith(hashlib.sha256(path.read_bytes()).hexdigest())
    path.rename(tmp_path / weight_file("squeeze").file)
    assert torch.equal(load_lpips("squeeze", cache_dir=tmp_path)(*frames), want)


def test_a_missing_file_is_one_line_that_says_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights) as caught:
        load_lpips("alex", cache_dir=tmp_path)
    message = str(caught.value)
    assert "\n" not in message and "pytorch.org" in message
    assert str(tmp_path / "alexnet-owt-7be5be79.pth") in message


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = squeeze_file(tmp_path)
    with pytest.raises(InputError, match="b8a52dc0"):
        load_lpips("squeeze", path)


@pytest.mark.parametrize(
    "content, says", [(b"no weights", "not a file of weights"), ({"features.0.weight": 3}, "not a file of tensors")]
)
def test_a_broken_file_is_refused(tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(InputError, match=says):
        read_weights(path)


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


def test_nothing_in_a_file_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": _Runs()}, "weights.pth")
    with pytest.raises(InputError, match="not a file of weights"):
        read_weights(Path("weights.pth"))
    assert not Path("ran").exists()


def test_weights_of_another_network_are_refused() -> None:
    weights = state_of(features("squeeze"))
    with pytest.raises(InputError, match="weights of squeeze: other shapes"):
        Lpips("squeeze", {**weights, "features.0.weight": torch.zeros(1)}, "0" * 64)
    with pytest.raises(InputError, match=r"weights of alex: features\.\d+\.\w+ is missing"):
        Lpips("alex", weights, "0" * 64)
    with pytest.raises(InputError, match="lpips_net: resnet: give one of alex, vgg, squeeze"):
        load_lpips("resnet")
