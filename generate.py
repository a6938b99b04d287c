"""Videos from a trained model: one function per action, the command line made from its signature.

    python generate.py sample --ckpt runs/<run> --num_videos 16 --seconds 20 --fps 60 --out out/

Heavy packages are imported where they are used, so that `--help` answers at once. For the same reason annotations are
not postponed in this file: to read postponed ones, the parser would import what only type checkers need.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from jsonargparse import ActionYesNo, auto_cli
from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from command_line import Parser
from errors import InputError, clear_errors

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from stylegan_v.networks import Generator
    from stylegan_v.weights import Weights

Format = Literal["mp4", "gif", "png"]
DEFAULT_FPS = 25.0
_FILE_SUFFIXES = (".mp4", ".mov", ".mkv", ".gif")
_OTHER_SUFFIXES = (".avi", ".webm", ".webp", ".mpg", ".png", ".jpg", ".jpeg")


def sample(
    ckpt: str,
    out: str = "out",
    num_videos: PositiveInt = 1,
    seconds: PositiveFloat = 5.0,
    fps: PositiveFloat | None = None,
    start: NonNegativeFloat = 0.0,
    data_fps: PositiveFloat | None = None,
    seed: int = 0,
    truncation_psi: float = 1.0,
    label: NonNegativeInt | None = None,
    format: Format | None = None,
    grid: bool = False,
    device: str = "auto",
    chunk: PositiveInt = 16,
) -> None:
    """Draws videos from a model; video i of a seed is the same whatever else is asked for.

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, for one file per video; or a file name (.mp4, .gif, ...), for all of them tiled.
        num_videos: How many videos.
        seconds: Length of each.
        fps: Frames per second of the files; frames between those of the data are rendered, not blended. None: data_fps.
        start: Moment of the first frame, seconds, fractions allowed.
        data_fps: Frames per second of the training data, the model's clock. None: as the checkpoint says.
        seed: Of content and motion.
        truncation_psi: 1 keeps the full variety, smaller values draw videos nearer to the mean one.
        label: Class of all videos, for a model with labels. None: a class per video, drawn.
        format: Of the files in a folder; png makes a folder of frames per video. None: mp4.
        grid: Tile all videos in one file of the folder.
        device: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one.
        chunk: Frames rendered at once, of all videos together; lower it when memory runs out.
    """
    from tqdm import tqdm

    from stylegan_v.pretrained import make_generator, read_model
    from stylegan_v.rendering import draw_latents, frame_times, render

    weights = read_model(ckpt, ["generator_ema"])
    outputs = plan_outputs(Path(out).expanduser(), num_videos, format, grid=grid)
    generator = make_generator(weights).to(pick_device(device))
    data_fps = data_fps or training_fps(weights)
    fps = fps or data_fps
    t = frame_times(seconds, fps, data_fps, start)
    c = one_label(generator, label)
    with tqdm(total=num_videos * len(t), unit="frame", disable=None) as progress:
        for output in outputs:
            labels = None if c is None else c.expand(len(output.videos), -1)
            latents = draw_latents(generator, seed, output.videos, c=labels, truncation_psi=truncation_psi)
            with output.open(fps) as writer, _enough_memory(chunk):
                for frames in render(generator, latents, t, chunk=chunk):
                    writer.write(output.arrange(frames.cpu()))
                    progress.update(frames.shape[0] * frames.shape[1])
    written = outputs[0].path if len(outputs) == 1 else f"{len(outputs)} videos in {outputs[0].path.parent}"
    size = "x".join(str(side) for side in generator.resolution)
    print(f"{written}: {len(t)} frames of {size} pixels, {fps:g} per second")


ACTIONS = {"sample": sample}


@dataclass(frozen=True)
class Output:
    """One file (or folder of frames) and the videos it shows.

    Args:
        path: Where it goes; a path without suffix is a folder of png frames.
        videos: Numbers of the videos; several are tiled.
    """

    path: Path
    videos: range

    def open(self, fps: float) -> Any:
        """A writer that leaves nothing behind unless it is closed cleanly."""
        from datasets.video_writer import open_writer

        return open_writer(self.path, fps)

    def arrange(self, frames: "Tensor") -> "Tensor":
        """Frames [B, F, 3, H, W] of the videos as frames of the file."""
        from datasets.video_writer import tile

        return frames[0] if len(self.videos) == 1 else tile(frames)


def plan_outputs(out: Path, num_videos: int, format: Format | None, *, grid: bool) -> list[Output]:
    """Which files will show which videos; makes the folder they go to.

    Args:
        out: A folder, or the name of one file.
        num_videos: How many videos there are.
        format: Of files in a folder; None: mp4.
        grid: Whether one file of the folder shows all videos.

    Raises:
        InputError: ``out`` is no folder and no file that can be written, or does not suit ``format``.
    """
    suffix = out.suffix.lower()
    single = suffix in _FILE_SUFFIXES and not out.is_dir()
    folder = out.parent if single else out
    if suffix in _OTHER_SUFFIXES or (folder.exists() and not folder.is_dir()):
        raise InputError(f"out: {out}: give a folder, or the name of a file that ends in {', '.join(_FILE_SUFFIXES)}")
    if single and format not in (None, suffix[1:]):
        raise InputError(f"format: {out} will be no {format} file: give a folder, or leave --format out")
    folder.mkdir(parents=True, exist_ok=True)
    if single:
        return [Output(out, range(num_videos))]
    suffix = "" if format == "png" else f".{format or 'mp4'}"
    if grid:
        return [Output(out / f"grid{suffix}", range(num_videos))]
    return [Output(out / f"video_{i:05d}{suffix}", range(i, i + 1)) for i in range(num_videos)]


def pick_device(name: str) -> "torch.device":
    """The device of that name; "auto" is a CUDA device where there is one.

    Raises:
        InputError: There is no such device here.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device: {name} is not there: give cpu, cuda or auto") from error
    return device


