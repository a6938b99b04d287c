"""A look at what training sees: the clips of the first updates as they are loaded, and after augmentation.

    python -m stylegan_v.preview --config configs/stylegan_v/custom.yaml --data.root ~/my_videos

Takes the flags of ``train.py fit``; builds the data and the augmentation of the config and nothing else.

Shape legend
    B, T    clips, frames of a clip
    H, W    height and width
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
import torch
from einops import rearrange
from jaxtyping import Float32, Int64, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.utils.data import default_collate
from tqdm import tqdm

from datasets.datamodule import ClipDataModule
from datasets.video_writer import open_writer, tile
from errors import InputError, clear_errors
from stylegan_v.augment import AugmentPipe
from stylegan_v.checkpoints import replacing
from stylegan_v.config_nodes import instantiate
from stylegan_v.noise import AddressedRandom
from stylegan_v.rendering import to_uint8
from stylegan_v.runs import RunCLI, RunParser

_FRAMES_PER_SECOND = 2  # the frames of a clip are far apart in time: slow enough to look at each
_MIN_SIDE = 96  # pixels; smaller frames are enlarged
_CAPTION, _GAP = 18, 4


@dataclass(frozen=True)
class SeenClips:
    """Clips of training.

    Attributes:
        loaded: As the loader gives them.
        augmented: As the discriminator sees them.
        t: Frame numbers.
        c: Labels; c_dim may be 0.
        numbers: Update, and number in the batch, of each clip.
    """

    loaded: UInt8[Tensor, "B T 3 H W"]
    augmented: UInt8[Tensor, "B T 3 H W"]
    t: Int64[Tensor, "B T"]
    c: Float32[Tensor, "B c_dim"]
    numbers: list[tuple[int, int]]

    def caption(self, i: int) -> str:
        """Where clip ``i`` comes in training, its frames and its label."""
        update, number = self.numbers[i]
        times = ", ".join(str(t) for t in self.t[i].tolist())
        label = f"; class {int(self.c[i].argmax())}" if self.c.shape[1] else ""
        return f"update {update}, clip {number}; frames {times}{label}"


def see(data: ClipDataModule, augment: AugmentPipe | None, num_clips: int, p: float) -> SeenClips:
    """The first clips of training, with the augmentation they would get at probability ``p``.

    Args:
        data: Set up.
        augment: The config's; None leaves the clips as they are.
        num_clips: B; more than a batch run into the next updates.
        p: Probability of each transform, [0, 1].
    """
    clips = data.clips()
    numbers = [divmod(i, data.batch_size) for i in range(num_clips)]
    batch = default_collate([clips[key] for key in tqdm(numbers, unit="clip", desc="reading", disable=None)])
    augmented = batch["clip"]
    if augment is not None:
        parts = []
        for update in range(numbers[-1][0] + 1):
            chosen = batch["update"] == update
            random = AddressedRandom(data.seed, update, "discriminator/real", batch["n"][chosen])
            parts.append(to_uint8(augment(batch["clip"][chosen].float() / 127.5 - 1, p, random)))
        augmented = torch.cat(parts)
    return SeenClips(batch["clip"], augmented, batch["t"], batch["c"], numbers)


def contact_sheet(seen: SeenClips) -> Image.Image:
    """One row per clip: its frames as loaded on the left, augmented on the right, times and label above."""
    sides = enlarged(seen.loaded), enlarged(seen.augmented)
    num_clips, num_frames, _, height, width = sides[0].shape
    row_height, column_width = height + _CAPTION + _GAP, width + _GAP
    picture = Image.new("RGB", (2 * num_frames * column_width + 4 * _GAP, num_clips * row_height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    for i in range(num_clips):
        draw.text((_GAP, i * row_height + 3), seen.caption(i), "black", font)
        for side, clips in enumerate(sides):
            for k, frame in enumerate(rearrange(clips[i], "t c h w -> t h w c")):
                left = _GAP + (side * num_frames + k) * column_width + side * 2 * _GAP
                picture.paste(Image.fromarray(frame.contiguous().numpy()), (left, i * row_height + _CAPTION))
    return picture


def side_by_side(seen: SeenClips) -> UInt8[Tensor, "T 3 H2 W2"]:
    """All clips at once, frame after frame: as loaded on the left, augmented on the right."""
    loaded, augmented = (tile(enlarged(clips), gap=_GAP, value=255) for clips in (seen.loaded, seen.augmented))
    gap = loaded.new_full((*loaded.shape[:3], 8 * _GAP), 255)
    return torch.cat([loaded, gap, augmented], dim=3)


def enlarged(clips: UInt8[Tensor, "B T 3 H W"]) -> UInt8[Tensor, "B T 3 H2 W2"]:
    """Small frames with every pixel repeated until they can be looked at."""
    factor = max(1, math.ceil(_MIN_SIDE / min(clips.shape[3:])))
    return clips.repeat_interleave(factor, dim=3).repeat_interleave(factor, dim=4)


def write(seen: SeenClips, out: Path) -> list[Path]:
    """Leaves clips.png and clips.mp4 in ``out``; each whole or not at all."""
    if out.is_file():
        raise InputError(f"out: {out} is a file: give a folder")
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "clips.png") as file:
        contact_sheet(seen).save(file, format="png")
    with open_writer(out / "clips.mp4", _FRAMES_PER_SECOND) as writer:
        frames = side_by_side(seen)
        for _ in range(3):  # a clip is over in a moment
            writer.write(frames)
    return [out / "clips.png", out / "clips.mp4"]


class PreviewCLI(RunCLI):
    """The training command's parser, so that every config and flag means the same; only parts of it are built.

    Args:
        args: Command line; None takes that of the process.
    """

    def __init__(self, args: Sequence[str] | None = None) -> None:
        # Not that of RunCLI, which trains.
        super(RunCLI, self).__init__(
            save_config_callback=None,
            seed_everything_default=0,
            parser_class=RunParser,
            parser_kwargs={"prog": "python -m stylegan_v.preview", "description": "A look at what training sees."},
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            run=False,
            args=None if args is None else list(args),
        )

    def add_arguments_to_parser(self, parser: RunParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.add_argument("--ckpt_path", type=str | None, help="not used; a config of a run may name one")
        parser.add_argument("--out", type=str, default="preview", help="folder for clips.png and clips.mp4")
        parser.add_argument("--num_clips", type=int, default=16, help="how many clips to show")
        parser.add_argument("--p", type=float, default=0.5, help="probability of each augmentation, 0 to 1")

    def parse_arguments(self, parser: RunParser, args: Any) -> None:
        super(RunCLI, self).parse_arguments(parser, args)

    def instantiate_classes(self) -> None:
        if self.config.num_clips < 1 or not 0 <= self.config.p <= 1:
            raise InputError("num_clips, p: give at least one clip and a probability between 0 and 1")
        self.datamodule = instantiate(self._node(self.config.data), ClipDataModule, "data")
        augment = self.config.model.init_args.get("augment")
        self.augment = augment and instantiate(self._node(augment), AugmentPipe, "model.augment")

    @staticmethod
    def _node(namespace: Any) -> dict[str, Any] | None:
        return None if namespace is None else namespace.as_dict()


def main(args: Sequence[str] | None = None) -> None:
    """The command: a training config and its flags, and those of the preview."""
    with clear_errors("preview"):
        cli = PreviewCLI(args)
        cli.datamodule.setup("fit")
        seen = see(cli.datamodule, cli.augment, cli.config.num_clips, cli.config.p)
        written = write(seen, Path(cli.config.out).expanduser())
    augmented = f"augmented at p = {cli.config.p:g}" if cli.augment else "the config augments nothing"
    print(f"{', '.join(map(str, written))}: {len(seen.numbers)} clips, as loaded and as the discriminator sees them")
    print(f"{len(cli.datamodule.video_lengths)} videos; {augmented}")


if __name__ == "__main__":
    main()
