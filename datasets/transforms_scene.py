"""Folders of pictures and cameras as Blender's exporters of NeRF and D-NeRF leave them: transforms_<split>.json.

Such a file has ``camera_angle_x``, the horizontal angle of view in radians, and ``frames``, each with ``file_path``
(relative to the folder; without an end .png is meant), ``transform_matrix`` (camera to world, OpenGL) and, where the
scene moves, ``time`` in [0, 1]. All of it may come from anywhere: it is checked, and nothing outside of the folder is
opened.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import reduce as fold
from jaxtyping import Float, UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from datasets.cameras import focal_of
from datasets.files import read_json
from datasets.memory import available_memory, gigabytes
from datasets.sources import read_bounded
from datasets.views import Background, Views
from errors import InputError

_MAX_JSON_BYTES, _MAX_FRAMES = 2**26, 100_000
_LARGEST = 1e6  # of a matrix' entries: float32 still tells a pixel's ray from the next one's there
_FLAT = 1e-4  # ratio of the least to the largest singular value below which a camera sees no volume
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


@dataclass(frozen=True)
class Frame:
    """What a transforms.json says of one picture.

    Attributes:
        path: The picture.
        c2w: From the camera to the world.
        time: In [0, 1]; None where the file has none.
    """

    path: Path
    c2w: Float[Tensor, "4 4"]
    time: float | None


def _number(value: Any) -> float:
    """A number of JSON as a finite float; anything else becomes nan."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain and abs(value) <= _LARGEST else math.nan


def _matrix(value: Any, where: str) -> Float[Tensor, "4 4"]:
    """A camera's matrix, which sees a volume.

    Raises:
        InputError: It is none; the message begins with ``where``.
    """
    rows = [row for row in value if isinstance(row, list) and len(row) == 4] if isinstance(value, list) else []
    if len(rows) != 4 or len(value) != 4:
        raise InputError(f"{where}: no matrix of 4 rows of 4 numbers: export the cameras again")
    matrix = torch.tensor([[_number(entry) for entry in row] for row in rows], dtype=torch.float64)
    if not matrix.isfinite().all():
        raise InputError(f"{where}: holds what is no number up to {_LARGEST:g}: export the cameras again")
    if not torch.allclose(matrix[3], matrix.new_tensor([0.0, 0.0, 0.0, 1.0]), atol=1e-4):
        raise InputError(f"{where}: its last row is not 0 0 0 1: give matrices from the camera to the world")
    sizes = torch.linalg.svdvals(matrix[:3, :3])
    if not sizes[0] > 0 or sizes[2] < _FLAT * sizes[0]:
        raise InputError(f"{where}: is singular, so this camera sees nothing: export it again, or remove the frame")
    return matrix.float()


def _image_path(root: Path, value: Any, where: str) -> Path:
    """The picture that a frame names, inside of the folder.

    Raises:
        InputError: It names none, or one elsewhere.
    """
    if not isinstance(value, str) or not value or "\0" in value or len(value) > 1000:
        raise InputError(f"{where}: no name of a picture: mend it or remove the frame")
    path = root / (value if Path(value).suffix.lower() in (".png", ".jpg", ".jpeg", ".webp") else f"{value}.png")
    try:
        inside, there = path.resolve().is_relative_to(root.resolve()), path.is_file()
    except (OSError, ValueError) as error:  # too long, or no text that a file system knows
        raise InputError(
            f"{where}: {value[:60]!r} cannot be the name of a file: mend it or remove the frame"
        ) from error
    if not inside:
        raise InputError(f"{where}: {value[:200]!r} lies outside of {root}: give a path inside of it")
    if not there:
        raise InputError(f"{where}: there is no {path}: put the picture there, or remove the frame")
    return path


def _frame(root: Path, value: Any, where: str) -> Frame:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: no names and values: mend it or remove the frame")
    time = _number(value["time"]) if "time" in value else None
    if time is not None and not 0 <= time <= 1:
        raise InputError(f"{where}.time: {value['time']!r:.40} is no moment in [0, 1]: divide times by the last one")
    path = _image_path(root, value.get("file_path"), f"{where}.file_path")
    return Frame(path, _matrix(value.get("transform_matrix"), f"{where}.transform_matrix"), time)


