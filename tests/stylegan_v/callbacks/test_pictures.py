from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchvision.transforms.functional import pil_to_tensor

from stylegan_v.callbacks.pictures import beside, gif, log_image, log_video, save_png, shrink, time_slices


def _flat(*values: int) -> torch.Tensor:
    """One grey frame of 4 x 6 pixels per value."""
    return torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 6).contiguous()


def test_gif_holds_every_frame_at_its_time() -> None:
    image = Image.open(io.BytesIO(gif(_flat(0, 100, 255), fps=25.0)))
    assert (image.format, image.size, image.n_frames, image.info["duration"]) == ("GIF", (6, 4), 3, 40)
    for number, value in enumerate((0, 100, 255)):
        image.seek(number)
        assert image.convert("RGB").getpixel((3, 2)) == (value,) * 3


def test_shrink_keeps_small_frames_and_the_shape_of_large_ones() -> None:
    frames = _flat(7, 9)
    assert shrink(frames, 6) is frames
    torch.testing.assert_close(shrink(frames, 3), frames[:, :, :2, :3])


def test_time_slices_stack_frames_downwards() -> None:
    rows = torch.zeros(2, 5, 3, 6, dtype=torch.uint8)
    rows[0] = torch.arange(5).view(5, 1, 1)  # the first video changes over time
    rows[1] = torch.arange(6)  # the second over the width
    picture = time_slices(rows, columns=2)
    assert picture.shape == (3, 5 + 2 * 4, 2 * (6 + 4) + 4)
    assert picture[0, 4:9, 4:10].tolist() == [[t] * 6 for t in range(5)]
    assert picture[0, 4:9, 14:20].tolist() == [list(range(6))] * 5
    assert picture[0, :4].unique().tolist() == [255]


def test_save_png_keeps_the_pixels(tmp_path: Path) -> None:
    image = torch.randint(256, (3, 4, 6), dtype=torch.uint8)
    save_png(image, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as read:
        assert torch.equal(pil_to_tensor(read), image)


def test_beside_leaves_a_white_gap() -> None:
    both = beside(_flat(1, 2), _flat(3, 4), 5)
    assert both[:, 0, 0].tolist() == [[v] * 6 + [255] * 5 + [w] * 6 for v, w in ((1, 3), (2, 4))]


def test_tensorboard_shows_a_gif_and_an_image(tmp_path: Path) -> None:
    loggers = [TensorBoardLogger(tmp_path, "run", version=""), CSVLogger(tmp_path)]
    log_video(loggers, "samples/moving", _flat(0, 255), 25.0, step=3)
    log_image(loggers, "samples/still", _flat(9)[0], step=4)
    loggers[0].finalize("success")
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    (moving,), (still,) = events.Images("samples/moving"), events.Images("samples/still")
    assert (moving.step, moving.width, moving.height) == (3, 6, 4)
    assert moving.encoded_image_string.startswith(b"GIF89a")
    assert still.step == 4
    assert Image.open(io.BytesIO(still.encoded_image_string)).getpixel((0, 0)) == (9, 9, 9)


def test_without_tensorboard_nothing_is_shown(tmp_path: Path) -> None:
    log_video([], "tag", _flat(0), 25.0, step=0)
    log_video([CSVLogger(tmp_path)], "tag", _flat(0), 25.0, step=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [1.0, 1000.0])
def test_gif_durations_stay_in_what_viewers_show(fps: float) -> None:
    image = Image.open(io.BytesIO(gif(_flat(0, 255), fps)))
    assert image.info["duration"] == max(20, round(1000 / fps))
