"""The measures by name: what each needs before it can start, and what its figures mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Float64
from torch import Tensor

from errors import InputError
from fields.reconstruction import psnr, ssim
from fields.reconstruction.flip import Flip, MissingFlip
from fields.reconstruction.lpips import load_lpips
from weight_files import MissingWeights

Compute = Callable[[Float[Tensor, "F 3 H W"], Float[Tensor, "F 3 H W"]], Float64[Tensor, " F"]]

NAMES = ("psnr", "ssim", "ms_ssim", "lpips", "flip")
LOWER_IS_BETTER = frozenset({"lpips", "flip"})


@dataclass(frozen=True)
class Measure:
    """A measure that is ready.

    Attributes:
        name: One of `NAMES`.
        convention: What its figures mean, in a line; stands in every report.
        compute: Result and reference in [0, 1] to a figure per frame.
    """

    name: str
    convention: str
    compute: Compute

    @property
    def lower_is_better(self) -> bool:
        """Whether it is a distance."""
        return self.name in LOWER_IS_BETTER


@dataclass(frozen=True)
class Needs:
    """What measures are opened with.

    Args:
        lpips_net: Backbone of LPIPS: alex, vgg or squeeze.
        lpips_weights: File of its weights. None: torchvision's file in the cache folder.
        cache_dir: Folder of weight files.
        ppd: Pixels per degree of view, for FLIP. None: the paper's screen.
        device: Where SSIM and LPIPS are computed; frames are to be there.
    """

    lpips_net: str = "alex"
    lpips_weights: str | Path | None = None
    cache_dir: str | Path | None = None
    ppd: float | None = None
    device: str = "cpu"


def parse_names(text: str) -> list[str]:
    """Names of measures, separated by commas, each once.

    Raises:
        InputError: None, or one that is not known.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        raise InputError(f"metrics: {unknown[0] if unknown else 'none given'}: give some of {','.join(NAMES)}")
    return names


def open_measures(names: Sequence[str], needs: Needs) -> tuple[list[Measure], dict[str, str]]:
    """The measures that can start here, and why the others cannot.

    Args:
        names: Of `NAMES`.
        needs: What they are opened with.

    Returns:
        The measures, and by name a line with the remedy for each that lacks a file or a package.

    Raises:
        InputError: None can start; or what is given is wrong, such as a damaged file.
    """
    measures, missing = [], {}
    for name in names:
        try:
            measures.append(open_measure(name, needs))
        except (MissingWeights, MissingFlip) as error:
            missing[name] = str(error)
    if not measures:
        raise InputError("; ".join(missing.values()))
    return measures, missing


def open_measure(name: str, needs: Needs) -> Measure:
    """One measure, ready.

    Raises:
        MissingWeights: It lacks a file.
        MissingFlip: It lacks its package.
        InputError: What it is opened with is wrong.
    """
    match name:
        case "psnr":
            return Measure(name, psnr.CONVENTION, psnr.psnr)
        case "ssim":
            return Measure(name, ssim.CONVENTION, ssim.ssim)
        case "ms_ssim":
            return Measure(name, ssim.MS_CONVENTION, ssim.ms_ssim)
        case "lpips":
            lpips = load_lpips(needs.lpips_net, needs.lpips_weights, needs.cache_dir).to(needs.device)
            return Measure(name, lpips.convention, lpips)
        case "flip":
            flip = Flip(needs.ppd)
            return Measure(name, flip.convention, flip)
    raise InputError(f"{name}: no such measure: give one of {','.join(NAMES)}")
