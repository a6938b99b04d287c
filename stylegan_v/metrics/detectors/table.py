"""The table of feature networks: which file each needs, where that is found, and what is not known about it.

No weights come with this project, and none was downloaded to write this table: pages, names, licences and hashes are as
the pages state them. A hash stands here where the publisher's own page or file name states it, and then another file is
refused. Where it does not, the hash of the user's file is computed, printed and stored with each result.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from errors import InputError
from stylegan_v.metrics.detectors.interface import NOT_COMPARABLE, Detector
from weight_files import Located, MissingWeights, WeightFile, download, file_sha256, locate, target

COMMAND = "python -m stylegan_v.metrics.detectors"
_Load = Callable[[Path, str, torch.device], Detector]


@dataclass(frozen=True)
class DetectorEntry:
    """A row of the table.

    Attributes:
        name: Of the network.
        about: What it is.
        library: What computes it.
        caveat: What must be said beside its numbers, or "".
        weights: Its file, or files of which one is enough, the usual one first; empty: it is made without one.
        load: Makes it from path, sha256 and device; None where there are no ``weights``.
    """

    name: str
    about: str
    library: str
    caveat: str
    weights: tuple[WeightFile, ...]
    load: _Load | None


def _load_i3d(path: Path, sha256: str, device: torch.device) -> Detector:
    from stylegan_v.metrics.detectors.i3d import load_i3d

    return load_i3d(path, sha256, device)


def _load_inception(path: Path, sha256: str, device: torch.device) -> Detector:
    from stylegan_v.metrics.detectors.inception import load_inception

    return load_inception(path, sha256, device)


def _load_c3d(path: Path, sha256: str, device: torch.device) -> Detector:
    from stylegan_v.metrics.detectors.c3d import load_c3d

    return load_c3d(path, sha256, device)


def _load_videomae(path: Path, sha256: str, device: torch.device) -> Detector:
    from stylegan_v.metrics.detectors.videomae import load_videomae

    return load_videomae(path, sha256, device)


def _load_factors(path: Path, sha256: str, device: torch.device) -> Detector:
    from stylegan_v.metrics.detectors.factors import load_factors

    return load_factors(path, sha256, device)


def _random(name: str, device: torch.device) -> Detector:
    from stylegan_v.metrics.detectors.random_3d import RANDOM

    return RANDOM[name]().to(device)


_ENTRIES = (
    DetectorEntry(
        name="i3d",
        about="I3D of Kinetics-400, 400 values before the softmax: FVD",
        library="torch, the TorchScript file itself",
        caveat="",
        weights=(
            WeightFile(
                name="i3d",
                file="i3d_torchscript.pt",
                page="https://github.com/universome/fvd-comparison",
                licence="not stated for the file; the network it was ported from is Apache-2.0",
                sha256=None,
                url="https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
                about="TorchScript port of the I3D of TF-Hub, about 51 MB",
            ),
        ),
        load=_load_i3d,
    ),
    DetectorEntry(
        name="inception",
        about="Inception of 2015-12-05, 2048 values and 1008 classes per frame: FID, KID, IS",
        library="torch (TorchScript file) or torch-fidelity (its .pth)",
        caveat="",
        weights=(
            WeightFile(
                name="inception",
                file="inception-2015-12-05.pt",
                page="https://github.com/NVlabs/stylegan2-ada-pytorch",
                licence="not stated for the file; the network it was ported from is Apache-2.0",
                sha256=None,
                url="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
                about="TorchScript port of the Inception of FID, 96 MB; elsewhere its sha256 is said to be f58cb9b6...",
            ),
            WeightFile(
                name="inception",
                file="weights-inception-2015-12-05-6726825d.pth",
                page="https://github.com/toshas/torch-fidelity/releases",
                licence="Apache-2.0, that of torch-fidelity",
                sha256="6726825d",
                url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
                "weights-inception-2015-12-05-6726825d.pth",
                about="weights only, 96 MB; its name states the first digits of its sha256",
            ),
        ),
        load=_load_inception,
    ),
    DetectorEntry(
        name="c3d",
        about="C3D fine-tuned on UCF-101, 101 class probabilities per clip of 16 frames: video IS",
        library="torch, the TorchScript file itself",
        caveat="",
        weights=(
            WeightFile(
                name="c3d",
                file="c3d_ucf101.pt",
                page="https://github.com/universome/stylegan-v",
                licence="not stated",
                sha256=None,
                url=None,
                about="TorchScript port of the C3D of TGANv2",
            ),
        ),
        load=_load_c3d,
    ),
    DetectorEntry(
        name="videomae",
        about="VideoMAE-v2 (ViT-g) fine-tuned on Something-Something v2: CD-FVD",
        library="torch, the network written down here after cd-fvd 0.1.1",
        caveat="",
        weights=(
            WeightFile(
                name="videomae",
                file="vit_g_hybrid_pt_1200e_ssv2_ft.pth",
                page="https://huggingface.co/OpenGVLab/VideoMAE2/tree/main/mae-g",
                licence="Apache-2.0, as its page states",
                sha256="5a210a92f035dff30c53b46157b612e7a1a5d3c99700e1b2d71da5c399ca7e70",
                url="https://huggingface.co/OpenGVLab/VideoMAE2/resolve/main/mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth",
                about="weights only, about 2 GB",
            ),
        ),
        load=_load_videomae,
    ),
    DetectorEntry(
        name="random_3d",
        about="3D convolutions with fixed random weights",
        library="torch, this project",
        caveat=NOT_COMPARABLE,
        weights=(),
        load=None,
    ),
    DetectorEntry(
        name="random_2d",
        about="convolutions of frames with fixed random weights",
        library="torch, this project",
        caveat=NOT_COMPARABLE,
        weights=(),
        load=None,
    ),
    DetectorEntry(
        name="factors",
        about="a small network that names the factors of synthetic clips",
        library="torch, this project",
        caveat=NOT_COMPARABLE,
        weights=(
            WeightFile(
                name="factors",
                file="factors.safetensors",
                page="the command python -m stylegan_v.metrics.train_detector",
                licence="yours",
                sha256=None,
                url=None,
                about="trained on synthetic clips in minutes",
            ),
        ),
        load=_load_factors,
    ),
)

DETECTORS: dict[str, DetectorEntry] = {entry.name: entry for entry in _ENTRIES}


def entry_of(name: str) -> DetectorEntry:
    """The row of a name.

    Raises:
        InputError: There is none.
    """
    if name not in DETECTORS:
        raise InputError(f"detector: {name}: there is no such network: choose one of {', '.join(DETECTORS)}")
    return DETECTORS[name]


def load_detector(
    name: str,
    path: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
) -> Detector:
    """A network of the table, ready to be asked for features.

    Args:
        name: In the table.
        path: Of its weights; None: where the cache folder would have them.
        cache_dir: The cache folder; None: that of `weight_files`.
        device: Where it computes.

    Raises:
        MissingWeights: Its file is not there; one line says what to download, from where and to which path.
        InputError: There is no such network, or the file is not what it should be.
    """
    entry = entry_of(name)
    if entry.load is None:
        if path is not None:
            raise InputError(f"{name}: is made without a file of weights: leave out the path {path}")
        return _random(name, torch.device(device))
    spec = _meant(entry.weights, path, cache_dir)
    try:
        located = locate(spec, path, cache_dir)
    except MissingWeights as error:
        if spec.url is None or path is not None:
            raise
        raise MissingWeights(f"{error}; or run {COMMAND} --download {name}") from error
    return entry.load(located.path, located.sha256, torch.device(device))


def _meant(
    weights: tuple[WeightFile, ...], path: str | os.PathLike[str] | None, cache_dir: str | os.PathLike[str] | None
) -> WeightFile:
    """Which of several files is meant: by its suffix where a path is given, else the first that is there."""
    if path is not None:
        fitting = [spec for spec in weights if Path(spec.file).suffix == Path(path).suffix]
    else:
        fitting = [spec for spec in weights if target(spec, cache_dir).exists()]
    return (fitting or list(weights))[0]


def fetch(name: str, cache_dir: str | os.PathLike[str] | None = None) -> Located:
    """Downloads the file of a network.

    Args:
        name: Of the network, whose first file is meant, or of a file.
        cache_dir: The cache folder; None: that of `weight_files`.

    Raises:
        InputError: There is no such network, it needs no file, or its file is only for people to get.
    """
    by_file = {spec.file: spec for entry in _ENTRIES for spec in entry.weights}
    if name in by_file:
        return download(by_file[name], cache_dir)
    entry = entry_of(name)
    if not entry.weights:
        raise InputError(f"{name}: needs no file of weights: there is nothing to download")
    return download(entry.weights[0], cache_dir)


def describe_table(cache_dir: str | os.PathLike[str] | None = None) -> str:
    """The table as Markdown: what each network is, and where its file lies or what to get from where.

    Args:
        cache_dir: The cache folder; None: that of `weight_files`.
    """
    lines = ["| name | what it is | computed by | file | licence | sha256 | caveat |", "|---|---|---|---|---|---|---|"]
    for entry in DETECTORS.values():
        facts = [_facts(spec, target(spec, cache_dir)) for spec in entry.weights] or [("none needed", "-", "-")]
        for row in facts:
            lines.append(f"| {' | '.join((entry.name, entry.about, entry.library, *row, entry.caveat or '-'))} |")
    return "\n".join(lines) + "\n"


def _facts(spec: WeightFile, path: Path) -> tuple[str, str, str]:
    """Where a file lies, or where to get it and where to put it; its licence; its sha256."""
    if not path.is_file():
        whereabouts = f"missing: get {spec.file} from {spec.page} and put it at {path}"
        return f"{spec.about}: {whereabouts}", spec.licence, spec.sha256 or "not known before it is here"
    return f"{spec.about}: is at {path}", spec.licence, file_sha256(path)
