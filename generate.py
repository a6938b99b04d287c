"""Pictures and videos from a trained model: one function per verb, the command line made from its signature.

    python generate.py sample --ckpt runs/<run> --num_videos 16 --seconds 20 --fps 60 --out out/

Heavy packages are imported where they are used, so that `--help` answers at once. For the same reason annotations are
not postponed in this file: to read postponed ones, the parser would import what only type checkers need.
"""

import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NoReturn

from jsonargparse import ActionYesNo, DefaultHelpFormatter, auto_cli
from jsonargparse.typing import NonNegativeInt

from command_line import Parser
from errors import clear_errors
from generate_options import ClipOptions, ClipsOptions, FramesOptions, InpaintOptions, PlaybackOptions

What = Literal["content", "motion"]


def sample(
    ckpt: str,
    out: str = "out",
    **options: Any,
) -> None:
    """Videos, a file each or tiled; video i of a seed is the same whatever else is asked for.

    example: python generate.py sample --ckpt runs/demo --grid 5x5 --seconds 10 --fps 60

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, for one file per video; or a file name (.mp4, .gif, ...), for all of them tiled.
        **options: See `ClipOptions`.
    """
    from stylegan_v.sampling import commands

    commands.sample(ClipsOptions(ckpt=ckpt, out=out, **options))


def loop(
    ckpt: str,
    out: str = "out",
    **options: Any,
) -> None:
    """Videos that loop without a seam: after the last frame comes the first.

    example: python generate.py loop --ckpt runs/demo --seconds 4 --format webp

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, for one file per video; or a file name (.mp4, .gif, ...), for all of them tiled.
        **options: See `ClipOptions`.
    """
    from stylegan_v.sampling import commands

    commands.loop(ClipsOptions(ckpt=ckpt, out=out, **options))


def grid(ckpt: str, out: str = "out", contents: str = "0-3", motions: str = "0-3", **options: Any) -> None:
    """Contents in columns, motions in rows: whether the two are independent shows at a glance.

    example: python generate.py grid --ckpt runs/demo --contents 0-5 --motions 0-2

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, or a file name (.mp4, .gif, ...).
        contents: Numbers of the videos whose content the columns show, such as 0,5,7-9.
        motions: Numbers of the videos whose motion the rows show.
        **options: See `ClipOptions`.
    """
    from stylegan_v.sampling import commands

    commands.grid(ClipOptions(ckpt=ckpt, out=out, **options), contents, motions)


def interpolate(
    ckpt: str,
    out: str = "out",
    videos: str = "0-3",
    what: Literal["content", "motion", "both"] = "both",
    pace: Literal["constant", "eased"] = "constant",
    loop: bool = False,
    **options: Any,
) -> None:
    """One video on its way from video to video.

    example: python generate.py interpolate --ckpt runs/demo --videos 3,8,5 --what content --pace eased --loop

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, or a file name (.mp4, .gif, ...).
        videos: Numbers of the videos on the way, such as 0,5,7-9.
        what: What changes; the rest stays that of the first. Content changes in w, motion in its noise.
        pace: Constant speed, or slower at each video.
        loop: Go on from the last video to the first, and loop without a seam.
        **options: See `ClipOptions`.
    """
    from stylegan_v.sampling import commands

    told = ClipOptions(ckpt=ckpt, out=out, **options)
    commands.interpolate(told, videos, what, loop=loop, eased=pace == "eased")


def mix(
    ckpt: str,
    out: str = "out",
    videos: str = "0-2",
    styles: str = "3-6",
    layers: str = "0-3",
    parents: bool = True,
    **options: Any,
) -> None:
    """Videos in rows whose styles in some layers are those of others, in columns.

    example: python generate.py mix --ckpt runs/demo --videos 0 --styles 1 --layers 0-5 --no_parents

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, or a file name (.mp4, .gif, ...).
        videos: Numbers of the videos in rows, whose motion and other layers are shown.
        styles: Numbers of the videos in columns.
        layers: Which layers take the columns' styles: the first ones decide on shapes, the last ones on colours.
        parents: Show the videos themselves, too, at the top and on the left.
        **options: See `ClipOptions`.
    """
    from stylegan_v.sampling import commands

    commands.mix(ClipOptions(ckpt=ckpt, out=out, **options), videos, styles, layers, parents=parents)


def freeze(
    ckpt: str,
    out: str = "out",
    what: What = "content",
    of: NonNegativeInt = 0,
    **options: Any,
) -> None:
    """One content with many motions, or one motion with many contents.

    example: python generate.py freeze --ckpt runs/demo --what motion --of 3 --num_videos 8

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, for one file per video; or a file name (.mp4, .gif, ...), for all of them tiled.
        what: What is kept.
        of: Number of the video whose it is.
        **options: See `ClipOptions`.
    """
    from stylegan_v.sampling import commands

    commands.freeze(ClipsOptions(ckpt=ckpt, out=out, **options), what, of)


