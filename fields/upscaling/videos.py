"""Videos to videos: frame by frame at constant memory, at the same moments, with the sound as it was.

Frames keep the times that they have in the source, so that picture and sound stay together whatever the rate does.

Shape legend
    H, W    height and width
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from jaxtyping import UInt8

from datasets.embedding import CONTAINERS
from datasets.encoded_writer import CODECS, Codec, check_encoder
from datasets.files import atomic_path, sync
from datasets.settings import settings_beside, settings_text
from datasets.video_packets import opened, upright
from datasets.video_probe import probe
from errors import InputError
from fields.upscaling.saving import blamed_on

logger = logging.getLogger(__name__)

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".m4v", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv")
SAVED = tuple(CONTAINERS)
MULTIPLE = 2  # of which sides are: colour has half the resolution
Convert = Callable[[UInt8[np.ndarray, "H W 3"]], UInt8[np.ndarray, "h w 3"]]

# Encoders give other pictures for other numbers of threads, so that it may not depend on the machine.
_NUM_THREADS = 4
_ENOUGH = 0.98  # of the frames: of a few packets nothing may come
# What a container says of itself, and what says how the source was made.
_NOT_KEPT = {"major_brand", "minor_version", "compatible_brands", "encoder", "comment"}


@dataclass(frozen=True)
class Header:
    """What a video is.

    Attributes:
        path: The file.
        size: Height and width of a frame, upright.
        num_frames: How many are shown.
    """

    path: Path
    size: tuple[int, int]
    num_frames: int

    @property
    def bytes_per_pixel(self) -> int:
        """Of a frame in memory."""
        return 3


def read_header(path: Path) -> Header:
    """What a video is; reads all of its packets, and decodes few.

    Raises:
        InputError: It is no video, or not a whole one.
    """
    facts = probe(path)
    return Header(path, (facts.height, facts.width), facts.num_frames)


def choose_quality(path: Path, crf: int | None) -> tuple[Codec, int]:
    """How a file of this name is encoded, and how well.

    Args:
        path: Of the result.
        crf: 0 is best; None: as usual for the codec.

    Raises:
        InputError: There is no such format or quality.
    """
    container = CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise InputError(f"out: {path}: videos are written as {', '.join(SAVED)}: give such a name, or a folder")
    name = "vp9" if container == "webm" else "h264"
    codec = CODECS[name]
    check_encoder(name, codec)
    if crf is not None and not 0 <= crf <= codec.max_crf:
        raise InputError(f"crf: {crf} is no constant rate factor of {name}: give 0 (best) to {codec.max_crf}")
    return codec, codec.crf if crf is None else crf


def write_video(
    source: Header,
    path: Path,
    size: tuple[int, int],
    convert: Convert,
    crf: int | None,
    settings: dict[str, Any],
    square: bool = False,
) -> None:
    """Writes a video whose frames are those of another, converted, with its sound; whole or not at all.

    Args:
        source: The other video.
        path: Ends in one of `SAVED`; a file there is replaced.
        size: Height and width of the result's frames, even.
        convert: Makes a frame of that size.
        crf: As for `choose_quality`.
        settings: Plain values, left inside of the file and as JSON beside it.
        square: Pixels of the result are square, whatever those of the source are.

    Raises:
        InputError: The source is damaged, its sound does not go into such a file, or the encoder refuses the size.
        OSError: The disk is full or may not be written to; nothing is left behind.
    """
    codec, quality = choose_quality(path, crf)
    text = settings_text(path, settings)
    with opened(source.path) as (container, stream), blamed_on(path), atomic_path(path) as temporary:
        output = _Output(temporary, CONTAINERS[path.suffix.lower()], container, stream)
        with output.completed(), settings_beside(path, temporary, settings):
            output.begin(size, codec, quality, text, square)
            num_frames = 0
            for item in _items(container, stream):
                if isinstance(item, Packet):
                    output.copy(item)
                else:
                    output.write(convert(upright(item, _stored_size(source, item))), item)
                    num_frames += 1
            if num_frames < _ENOUGH * source.num_frames:
                raise InputError(
                    f"{source.path}: is damaged: {num_frames} of {source.num_frames} frames can be read: mend it"
                )
            output.end()
            sync(temporary)


def _stored_size(source: Header, frame: VideoFrame) -> tuple[int, int]:
    """Height and width before a frame is turned, the same for all."""
    return source.size[::-1] if frame.rotation % 180 else source.size


def _items(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | Packet]:
    """The frames of a video and the packets of its sound, as they lie in the file."""
    try:
        for packet in container.demux([stream, *container.streams.audio]):
            if packet.stream_index != stream.index:
                yield packet
                continue
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                logger.warning("%s: a damaged frame is left out: %s", container.name, error)
                continue
            yield from frames
    except av.error.FFmpegError as error:
        logger.warning("%s: reading stops early: %s", container.name, error)


class _Output:
    """A file with one stream of new frames and copies of the source's sound.

    Args:
        path: The file.
        format: Its container.
        source: Where the sound comes from.
        stream: Whose frames are converted.
    """

    def __init__(self, path: Path, format: str, source: InputContainer, stream: VideoStream) -> None:
        options = {"fflags": "+bitexact"}
        if format in ("mp4", "mov"):
            options["movflags"] = "+faststart"
        self._container = av.open(str(path.absolute()), "w", format=format, options=options)
        self._format, self._source, self._from = format, source, stream
        self._sounds: dict[int, Any] = {}
        self._last = -1

    @contextmanager
    def completed(self) -> Iterator[None]:
        """Lets go of the file where the body fails."""
        try:
            yield
        except BaseException:
            with suppress(OSError, ValueError):  # closing completes the file, for which there may be nothing or no room
                self._container.close()
            raise

    def begin(self, size: tuple[int, int], codec: Codec, crf: int, text: str, square: bool) -> None:
        """Says what the file will hold; arguments as in `write_video`."""
        kept = {name: value for name, value in self._source.metadata.items() if name.lower() not in _NOT_KEPT}
        self._container.metadata.update(kept, comment=text)
        if max(part.bits for part in self._from.codec_context.format.components) > 8:
            logger.warning("%s: has more than 8 bits per colour, of which the result has 8", self._source.name)
        rate = self._from.average_rate or self._from.guessed_rate or Fraction(25)
        self._stream = self._container.add_stream(codec.encoder, rate=rate, options={**codec.options, "crf": str(crf)})
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = codec.pixels
        context = self._stream.codec_context
        context.time_base, context.thread_count = self._from.time_base or 1 / rate, _NUM_THREADS
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        self._step = max(1, round(1 / (rate * context.time_base)))
        if not square and self._from.sample_aspect_ratio:
            context.sample_aspect_ratio = self._from.sample_aspect_ratio
        self._open(size, codec)
        self._add_sounds()

    def _open(self, size: tuple[int, int], codec: Codec) -> None:
        try:
            self._stream.codec_context.open()
        except av.error.FFmpegError as error:
            raise InputError(
                f"size: frames of {size[1]}x{size[0]} cannot be encoded by {codec.encoder}: ask for less"
            ) from error

    def _add_sounds(self) -> None:
        names = []
        try:
            for sound in self._source.streams.audio:
                names.append(sound.codec_context.name if sound.codec_context else "of an unknown kind")
                self._sounds[sound.index] = self._container.add_stream_from_template(sound)
            self._container.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            raise InputError(
                f"out: the sound ({', '.join(names)}) does not go into a {self._format} file as it is: give a .mkv"
            ) from error

    def copy(self, packet: Packet) -> None:
        """Passes sound on."""
        if packet.dts is not None:  # else it only says that the sound is over
            packet.stream = self._sounds[packet.stream_index]
            self._container.mux(packet)

    def write(self, pixels: UInt8[np.ndarray, "H W 3"], like: VideoFrame) -> None:
        """Appends a frame that is shown when another one is."""
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        # The usual colours of video, said in the file: players guess differently where it says nothing.
        frame = frame.reformat(
            format=self._stream.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        # A moment that is missing, or past already, is that of the next frame at the usual rate.
        frame.pts = like.pts if like.pts is not None and like.pts > self._last else self._last + self._step
        frame.time_base, frame.duration = self._stream.codec_context.time_base, like.duration or self._step
        self._last = frame.pts
        self._container.mux(self._stream.encode(frame))

    def end(self) -> None:
        """Completes the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
