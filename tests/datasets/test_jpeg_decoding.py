from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.io import decode_jpeg

from datasets.jpeg_decoding import decoder_for, keeps_full_colour, on_device, on_host
from datasets.sources import decode_image
from datasets.synthetic import SpriteVideo
from errors import InputError


def jpegs(num_frames: int = 3, size: tuple[int, int] = (48, 64), **options: Any) -> list[bytes]:
    files = []
    for frame in SpriteVideo(0, num_frames, size).read(range(num_frames)):
        data = io.BytesIO()
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(data, "JPEG", quality=95, **options)
        files.append(data.getvalue())
    return files


def tensors(files: list[bytes]) -> list[Tensor]:
    return [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]


def test_the_host_decodes_as_workers_do() -> None:
    files = jpegs()
    for file, frame in zip(files, on_host(tensors(files)), strict=True):
        assert frame.dtype == torch.uint8 and frame.is_contiguous()
        assert np.array_equal(frame.permute(1, 2, 0), decode_image(file))
    grey = io.BytesIO()
    Image.new("L", (16, 16), 77).save(grey, "JPEG")
    assert on_host(tensors([grey.getvalue()]))[0].shape == (3, 16, 16)


def test_what_nobody_can_decode_is_one_clear_error() -> None:
    with pytest.raises(InputError, match=r"a frame cannot be decoded .*data.decode_on: worker"):
        on_host(tensors([jpegs(1)[0][:-300]]))


def test_torchvision_is_asked_for_all_frames_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def decode_jpeg(files: list[Tensor], *, mode: Any, device: torch.device) -> list[Tensor]:
        asked.append((len(files), mode.name, device))
        return on_host(files)

    monkeypatch.setattr("torchvision.io.decode_jpeg", decode_jpeg)
    files = tensors(jpegs())
    frames = on_device(files, torch.device("cpu"))
    assert asked == [(3, "RGB", torch.device("cpu"))]
    assert all(torch.equal(frame, expected) for frame, expected in zip(frames, on_host(files), strict=True))


def refuse(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("nvjpeg says no\nand why, at length")


def test_a_batch_that_torchvision_refuses_is_decoded_on_the_host(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("torchvision.io.decode_jpeg", refuse)
    files = tensors(jpegs())
    frames = on_device(files, torch.device("cpu"))
    assert all(torch.equal(frame, expected) for frame, expected in zip(frames, on_host(files), strict=True))
    assert "decoded on the host instead: nvjpeg says no" in caplog.text and "length" not in caplog.text


def test_a_device_that_decodes_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="needs a CUDA device, training runs on cpu; give worker"):
        decoder_for(torch.device("cpu"))
    monkeypatch.setattr("torchvision.io.decode_jpeg", refuse)
    with pytest.raises(InputError, match=r"decodes no JPEG on cuda:0 \(nvjpeg says no\); give worker"):
        decoder_for(torch.device("cuda", 0))


def test_a_device_that_decodes_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.io.decode_jpeg", lambda files, mode, device: on_host(files))
    files = tensors(jpegs())
    assert torch.equal(decoder_for(torch.device("cuda", 0))(files)[2], on_host(files)[2])


def test_how_colour_is_kept_is_seen() -> None:
    assert keeps_full_colour(jpegs(1, subsampling=0)[0])
    assert not keeps_full_colour(jpegs(1, subsampling=2)[0]) and not keeps_full_colour(jpegs(1)[0])


@pytest.mark.gpu
@pytest.mark.parametrize(("subsampling", "mean", "largest"), [(0, 0.5, 8), (2, 2.0, 80)])
def test_a_gpu_decodes_nearly_what_the_host_does(subsampling: int, mean: float, largest: int) -> None:
    """Of 4:2:0 the colours are repeated, not interpolated: on these frames 0.5 and 45 by arithmetic on a CPU."""
    files = tensors(jpegs(6, (256, 256), subsampling=subsampling))
    frames = torch.stack(decoder_for(torch.device("cuda"))(files)).cpu()
    difference = (frames.float() - torch.stack(on_host(files)).float()).abs()
    assert difference.mean() < mean and difference.max() <= largest


@pytest.mark.parametrize("subsampling", [0, 2])
def test_torchvision_on_a_cpu_gives_the_bits_of_pillow(subsampling: int) -> None:
    try:
        decode_jpeg(tensors(jpegs(1))[0])
    except RuntimeError as error:
        pytest.skip(f"this torchvision decodes no JPEG: {error}")
    files = tensors(jpegs(3, subsampling=subsampling))
    frames = on_device(files, torch.device("cpu"))
    assert all(torch.equal(frame, expected) for frame, expected in zip(frames, on_host(files), strict=True))