def frames(
    ckpt: str,
    times: str,
    out: str = "out",
    unit: Literal["frames", "seconds"] = "frames",
    **options: Any,
) -> None:
    """Frames at any moments, in any order, as png files or an npy array.

    example: python generate.py frames --ckpt runs/demo --times 0,0.25,1e6+0.5

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        times: Moments, between commas, or a text file of them; sums are allowed.
        out: A folder, for a folder (or .npy file) per video; or the name of a .npy file, for all of them tiled.
        unit: Of the moments: frames of the training data, or seconds.
        **options: See `Options`.
    """
    from stylegan_v.sampling import commands

    commands.frames(FramesOptions(ckpt=ckpt, out=out, **options), times, unit)


def xt(
    ckpt: str,
    out: str = "out",
    row: NonNegativeInt | None = None,
    column: NonNegativeInt | None = None,
    **options: Any,
) -> None:
    """Slices of videos as pictures, one row or column of pixels over time: jumps, standstill and repetition show.

    example: python generate.py xt --ckpt runs/demo --num_frames 512 --num_videos 4 --out motion.png

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, for one picture per video; or the name of a .png file, for all of them tiled.
        row: Which row of pixels, time downwards. None: the one in the middle, unless a column is given.
        column: Which column of pixels, time to the right.
        **options: See `ClipOptions`.
    """
    from stylegan_v.sampling import commands

    commands.xt(ClipsOptions(ckpt=ckpt, out=out, **options), row, column)


def export(
    ckpt: str,
    out: str = "out",
    format: Literal["onnx", "pt2"] | None = None,
    opset: int | None = None,
    take: Literal["z", "ws"] = "z",
) -> None:
    """The generator, its time input included, as a file for other programs, checked against PyTorch.

    example: python generate.py export --ckpt runs/demo --out demo.onnx

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, for generator.onnx or generator.pt2; or the name of such a file.
        format: onnx, for any runtime, or pt2 (torch.export), for PyTorch without this project. None: as the name of
            the file ends, else onnx.
        opset: Version of ONNX's operators, 18 to 23. None: 18, which the most runtimes read and which has all it needs.
        take: Whether videos start from content noise z or from styles ws, one per layer.
    """
    from stylegan_v.exporting import command

    command.export(ckpt, out, format, opset, take)