def read_transforms(path: Path) -> tuple[float, list[Frame]]:
    """The angle of view in radians and the frames of a transforms.json.

    Args:
        path: The file; pictures lie in its folder or below.

    Raises:
        InputError: It is not there or damaged; the message names the file and the key.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file: give a folder with transforms_train.json and transforms_test.json")
    tree = read_json(path, _MAX_JSON_BYTES)
    if not isinstance(tree, Mapping):
        raise InputError(f"{path}: no names and values at the top: export the cameras again")
    angle = _number(tree.get("camera_angle_x"))
    if not 1e-3 < angle < math.pi - 1e-3:
        raise InputError(f"{path}: camera_angle_x: give the horizontal angle of view in radians, between 0 and pi")
    frames = tree.get("frames")
    if not isinstance(frames, list) or not 0 < len(frames) <= _MAX_FRAMES:
        raise InputError(f"{path}: frames: give a list of 1 to {_MAX_FRAMES} frames")
    found = [_frame(path.parent, frame, f"{path}: frames[{number}]") for number, frame in enumerate(frames)]
    timed = sum(frame.time is not None for frame in found)
    if timed not in (0, len(found)):
        raise InputError(f"{path}: frames: {timed} of {len(found)} have a time: give it to all of them, or to none")
    return angle, found


def composited(data: bytes, background: Background) -> Float[np.ndarray, "H W 3"]:
    """Colours in [0, 1] of an image file, its transparent parts filled.

    Raises:
        OSError: No image, or one whose pixels are not 8 bits.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode not in _MODES:
                raise OSError(f"pixels of the kind {image.mode}, not of 8 bits")
            pixels = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
    except UnidentifiedImageError as error:  # whose own words name an object in memory
        raise OSError("no image of a known kind") from error
    except (Image.DecompressionBombError, SyntaxError, ValueError, EOFError) as error:
        raise OSError(str(error)) from error
    alpha = pixels[..., 3:]
    return pixels[..., :3] * alpha + (1 - alpha) * (background == "white")


def _picture(path: Path, background: Background, reduce: int, size: Sequence[int] | None) -> UInt8[np.ndarray, "H W 3"]:
    """A picture on its background, each of its pixels the mean of reduce x reduce.

    Raises:
        InputError: It cannot be read or reduced, or has another size than the first.
    """
    try:
        pixels = composited(read_bounded(path), background)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}): mend it, or remove the frame") from error
    height, width = pixels.shape[:2]
    if size is not None and (height, width) != tuple(size):
        raise InputError(f"{path}: is {height}x{width}, others are {size[0]}x{size[1]}: give pictures of one size")
    if height % reduce or width % reduce:
        raise InputError(
            f"{path}: {height}x{width} pixels cannot be reduced by {reduce}: give a divisor as data.reduce"
        )
    small = fold(pixels, "(h i) (w j) c -> h w c", "mean", i=reduce, j=reduce)
    return np.rint(small * 255).astype(np.uint8)


def _size_of(path: Path) -> tuple[int, int]:
    """Height and width of a picture.

    Raises:
        InputError: It is none.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: no image of a known kind: mend it, or remove the frame") from error


def _check_memory(path: Path, count: int, size: tuple[int, int], reduce: int) -> None:
    needed = 2 * 3 * count * (size[0] // reduce) * (size[1] // reduce)  # for a moment twice
    left = available_memory(torch.device("cpu"))
    if left is not None and needed > left:
        raise InputError(
            f"{path}: {count} pictures of {size[0]}x{size[1]} take {gigabytes(needed)}, {gigabytes(left)} are left: "
            "give a larger data.reduce"
        )


def load_views(
    path: Path,
    near: float,
    far: float,
    background: Background = "white",
    reduce: int = 1,
    which: Callable[[int], bool] = lambda number: True,
) -> Views:
    """The scene that a transforms.json describes.

    Args:
        path: The file.
        near: Distance at which the scene begins.
        far: Distance at which it ends.
        background: What fills the transparent parts of pictures.
        reduce: How many times smaller pictures get, by the mean of squares of pixels.
        which: Whether the frame of this number is wanted.

    Raises:
        InputError: The file, a camera or a picture cannot be used; the message says which, and what to do.
    """
    angle, frames = read_transforms(path)
    frames = [frame for number, frame in enumerate(frames) if which(number)]
    if not frames:
        raise InputError(f"{path}: frames: too few to hold some out for the test: give a transforms_test.json")
    first = _size_of(frames[0].path)
    _check_memory(path, len(frames), first, reduce)
    pictures = np.stack([_picture(frame.path, background, reduce, first) for frame in frames])
    times = None if frames[0].time is None else torch.tensor([frame.time for frame in frames])
    c2w, focal = torch.stack([frame.c2w for frame in frames]), focal_of(angle, pictures.shape[2])
    rgb = torch.from_numpy(pictures)
    return Views(str(path), rgb, c2w, focal, near, far, background=background, times=times)
