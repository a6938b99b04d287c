from __future__ import annotations

import ast

import pytest

from errors import InputError
from stylegan_v.metrics.detectors import torchscript_code
from stylegan_v.metrics.detectors.torchscript_code import allowed_operators, checked_code

HARMLESS = """class Net(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  weight : Tensor
  training : bool
  __annotations__["0"] = __torch__.torch.nn.modules.conv.Conv3d
  def forward(self: __torch__.Net,
    x: Tensor,
    sizes: List[int]=[1, 2]) -> Tuple[Tensor, Optional[Tensor]]:
    _0 = __torch__.torch.nn.functional.___torch_mangle_3.relu
    conv = getattr(self, "0")
    a, b, = torch.split(x, 2)
    if torch.gt(torch.len(sizes), -1):
      y = _0((conv).forward(x, ), inplace=True)
    else:
      ops.prim.RaiseException("no\\nsizes")
      y = annotate(Tensor, CONSTANTS.c0)
    for i in range(3):
      y = torch.add_(y, torch.mul(self.weight, 9223372036854775807 - i))
    while bool(torch.lt(y, inf)):
      y = torch._convolution(y, y, None, [1], [0], [1], False, [0], 1, False, False, True)
    return (y, unchecked_cast(Tensor, b))
"""


def method(*lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"class Net(Module):\n  def forward(self: __torch__.Net, x: Tensor) -> Tensor:\n{body}\n    return x\n"


def test_a_harmless_program_is_written_anew_with_the_same_meaning() -> None:
    written = checked_code(HARMLESS, "code/net.py")

    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(HARMLESS))
    assert "\\n" in written and "# " not in written


def test_comments_do_not_come_through() -> None:
    assert "secret" not in checked_code(method("y = x  # secret"), "code/net.py")


@pytest.mark.parametrize(
    "line, word",
    [
        ('torch.save(x, "stolen")', "torch.save"),
        ('y = torch.from_file("/etc/passwd")', "torch.from_file"),
        ('y = x.save("stolen")', ".save"),
        ('y = getattr(x, "save")("stolen")', ".save"),
        ("y = getattr(x, self.word)", "getattr of a computed name"),
        ("y = torch.set_(x, x)", "torch.set_"),
        ("y = x.set_(x)", ".set_"),
        ("y = torch.as_strided(x, [1], [1], 99)", "torch.as_strided"),
        ("y = torch._unsafe_index(x, [x])", "torch._unsafe_index"),
        ("y = torch.manual_seed(0)", "torch.manual_seed"),
        ("y = torch.rand([3])", "torch.rand"),
        ("y = torch.empty([3])", "torch.empty"),
        ('y = ops.quantized.linear(x, x, 1., 0)', "ops.quantized.linear"),
        ('y = ops.image.read_file("/etc/passwd")', "ops.image.read_file"),
        ("y = ops.prim.PythonOp(x)", "ops.prim.PythonOp"),
        ("y = ops.aten.add(x, x)", "ops.aten.add"),
        ("y = torch.ops.aten.add(x, x)", "torch.ops.aten.add"),
        ("y = __torch__.torch.classes.quantized.LinearPackedParamsBase(x)", "__torch__.torch.classes.quantized"),
        ("s = torch.save", "torch.save"),
        ("t = torch", "torch"),
        ("torch = x", "torch"),
        ("y = fork(x, x)", "fork"),
        ("fork = x", "fork"),
        ('y = eval("x")', "eval"),
        ('y = open("x")', "open"),
        ("import os", "Import"),
        ("y = lambda: x", "Lambda"),
        ("y = [x for x in y]", "ListComp"),
        ("y = torch.add(*x)", "Starred"),
        ("y = torch.add(x, **x)", "**"),
        ("y = f'{x}'", "JoinedStr"),
        ("with x: y = x", "With"),
        ("y = CONSTANTS.other", "CONSTANTS.other"),
        ("y = unknown", "unknown"),
    ],
)  # fmt: skip
def test_a_word_that_reaches_beyond_tensors_is_refused_with_its_line(line: str, word: str) -> None:
    with pytest.raises(InputError) as refusal:
        checked_code(method("z = x", line), "code/net.py")

    assert "\n" not in str(refusal.value)
    assert word in str(refusal.value)
    assert str(refusal.value).startswith("code/net.py, line ")


@pytest.mark.parametrize("name", ["__setstate__", "__getstate__"])
def test_what_would_run_while_the_archive_is_read_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        checked_code(
            f"class Net(Module):\n  def {name}(self: __torch__.Net, state: int) -> int:\n    return 0\n", "a.py"
        )


def test_a_name_of_the_class_is_no_name_inside_of_its_methods() -> None:
    text = method("y = helper(x)").replace("  def ", "  helper : int\n  helper = 1\n  def ", 1)
    with pytest.raises(InputError, match="helper"):
        checked_code(text, "a.py")


@pytest.mark.parametrize(
    "text", ["class (", "x = " + "(" * 500 + "1" + ")" * 500, "x = \x00", "y = " + "-" * 90_000 + "1"]
)
def test_what_is_no_program_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^a\.py cannot be parsed$"):
        checked_code(text, "a.py")


def test_a_program_that_is_too_long_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchscript_code, "MAX_CHARACTERS", 10)
    with pytest.raises(InputError, match="11 characters"):
        checked_code("x = 1234567", "a.py")


def test_the_list_holds_what_networks_need_and_nothing_that_leaves_tensors() -> None:
    operators = allowed_operators()

    assert {"conv3d", "max_pool3d", "batch_norm", "upsample_trilinear3d", "softmax", "add_", "__getitem__"} <= operators
    assert not operators & {"save", "from_file", "set_", "set_data", "resize_", "wait", "to_here", "seed", "normal_"}
    assert not {name for name in operators if "unsafe" in name or "sparse" in name}
