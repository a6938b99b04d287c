"""Makes `import torchvision` safe beside a torch of another build; imported before Lightning.

The registry's torchvision is linked against CUDA. Beside a CPU-only torch its compiled library does not load, and then
`import torchvision`, and with it torchmetrics and Lightning, fails with "operator torchvision::nms does not exist".
Declaring the two schemas that torchvision's Python files refer to is enough for everything written in Python
(transforms, make_grid, models); its compiled operators and codecs stay unavailable, and this project does without:
only `data.decode_on: device` asks for a codec, and says so where there is none.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library = None  # kept alive: a Library's schemas go when it is collected


def guard_torchvision() -> bool:
    """Declares the missing operators where torchvision's compiled library does not load.

    Returns:
        Whether the declarations were needed.
    """
    global _library
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _library is not None:
        return _library is not None
    import torch

    if hasattr(torch.ops.torchvision, "nms"):
        return False
    compiled = sorted(Path(spec.origin).parent.glob("_C*.so")) + sorted(Path(spec.origin).parent.glob("_C*.pyd"))
    try:
        for path in compiled:
            torch.ops.load_library(str(path))
    except OSError:
        compiled = []
    if not compiled:
        _library = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS:
            _library.define(schema)
    return _library is not None


guard_torchvision()
