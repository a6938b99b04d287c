"""The numbers below come from the network and the preprocessing of the package cd-fvd 0.1.1 itself.

Weights and clips are addressed draws, so they can be made again here without it: its VisionTransformer was given the
weights of `tiny_weights` (image 32, patch 2, so that its fixed grid of 8 x 16 x 16 positions fits) and called with
`forward_features` on the clips of `tiny_clips` after its own conversion and resizing. This project's network agreed
to 3e-7, also at 2, 8, 17, 20 and 128 frames. At the full layout, run once by hand with normal weights of spread 0.02
(1 011 855 918 of them, norms around 1) on a clip of 16 frames of 96 x 128 pixels, all names and shapes were the same
and the largest difference of a feature was 5e-7, where features are 0.8 in the mean. The published weights themselves
were not run.
"""

from __future__ import annotations

import pickle
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.detectors import videomae
from stylegan_v.metrics.detectors.interface import Detector
from stylegan_v.metrics.detectors.videomae import VideoMAE, load_videomae, preprocess
from stylegan_v.metrics.detectors.videomae_encoder import Sizes, VideoMaeEncoder
from stylegan_v.noise import AddressedRandom

TINY = Sizes(
    width=16, depth=2, num_heads=2, hidden=24, patch=2, image=32, num_frames=16, frames_per_slot=2, num_classes=5
)
CPU = torch.device("cpu")
# fmt: off
EXPECTED_FEATURES = {  # by the number of frames: of the first clip, of the second
    16: [
        [0.855485, 0.1140312, 2.8046234, 0.1892282, 0.2621186, -0.0139563, 0.6005234, 0.4695395,
         0.0988151, -1.3225446, 0.2935416, 0.3319117, 0.4329201, -0.8724547, 0.5788418, 0.0235488],
        [0.4958107, 0.3190254, 1.8418087, -0.1396926, 0.7651839, 0.2346735, 0.599547, 0.4485668,
         0.1654048, -2.2582488, 0.2927255, 0.310383, 0.4690282, -1.080156, 0.4358942, 0.2363537],
    ],
    7: [
        [0.8043093, 0.087472, 2.815171, 0.2270816, 0.2987649, -0.0127476, 0.6000817, 0.4602717,
         0.0704999, -1.3895636, 0.2932053, 0.3313632, 0.4308033, -0.9805769, 0.6317627, 0.0476829],
        [0.4190181, 0.2606843, 2.0343056, -0.094854, 0.7208223, 0.1927425, 0.5992944, 0.4651908,
         0.1115603, -2.0843887, 0.2924386, 0.3162459, 0.4435099, -1.1830088, 0.5707999, 0.2671449],
    ],
}
EXPECTED_PROBABILITIES = {
    16: [
        [0.0599647, 0.1391631, 0.0598577, 0.7268985, 0.0141160],
        [0.0162413, 0.0347368, 0.0467188, 0.8880293, 0.0142738],
    ],
    7: [
        [0.0556632, 0.1159255, 0.0510841, 0.7651689, 0.0121582],
        [0.0171898, 0.0333600, 0.0344145, 0.9031205, 0.0119153],
    ],
}
EXPECTED_ROW = [  # of a frame of 300 x 180 pixels made 224 x 224: row 100, every fiftieth column, red, green and blue
    [0.5836103, 0.7050738, 0.3205281, 0.4866519, 0.5807248],
    [0.8373204, 0.1823320, 0.3446008, 0.6709588, 0.3076442],
    [0.5016091, 0.6205413, 0.3691264, 0.5451587, 0.5356048],
]
# fmt: on


def shapes() -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in VideoMaeEncoder(TINY).state_dict().items()}


def tiny_weights() -> dict[str, Tensor]:
    draws = AddressedRandom(0, 0, "videomae", torch.zeros(1, dtype=torch.int64))
    return {name: draws.normal(name, *shape)[0] * 0.5 for name, shape in shapes().items()}


