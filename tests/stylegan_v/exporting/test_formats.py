"""What the kinds of files refuse before any work is done."""

from __future__ import annotations

import sys

import pytest
import torch

from errors import InputError
from stylegan_v.exporting import formats
from stylegan_v.exporting.formats import Onnx


@pytest.mark.parametrize("opset", [-1, 17, 24])
def test_opsets_that_are_not_written_are_refused(opset: int) -> None:
    with pytest.raises(InputError, match=f"opset: {opset}: give 18 to 23"):
        Onnx(opset)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named_with_the_remedy(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(InputError, match=rf"needs {package}, which is not installed: pip install .*`export`"):
        Onnx()


def test_weights_beyond_what_one_file_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    program = torch.export.export(torch.nn.Linear(100, 30), (torch.zeros(1, 100),))
    monkeypatch.setattr(formats, "_MAX_ONNX_BYTES", 4 * 30 * 101 - 1)

    with pytest.raises(InputError, match="do not fit into one onnx file: give pt2"):
        Onnx().serialize(program, [], {})
