"""What ``generate.py orbit`` does: a camera that circles the origin looks at a radiance field, frame by frame.

Shape legend
    F       frames
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from tqdm import tqdm

from datasets.cameras import around, focal_of
from datasets.settings import is_complete
from datasets.video_writer import SUFFIXES, open_writer
from errors import InputError
from fields.codec.coding import read_any
from fields.radiance.camera import CHUNK, RadianceField, render
from fields.upscaling.models import choose_device
from fields.weights import StoredField, build_field

_GPU_CHUNK = 16 * CHUNK  # a GPU needs more rays at once to be busy
_MAX_SIDE, _MAX_FRAMES = 2**14, 1_000_000
_HIGHEST = 89.0  # degrees: straight above the origin no direction is upwards
_REMEDY = "give the folder of a run that fitted a radiance field"


@dataclass(frozen=True)
class Scene:
    """What a run knows of how its scene is looked at.

    Attributes:
        near: Distance at which it begins.
        far: Distance at which it ends.
        unit: Whether distances count along unit directions; else they are depths in front of the camera.
        background: white or black.
        size: Height and width of its pictures.
        fov_x: Their horizontal angle of view in radians.
        radius: Mean distance of their cameras from the origin.
        moving: Whether it has moments in [0, 1].
    """

    near: float
    far: float
    unit: bool
    background: str
    size: tuple[int, int]
    fov_x: float
    radius: float
    moving: bool

    def seen_from(self, radius: float) -> tuple[float, float]:
        """Where the scene begins and ends for a camera at another distance."""
        nearer = self.radius - radius
        return max(1e-3, self.near - nearer), self.far - nearer


def parse_scene(facts: Any, path: Path) -> Scene:
    """The scene that a file of unknown origin tells of.

    Args:
        facts: As `datasets.views.Views.facts` has them.
        path: The file.

    Raises:
        InputError: It does not tell, or tells what cannot be.
    """
    if not isinstance(facts, Mapping) or "fov_x" not in facts:
        raise InputError(f"{path}: does not say how its scene is looked at: {_REMEDY}")
    numbers = [facts.get(key) for key in ("near", "far", "fov_x", "radius", "height", "width")]
    plain = all(isinstance(number, (int, float)) and abs(number) < 1e6 for number in numbers)
    near, far, fov_x, radius, height, width = map(float, numbers) if plain else (0.0,) * 6
    sides = 1 <= height <= _MAX_SIDE and 1 <= width <= _MAX_SIDE
    if not (0 <= near < far and 0 < fov_x < math.pi and radius > 0 and sides):
        raise InputError(f"{path}: what it says of its scene cannot be: {_REMEDY}")
    background = "black" if facts.get("background") == "black" else "white"
    flags = facts.get("unit") is True, facts.get("moving") is True
    return Scene(near, far, flags[0], background, (int(height), int(width)), fov_x, radius, flags[1])


@dataclass(frozen=True)
class Tour:
    """Where the camera goes.

    Attributes:
        num_frames: Of the video.
        elevation: Degrees above the plane of x and y.
        azimuth: Where it begins, degrees from the x axis towards the y axis.
        turns: How often it goes round; 0 stands still, negative goes the other way.
        radius: Distance from the origin; None: that of the training cameras.
        time: The moment in [0, 1] at which the scene stands still; "running": from 0 to 1; None: running where the
            scene moves.
    """

    num_frames: int
    elevation: float = 30.0
    azimuth: float = 0.0
    turns: float = 1.0
    radius: float | None = None
    time: float | str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.num_frames <= _MAX_FRAMES:
            raise InputError(f"num_frames: {self.num_frames}: give 1 to {_MAX_FRAMES}")
        if not abs(self.elevation) <= _HIGHEST:
            raise InputError(f"elevation: {self.elevation:g} degrees: give -{_HIGHEST:g} to {_HIGHEST:g}")
        if not (abs(self.azimuth) <= 1e6 and abs(self.turns) <= 1e6):
            raise InputError("azimuth, turns: give degrees and how often the camera goes round")
        if self.radius is not None and not 0 < self.radius < 1e6:
            raise InputError(f"radius: {self.radius:g}: give a distance above 0")

    def cameras(self, scene: Scene) -> Float[Tensor, "F 4 4"]:
        """From the camera to the world, frame by frame; after the last comes the first where turns are whole."""
        turned = torch.arange(self.num_frames, dtype=torch.float64) / self.num_frames * self.turns
        azimuth = 2 * math.pi * (turned + self.azimuth / 360)
        elevation = torch.full_like(azimuth, math.radians(self.elevation))
        return around(azimuth, elevation, self.radius or scene.radius).float()

    def times(self, scene: Scene) -> list[float | None]:
        """The moment of every frame; None where the scene never moves.

        Raises:
            InputError: No such moment.
        """
        if self.time is not None and not scene.moving:
            raise InputError(f"time: {self.time}: this scene does not move: leave --time out")
        if not scene.moving:
            return [None] * self.num_frames
        if self.time is None or self.time == "running":
            return [frame / max(1, self.num_frames - 1) for frame in range(self.num_frames)]
        return [_moment(self.time)] * self.num_frames


def _moment(value: float | str) -> float:
    try:
        moment = float(value)
    except ValueError:
        moment = math.nan
    if not 0 <= moment <= 1:
        raise InputError(f"time: {value}: give a moment from 0 to 1, or running")
    return moment


def open_scene(ckpt: str, device: torch.device) -> tuple[RadianceField, Scene, StoredField]:
    """A field and how it is looked at.

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights or a coded file, whose facts tell of the scene.
        device: Where the field is brought.

    Raises:
        InputError: There is none, or it holds something else.
    """
    stored = read_any(ckpt)
    field = build_field(stored)
    if not isinstance(field, RadianceField):
        raise InputError(f"{stored.path}: holds a {type(field).__name__}, which is no radiance field: {_REMEDY}")
    return field.to(device), parse_scene(stored.facts, stored.path), stored


def frames_of(
    field: RadianceField, scene: Scene, tour: Tour, size: tuple[int, int], chunk: int, device: torch.device
) -> Iterator[UInt8[Tensor, "1 3 H W"]]:
    """The frames of a tour, one at a time.

    Args:
        field: On ``device``.
        scene: How it is looked at.
        tour: From where and when.
        size: Height and width in pixels.
        chunk: Rays at once; changes nothing but memory.
        device: Where it is rendered.
    """
    near, far = scene.seen_from(tour.radius or scene.radius)
    focal = focal_of(scene.fov_x, size[1])
    for c2w, time in zip(tour.cameras(scene).to(device), tour.times(scene), strict=True):
        seen = render(field, c2w, size, focal, near, far, time, chunk, scene.background, scene.unit)
        colours = (seen.rgb.float().clamp(0, 1) * 255 + 0.5).to(torch.uint8)
        yield rearrange(colours, "h w c -> 1 c h w").cpu()


def orbit(
    ckpt: str, out: str, tour: Tour, fps: float, size: str | None, crf: int | None, device: str, *, overwrite: bool
) -> None:
    """Writes the video of a tour.

    Args:
        ckpt: Whose field.
        out: The file, or without suffix a folder of png files.
        tour: Where the camera goes.
        fps: Frames per second.
        size: Width and height, such as 400x300; None: those of the training pictures.
        crf: Quality; None: hardly to be told from the frames.
        device: Where it is rendered.
        overwrite: Whether a file that is something else is replaced.

    Raises:
        InputError: Something cannot be used; nothing that was there is changed.
    """
    where = choose_device(device)
    field, scene, stored = open_scene(ckpt, where)
    path, pixels = Path(out).expanduser(), scene.size if size is None else _parse_size(size)
    tour.times(scene)
    with open(stored.path, "rb") as file:
        checkpoint = {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    asked = dataclasses.asdict(tour) | {"size": list(pixels), "fps": fps, "crf": crf}
    settings = {"command": "orbit", "checkpoint": checkpoint, **asked}
    what = f"{tour.num_frames} frames of {pixels[1]}x{pixels[0]} pixels"
    if path.suffix and path.suffix.lower() not in SUFFIXES:
        raise InputError(f"out: {path}: give a name that ends in {', '.join(SUFFIXES)}, or a folder for png files")
    if is_complete(path, settings, overwrite=overwrite, folders=True):
        print(f"{path}: {what} (complete already)")
        return
    chunk = CHUNK if where.type == "cpu" else _GPU_CHUNK
    with open_writer(path, fps, crf=crf, metadata=settings) as writer:
        frames = frames_of(field, scene, tour, pixels, chunk, where)
        for frame in tqdm(frames, total=tour.num_frames, unit="frame", disable=None):
            writer.write(frame)
    print(f"{path}: {what}")


def _parse_size(text: str) -> tuple[int, int]:
    """Height and width of text such as 400x300, which has the width first.

    Raises:
        InputError: It is none.
    """
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    width, height = map(int, found.groups()) if found else (0, 0)
    if not (1 <= width <= _MAX_SIDE and 1 <= height <= _MAX_SIDE):
        raise InputError(f"size: {text}: give width and height in pixels, such as 400x300, at most {_MAX_SIDE}")
    return height, width