def tiny_clips(num_frames: int) -> Tensor:
    """Two clips of noise, the second one darker."""
    draws = AddressedRandom(0, 0, "videomae", torch.arange(2)).uniform("clips", 16, 3, 20, 28)
    brightness = torch.tensor([1.0, 0.4]).view(2, 1, 1, 1, 1)
    return ((draws * 256).to(torch.uint8)[:, :num_frames] * brightness).to(torch.uint8)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    torch.save({"module": tiny_weights()}, path)
    return path


@pytest.fixture
def detector(weights: Path) -> VideoMAE:
    return load_videomae(weights, "0123", CPU, TINY)


@pytest.mark.parametrize("num_frames", [16, 7])
def test_features_and_probabilities_are_those_of_cd_fvd(detector: VideoMAE, num_frames: int) -> None:
    clips = tiny_clips(num_frames)
    features, chances = detector.features(clips), detector.probabilities(clips)
    torch.testing.assert_close(features, torch.tensor(EXPECTED_FEATURES[num_frames]), atol=1e-5, rtol=0)
    torch.testing.assert_close(chances, torch.tensor(EXPECTED_PROBABILITIES[num_frames]), atol=1e-5, rtol=0)


def test_frames_are_prepared_as_cd_fvd_does() -> None:
    frame = AddressedRandom(0, 0, "videomae", torch.arange(1)).uniform("frames", 1, 3, 300, 180)
    prepared = preprocess((frame * 256).to(torch.uint8), 224)
    assert prepared.shape == (1, 1, 3, 224, 224)
    torch.testing.assert_close(prepared[0, 0, :, 100, ::50], torch.tensor(EXPECTED_ROW), atol=1e-6, rtol=0)
    torch.testing.assert_close(prepared.mean().item(), 0.499758, atol=1e-5, rtol=0)
    torch.testing.assert_close(prepared.std().item(), 0.193031, atol=1e-5, rtol=0)


def test_plain_frames_stay_their_value_in_zero_to_one() -> None:
    clips = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 3, 1, 1).expand(1, 2, 3, 5, 9)
    expected = torch.tensor([0.0, 0.2, 1.0]).view(1, 1, 3, 1, 1).expand(1, 2, 3, 8, 8)
    torch.testing.assert_close(preprocess(clips, 8), expected)


def test_a_last_odd_frame_is_not_seen(detector: VideoMAE) -> None:
    assert torch.equal(detector.features(tiny_clips(7)), detector.features(tiny_clips(6)))


def test_features_are_the_same_to_the_last_bit_in_any_company(detector: VideoMAE) -> None:
    clips = tiny_clips(4)
    alone = [detector.features(clip) for clip in clips.split(1)]
    assert torch.equal(detector.features(clips), torch.cat(alone))
    assert torch.equal(detector.probabilities(clips)[1:], detector.probabilities(clips[1:]))


def test_what_a_detector_promises(detector: VideoMAE) -> None:
    assert isinstance(detector, Detector)
    assert (detector.name, detector.digest, detector.unit, detector.min_frames) == ("videomae", "0123", "clip", 2)
    features = detector.to("cpu").features(tiny_clips(2))
    assert features.dtype == torch.float32 and not features.requires_grad


def test_one_frame_is_too_short(detector: VideoMAE) -> None:
    with pytest.raises(InputError, match="videomae: clips of 1 frames are too short: it needs 2"):
        detector.features(tiny_clips(1))


@pytest.mark.parametrize("wrapper", ["model", "module", None])
def test_a_state_dict_is_found_bare_or_under_its_usual_names(tmp_path: Path, wrapper: str | None) -> None:
    state = tiny_weights()
    path = tmp_path / "weights.pth"
    # Files of training programs carry their flags and counters along.
    torch.save(state if wrapper is None else {wrapper: state, "epoch": 3, "args": Namespace(lr=0.1)}, path)
    features = load_videomae(path, "", CPU, TINY).features(tiny_clips(16))
    torch.testing.assert_close(features, torch.tensor(EXPECTED_FEATURES[16]), atol=1e-5, rtol=0)