def training_fps(weights: "Weights") -> float:
    """Frames per second of the data of training, where the weights know it; else 25, and says so."""
    if "fps" in weights.facts:
        return float(weights.facts["fps"])
    print(
        f"{weights.path}: does not say how fast its data is: taken as {DEFAULT_FPS:g} (--data_fps changes it)",
        file=sys.stderr,
    )
    return DEFAULT_FPS


def one_label(generator: "Generator", label: int | None) -> "Tensor | None":
    """A class as [1, c_dim]; None where none is asked for.

    Raises:
        InputError: The model has no such class.
    """
    import torch

    if label is None:
        return None
    if label >= generator.c_dim:
        known = f"its classes are 0 to {generator.c_dim - 1}" if generator.c_dim else "it was trained without labels"
        raise InputError(f"label: the model has no class {label}: {known}")
    device = generator.mapping.w_avg.device
    return torch.nn.functional.one_hot(torch.tensor([label], device=device), generator.c_dim).float()


@contextmanager
def _enough_memory(chunk: int) -> Iterator[None]:
    """Says what to do where a GPU runs out of memory."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(f"chunk: {chunk} frames at once do not fit into the device's memory: give fewer") from error


class ActionParser(Parser):
    """A parser of actions: flags need no value, options are known by their own names."""

    def add_argument(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("type") is bool:
            del kwargs["type"]
            kwargs.update(action=ActionYesNo, nargs="?")
        return super().add_argument(*args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        for action in ACTIONS:
            message = message.replace(f"{action}.", "")
        super().error(message, ex)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ends on Ctrl-C without a traceback, with the exit code shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        print("generate.py: interrupted; what was complete is kept", file=sys.stderr)
        raise SystemExit(130) from None


def main(args: Sequence[str] | None = None) -> None:
    """The command line: the name of an action, then its arguments as flags."""
    with clear_errors("generate.py"), _interruptible():
        auto_cli(ACTIONS, args=args, as_positional=False, parser_class=ActionParser, prog="generate.py")


if __name__ == "__main__":
    main()
