"""TorchScript archives for tests: small networks with the calls of the published ones, and archives changed by hand."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ToyI3D(nn.Module):
    """Two space-time convolutions with the call of the I3D of FVD."""

    def __init__(self, features: int = 7) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(3, 4, 3, stride=2, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.Conv3d(4, features, 3, padding=1)
        )

    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        if rescale:
            x = x / 255 * 2 - 1
        if resize:
            x = F.interpolate(x, (x.shape[2], 16, 16), mode="trilinear", align_corners=False)
        logits = self.layers(x).mean(dim=[2, 3, 4])
        return logits if return_features else logits.softmax(dim=1)


class ToyC3D(nn.Module):
    """Class probabilities of a clip, or what they are made of."""

    def __init__(self, softmax: bool = True) -> None:
        super().__init__()
        self.last = nn.Linear(3 * 16, 5)
        self.softmax = softmax

    def forward(self, x: Tensor) -> Tensor:
        logits = self.last((x / 255).mean(dim=[3, 4]).flatten(1))
        return logits.softmax(dim=1) if self.softmax else logits


class ToyInception(nn.Module):
    """The call of the Inception of StyleGAN2-ADA."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3)
        self.output = nn.Linear(6, 4)

    def forward(self, x: Tensor, return_features: bool = False, no_output_bias: bool = False) -> Tensor:
        features = self.first(x.to(torch.float32) / 128 - 1).relu().mean(dim=[2, 3])
        if return_features:
            return features
        weight = self.output.weight.transpose(0, 1)
        logits = features.matmul(weight)
        if not no_output_bias:
            logits = logits + self.output.bias
        return logits.softmax(dim=1)


def script(network: nn.Module, path: Path) -> Path:
    """Stores a network as an archive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(network.eval()), str(path))
    return path


def parts(path: Path) -> dict[str, bytes]:
    """The entries of an archive by their names below its folder."""
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, changes: Mapping[str, bytes | Callable[[bytes], bytes] | None]) -> Path:
    """The archive with some entries replaced, added or (None) left out."""
    entries = parts(path)
    for name, change in changes.items():
        if change is None:
            del entries[name]
        else:
            entries[name] = change(entries[name]) if callable(change) else change
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, raw in entries.items():
            archive.writestr(f"archive/{name}", raw)
    path.write_bytes(written.getvalue())
    return path