def test_the_old_file_format_and_safetensors_hold_the_same(tmp_path: Path, detector: VideoMAE) -> None:
    expected = detector.features(tiny_clips(4))
    old, safe = tmp_path / "old.pth", tmp_path / "weights.safetensors"
    torch.save(tiny_weights(), old, _use_new_zipfile_serialization=False)
    save_file(tiny_weights(), safe)
    for path in (old, safe):
        assert torch.equal(load_videomae(path, "", CPU, TINY).features(tiny_clips(4)), expected)


def test_weights_in_half_precision_are_computed_with_in_single(tmp_path: Path) -> None:
    halves = {name: tensor.half() for name, tensor in tiny_weights().items()}
    singles = {name: tensor.float() for name, tensor in halves.items()}
    features = []
    for name, state in (("half.pth", halves), ("single.pth", singles)):
        torch.save(state, tmp_path / name)
        features.append(load_videomae(tmp_path / name, "", CPU, TINY).features(tiny_clips(4)))
    assert features[0].dtype == torch.float32 and torch.equal(*features)


def spoilt(kind: str) -> object:
    state: dict[str, object] = dict(tiny_weights())
    if kind == "missing":
        del state["blocks.1.attn.q_bias"]
    elif kind == "other shape":
        state["head.weight"] = torch.zeros(400, 16)
    elif kind == "more":
        state |= {"blocks.2.norm1.weight": torch.zeros(16), "cls_token": torch.zeros(1)}
    elif kind == "whole numbers":
        state["fc_norm.bias"] = torch.zeros(16, dtype=torch.int64)
    elif kind == "no tensor":
        state["head.bias"] = "none"
    elif kind == "list":
        return [torch.zeros(3)]
    return state


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("missing", "blocks.1.attn.q_bias is missing"),
        ("other shape", r"head.weight has shape \[400, 16\], not \[5, 16\]"),
        ("more", "it has blocks.2.norm1.weight and 1 more"),
        ("whole numbers", "fc_norm.bias holds no real numbers"),
        ("no tensor", "holds other things than tensors"),
        ("list", "holds other things than tensors"),
    ],
)
def test_another_network_is_refused_in_one_line(tmp_path: Path, kind: str, told: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(spoilt(kind), path)
    with pytest.raises(InputError, match=told) as caught:
        load_videomae(path, "", CPU, TINY)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello world, no weights", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a file of weights, or a damaged one") as caught:
        load_videomae(path, "", CPU, TINY)
    assert "\n" not in str(caught.value)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    path, touched = tmp_path / "weights.pth", tmp_path / "touched"
    path.write_bytes(pickle.dumps({"model": Hostile(touched)}, protocol=2))
    with pytest.raises(InputError, match="not a file of weights"):
        load_videomae(path, "", CPU, TINY)
    torch.save({"model": Hostile(touched)}, path)
    with pytest.raises(InputError, match="not a file of weights"):
        load_videomae(path, "", CPU, TINY)
    assert not touched.exists()
    pickle.loads(pickle.dumps(Hostile(touched)))  # noqa: S301 - it would have been noticed
    assert touched.exists()


def test_a_file_beyond_the_bound_is_not_read(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videomae, "_MAX_BYTES", 1000)
    with pytest.raises(InputError, match="larger than 1000 bytes"):
        load_videomae(weights, "", CPU, TINY)


def test_the_published_layout_is_asked_for_where_no_other_is_named(weights: Path) -> None:
    with pytest.raises(InputError, match=r"patch_embed.proj.weight has shape \[16, 3, 2, 2, 2\], not \[1408, 3, 2"):
        load_videomae(weights, "", CPU)