def upscale(
    source: str,
    ckpt: str,
    out: str = "out",
    scale: float | None = None,
    size: str | None = None,
    zoom: str | None = None,
    crf: int | None = None,
    tile: int | None = None,
    overlap: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Pictures and videos at any size, by a model of continuous images such as LIIF; videos keep their sound.

    example: python generate.py upscale --ckpt runs/demo photo.jpg --scale 3.7

    Args:
        source: A picture, a video, or a folder of them.
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a checkpoint of the original LIIF (.pth).
        out: A folder, where files keep their names; or the name of a file, whose end says how it is written.
        scale: How many times larger, such as 3.7; what gets smaller is reduced, with antialiasing.
        size: Width and height instead, such as 1920x1080. Sides of videos are made even.
        zoom: Show a part alone, such as 0.5,0.25,4: its centre, x from the left and y from the top in [0, 1], and how
            many times it is magnified. The result has the size of the source, unless another is asked for.
        crf: Quality of videos, 0 is best. None: hardly to be told from the frames.
        tile: Side of the parts that a frame is computed in, in its own pixels; changes nothing but memory. None: as
            fits into 2 GiB.
        overlap: How many pixels around a tile are looked at. None: all that matter, so that tiles equal the whole;
            fewer are faster.
        device: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one.
        overwrite: Whether to replace files that were made with other settings; those made with the same are kept.
    """
    from fields.upscaling import command

    how = command.plan(scale, size, zoom, crf, tile, overlap)
    command.upscale(source, ckpt, out, how, device, overwrite=overwrite)


def render(ckpt: str, out: str = "out.mp4", **options: Any) -> None:
    """A fitted field of a video at any size and any rate: enlarged, or in slow motion.

    example: python generate.py render --ckpt runs/nvp_small --out large.mp4 --scale 2 --slow 4

    Args:
        ckpt: A run folder, a folder or file of weights, or a file of `python -m fields.codec`.
        out: A file name (.mp4, .webm, .gif, .webp, .npy, ..., .png for one frame); without such an end, a folder of
            png files.
        **options: See `PlaybackOptions`.
    """
    from fields.playback import command

    command.render(ckpt, out, PlaybackOptions(**options))


def inpaint(video: str, mask: str, out: str = "filled.mp4", **options: Any) -> None:
    """What a mask hides of a video, filled by a field that is fitted to the rest; with the truth, how well.

    example: python generate.py inpaint --video damaged.mp4 --mask mask.png --out filled.mp4

    Args:
        video: A video file, or a folder or zip of frames.
        mask: A picture, or a video, folder or .npy array with a picture for each frame: white is filled, black is kept.
        out: A file name (.mp4, .webm, .gif, .webp, .npy, ...); without such an end, a folder of png files.
        **options: See `InpaintOptions`.
    """
    from fields.playback import inpainting

    job = inpainting.plan(InpaintOptions(video=video, mask=mask, out=out, **options))
    if job.options.ckpt is None:
        _fit(inpainting.training_arguments(job))
    inpainting.finish(job)


def _fit(arguments: list[str]) -> None:
    """Trains as train.py does."""
    import torchvision_guard  # noqa: F401  (before Lightning)

    # isort: split
    from stylegan_v.runs import RunCLI

    given, sys.argv = sys.argv, sys.argv[:1]  # which Lightning would look at, too
    try:
        RunCLI(args=arguments)
    finally:
        sys.argv = given


def orbit(
    ckpt: str,
    out: str = "orbit.mp4",
    num_frames: int = 60,
    fps: float = 30.0,
    elevation: float = 30.0,
    azimuth: float = 0.0,
    turns: float = 1.0,
    radius: float | None = None,
    time: float | str | None = None,
    size: str | None = None,
    crf: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """A camera circles a fitted scene, at a frozen moment or while time runs.

    example: python generate.py orbit --ckpt runs/dnerf_spheres --time 0.5 --out orbit.mp4

    Args:
        ckpt: The run folder of a radiance field, or its checkpoint.
        out: The name of a file (.mp4, .webm, .gif, .webp, .npy, ...), or without an end a folder of png files.
        num_frames: Length of the video.
        fps: Frames per second.
        elevation: Of the camera, degrees above the plane of x and y.
        azimuth: Where it begins, degrees from the x axis.
        turns: How often it goes round; 0 stands still, -1 goes the other way.
        radius: Its distance from the origin. None: as the cameras of training.
        time: A moment from 0 to 1, at which the scene is frozen, or "running", from 0 to 1 over the video. None:
            running, where the scene moves.
        size: Width and height, such as 400x300. None: those of the training pictures.
        crf: Quality of videos, 0 is best. None: hardly to be told from the frames.
        device: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one.
        overwrite: Whether to replace a file that was made with other settings; one made with the same is kept.
    """
    from fields.radiance import orbit as command

    tour = command.Tour(num_frames, elevation, azimuth, turns, radius, time)
    command.orbit(ckpt, out, tour, fps, size, crf, device, overwrite=overwrite)


ACTIONS = {
    "sample": sample,
    "grid": grid,
    "interpolate": interpolate,
    "mix": mix,
    "freeze": freeze,
    "loop": loop,
    "frames": frames,
    "xt": xt,
    "export": export,
    "upscale": upscale,
    "render": render,
    "inpaint": inpaint,
    "orbit": orbit,
}


def _example(action: Callable[..., None]) -> str:
    """The command line that an action's docstring shows."""
    return next(line for line in action.__doc__.splitlines() if "example: " in line).replace("example:", " ", 1)[3:]


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the examples."""


class ActionParser(Parser):
    """A parser of actions: flags need no value, options are known by their own names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": _Help, **kwargs})

    def add_argument(self, *args: Any, **kwargs: Any) -> Any:
        if args == ("--source",):  # what a verb works on needs no flag
            args, self._takes_source = ("source",), True
            del kwargs["required"]
        if kwargs.get("type") is bool:
            del kwargs["type"]
            # A flag that may have a value would take the source for it. (This is a parser, or a group of one.)
            kwargs.update(action=ActionYesNo, **({} if getattr(self, "_takes_source", False) else {"nargs": "?"}))
        elif kwargs.get("default") is False:  # a flag that may have a value
            kwargs.update(nargs="?", const=True)
        return super().add_argument(*args, **kwargs)

    def format_help(self) -> str:
        action = ACTIONS.get(self.prog.split()[-1])
        self.epilog = "examples:\n" + "\n".join(map(_example, [action] if action else ACTIONS.values()))
        return super().format_help()

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


def _wanted(args: Sequence[str]) -> dict[str, Callable[..., None]]:
    """The actions whose flags have to be known; a parser for all of them takes as long as everything else of --help."""
    if args and args[0] in ACTIONS:
        return {args[0]: ACTIONS[args[0]]}
    if ACTIONS.keys() & set(args):
        return ACTIONS
    return {name: _without_flags(action) for name, action in ACTIONS.items()}


def _without_flags(action: Callable[..., None]) -> Callable[[], None]:
    def named() -> None: ...

    named.__doc__ = action.__doc__.partition("\n")[0]
    return named


def main(args: Sequence[str] | None = None) -> None:
    """The command line: the name of an action, then its arguments as flags."""
    args = sys.argv[1:] if args is None else args
    with clear_errors("generate.py"), _interruptible():
        auto_cli(_wanted(args), args=args, as_positional=False, parser_class=ActionParser, prog="generate.py")


if __name__ == "__main__":
    main()
