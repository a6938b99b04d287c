"""StyleGAN-V: videos as functions of continuous time (Skorokhodov et al. 2022), in plain PyTorch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torchvision_guard as _torchvision_guard  # noqa: F401  (before anything that may import torchvision)

if TYPE_CHECKING:
    from stylegan_v.pretrained import from_pretrained
    from stylegan_v.sharing import PretrainedGenerator

__all__ = ["PretrainedGenerator", "from_pretrained"]
_ROOMS = {"PretrainedGenerator": "stylegan_v.sharing", "from_pretrained": "stylegan_v.pretrained"}


def __getattr__(name: str) -> Any:
    """What trained models are used by, imported with its first use."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
