"""What all commands share: a model, a chunk size, moments, and the way from latents to files.

Shape legend
    B       videos that share a file
    f       frames, a few at a time
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from generate_options import Options
from stylegan_v import rendering
from stylegan_v.networks import Generator
from stylegan_v.rendering import VideoLatents
from stylegan_v.sampling.choice import Choice, addresses, side_by_side
from stylegan_v.sampling.framing import choose_framing, parse
from stylegan_v.sampling.looking import Draw, draw_videos, look
from stylegan_v.sampling.memory import Render, check_size, choose_chunk, choose_tile
from stylegan_v.sampling.model import open_model
from stylegan_v.sampling.outputs import Destination, Piece, Save, produce, report, video_saver
from stylegan_v.sampling.times import Timing

Arrange = Callable[[Tensor], Tensor]  # frames [B, f, 3, H, W] of videos to those of a file, f of them


class Studio:
    """The model of a command, the moments it shows, and how its files are made.

    Args:
        command: Its name.
        options: What it was told.
        where: Where its files go.
        timing: Makes the moments, of the frames per second of the training data.
        loop: Whether the first frame comes again after the last.
    """

    def __init__(
        self,
        command: str,
        options: Options,
        where: Destination,
        timing: Callable[[float], Timing],
        *,
        loop: bool = False,
    ) -> None:
        request = parse(options)
        self.command, self.options, self.where = command, options, where
        self.model = open_model(options)
        self.generator: Generator = self.model.generator
        self.framing = choose_framing(self.generator, request, closed=loop)
        self.shape = self.framing.shape if self.framing else self.generator.resolution
        self.tile = choose_tile(self.shape, options.tile, self.generator.mapping.w_avg.device) if self.framing else None
        self.timing = timing(self.model.data_fps)
        self.chunk = choose_chunk(self.generator, options.chunk)
        self.save: Save = video_saver(self.timing.fps, options.crf)

    def shown(self, draw: Callable[[], VideoLatents], generator: Generator | None = None) -> Callable[[], Render]:
        """How videos are rendered whose content stays.

        Args:
            draw: Makes their latents, when it is their turn.
            generator: Which draws them; None: that of the model.
        """

        def make() -> Render:
            latents, drawing = draw(), generator or self.generator
            if self.framing is not None:
                return self.framed(draw_videos(drawing, latents), len(latents))
            return lambda t, chunk: rendering.render(drawing, latents, t, chunk=chunk)

        return make

    def framed(self, draw: Draw, num_videos: int = 1) -> Render:
        """What renders the frames of a file as they were asked for, by a generator with a decoder.

        Args:
            draw: Draws videos.
            num_videos: How many.
        """
        num_frames, view = self.timing.num_frames, self.framing.view

        def render(t: Tensor, chunk: int) -> Iterator[Tensor]:
            first = num_frames - len(t)  # what is begun again after memory ran out is the end of the file
            views = (view(frame, num_frames) for frame in range(first, num_frames))
            return look(draw, num_videos, t, views, chunk, self.tile)

        return render

    def piece(
        self,
        name: str,
        make: Callable[[], Render],
        own: dict[str, Any],
        *,
        arrange: Arrange = side_by_side,
        num_videos: int = 1,
    ) -> Piece:
        """A file of the command.

        Args:
            name: Of the file, where none was asked for by name.
            make: Makes what renders its videos, when it is their turn.
            own: Settings that only this command has.
            arrange: Videos to frames of the file.
            num_videos: How many it shows.
        """

        def frames() -> Iterator[Tensor]:
            for some in self.chunk.render(make(), self.timing.times()):
                yield arrange(some.cpu())

        path = self.where.file(name)
        form = {"format": path.suffix[1:] or "png", "crf": self.options.crf}
        settings = self.model.settings(self.command, **self.timing.settings(), **own, **form)
        settings["made_with"] = {**settings["made_with"], "chunk": self.chunk.frames}
        if self.framing is not None:
            check_size(self.shape, num_videos)
            settings = {**settings, **self.framing.settings()}
            settings["made_with"]["tile"] = self.tile
        return Piece(path, settings, frames, self.save, self.timing.num_frames, num_videos)

    def pieces(self, choice: Choice, **special: Any) -> list[Piece]:
        """The files of chosen videos: one for each, or one for all.

        Args:
            choice: The videos, and how they share files.
            **special: What only this command has, see `shared`.
        """
        if choice.grid or self.where.single is not None:
            return [self.shared(choice, **special)]
        return [self.shared(choice.only(i), first=i, **special) for i in range(len(choice.videos))]

    def shared(
        self,
        choice: Choice,
        *,
        first: int = 0,
        own: dict[str, Any] | None = None,
        generator: Generator | None = None,
        arrange: Arrange | None = None,
    ) -> Piece:
        """The file of videos that share it.

        Args:
            choice: The videos.
            first: Place of the first of them among all of the command, whose turn it is for labels.
            own: Settings that only this command has.
            generator: Which draws them; None: that of the model.
            arrange: Videos to frames of the file; None: tiled.
        """
        labels = self.model.turns(len(choice.videos), first)
        whose = {"videos": addresses(choice.videos), "label": labels or None, "columns": choice.columns}
        if choice.motions is not None:
            whose["motions"] = addresses(choice.motions)
        return self.piece(
            choice.name,
            self.shown(lambda: self.model.latents(choice.videos, choice.motions, labels), generator),
            {**whose, **(own or {})},
            arrange=arrange or (lambda frames: side_by_side(frames, choice.columns)),
            num_videos=len(choice.videos),
        )

    def finish(self, pieces: Sequence[Piece], what: str = "") -> None:
        """Makes the files, and says where and what they are."""
        skipped = produce(pieces, overwrite=self.options.overwrite)
        size = "{1}x{0}".format(*self.shape)
        report(pieces, skipped, ", ".join(filter(None, (what, str(self.timing), f"{size} pixels"))))
