"""The choices that a protocol consists of; their defaults are those of the original's FVD of 16 frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ClipChoice:
    """Which frames of a video make a clip.

    Args:
        num_frames: Frames of a clip.
        stride: Distance between neighbours, in frames of the video.
    """

    num_frames: int
    stride: int = 1

    @property
    def span(self) -> int:
        """Frames from the first to the last one, both included."""
        return (self.num_frames - 1) * self.stride + 1

    @property
    def required(self) -> int:
        """Frames that a video must have: num_frames x stride, as in the original; shorter videos are skipped."""
        return self.num_frames * self.stride


@dataclass(frozen=True)
class RealChoice:
    """Which clips of the real videos are the reference.

    Args:
        take: "one_clip_per_video"; "every_frame" of every video, each equally, so that long videos count more; or
            "random_frames", as many as there are fakes, drawn without replacement from all frames of all videos.
        starts: Of the clips: "random", uniform over all offsets at which the clip fits, or "zero".
        order: In which videos are taken until there are ``max_num``: that of the "index", or a "random" one.
        max_num: Largest number of clips, or frames for image networks; None: all.
        mirror: Never.
        short_videos: Always skipped, and counted.
    """

    take: Literal["one_clip_per_video", "every_frame", "random_frames"] = "one_clip_per_video"
    starts: Literal["random", "zero"] = "random"
    order: Literal["index", "random"] = "index"
    max_num: int | None = 2048
    mirror: Literal[False] = False
    short_videos: Literal["skipped"] = "skipped"


@dataclass(frozen=True)
class FakeChoice:
    """Which clips are generated.

    Args:
        num: Clips, or frames for image networks, of one draw.
        starts: Time of the first frame: "zero"; or "as_real", whole numbers drawn as the offsets of clips of real
            videos, of which no more than the first ``max_start`` frames are looked at.
        max_start: See ``starts``.
        late_starts: Further times at which all clips of one more draw each start: the curve of long videos.
        truncation_psi: 1 leaves the styles as they are.
        labels: Those of random real videos.
        weights: The averaged ones.
        jpeg_quality: Quality of JPEG through which frames go as if they were stored; None: none.
    """

    num: int = 2048
    starts: Literal["zero", "as_real"] = "zero"
    max_start: int = 1024
    late_starts: tuple[int, ...] = ()
    truncation_psi: float = 1.0
    labels: Literal["of_random_real_videos"] = "of_random_real_videos"
    weights: Literal["averaged"] = "averaged"
    jpeg_quality: int | None = None


@dataclass(frozen=True)
class FilmedChoice:
    """Which clips of generated videos that are files, or of another data set, take the place of fakes.

    Args:
        starts: "zero": the first frames of each video; "random".
        order: As in `RealChoice`.
    """

    starts: Literal["zero", "random"] = "zero"
    order: Literal["index", "random"] = "index"


@dataclass(frozen=True)
class FrameChoice:
    """How frames reach the feature network; what it does with them by itself is part of the network.

    Args:
        size: That of the fakes: real frames of other sizes are brought to it.
        crop: Largest box of that shape, at the centre.
        filter: Bicubic, with a window that grows with the reduction.
        rounding: Of generated frames x in [-1, 1] to bytes.
    """

    size: Literal["that_of_the_fakes"] = "that_of_the_fakes"
    crop: Literal["centre"] = "centre"
    filter: Literal["bicubic_antialiased"] = "bicubic_antialiased"
    rounding: Literal["x*127.5+128 clipped to 0..255, truncated"] = "x*127.5+128 clipped to 0..255, truncated"


@dataclass(frozen=True)
class Frechet:
    """Frechet distance of Gaussians.

    Args:
        covariance: "biased" divides by N, "unbiased" by N - 1.
    """

    covariance: Literal["biased", "unbiased"] = "biased"


@dataclass(frozen=True)
class Kernel:
    """Unbiased squared maximum mean discrepancy under the kernel (x . y / D + 1)^3, times ``scale``.

    Args:
        num_subsets: Mean over so many random subsets of both sets; None: all pairs once.
        subset_size: Largest number of items of a subset.
        scale: Factor of the result.
        num_resamples: Of the bootstrap that tells its spread, where all pairs are taken.
    """

    num_subsets: int | None = None
    subset_size: int = 1000
    scale: float = 1.0
    num_resamples: int = 200


@dataclass(frozen=True)
class Inception:
    """Inception score: exp of the mean divergence of class probabilities from their mean, averaged over splits.

    Args:
        num_splits: Equal parts, one score each.
        shuffle_seed: Of the order in which probabilities are shared out; None: as they come.
    """

    num_splits: int = 10
    shuffle_seed: int | None = None


def smallest(measure: Frechet | Kernel | Inception) -> dict[str, int]:
    """Numbers in the options of a measure, such that 1 is the least that is possible."""
    match measure:
        case Kernel():
            num_subsets = 1 if measure.num_subsets is None else measure.num_subsets
            enough = {"subset_size": measure.subset_size - 1, "num_resamples": measure.num_resamples - 1}
            return {"num_subsets": num_subsets, **enough}
        case Inception():
            seed = 0 if measure.shuffle_seed is None else measure.shuffle_seed
            return {"num_splits": measure.num_splits, "shuffle_seed": seed + 1}
    return {}
