"""The program in a TorchScript archive, judged before torch sees it: which words it may use, and nothing else.

TorchScript is a small language, but not a harmless one: `torch.save` writes files, `torch.from_file` maps them into
memory, operators of other name spaces open connections, some trust the indices they are given, and a method
`__setstate__` runs while the archive is being read. So every word of the text is looked up: operators in a list made
from torch's own table of them, functions and classes among those that the archive itself defines.

What passes is written out anew from the syntax tree that was judged. Torch reads that text with a parser of its own,
and must not find anything in it that Python's parser took for something else.

This is no sandbox: a program that passes may still loop for ever or ask for all memory, and torch's own operators are
trusted to check what they are given.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache

import torch

from errors import InputError

MAX_CHARACTERS = 4_000_000

# Arguments of these types cannot reach beyond tensors and plain values: no storages, streams, futures, remote
# references and objects of compiled classes, all of which would fail to match, and no random generators.
_PLAIN_TYPE = re.compile(
    r"(?:Tensor|int|float|bool|complex|number|str|Device|NoneType|t|t1|t2|tVal|Any|AnyEnumType|QScheme"
    r"|Optional|List|Dict|Tuple|[\[\], ])+"
)
# Names with one of these in them: operators that skip their checks, of single backends, of other kinds of tensors,
# of gradients, and those that show memory which nobody has written.
_NO_PART = re.compile(
    r"unsafe|overrideable|sparse|nested|quantize|mkldnn|fbgemm|miopen|cudnn|mps|backward|gradient|grad_enabled|strided"
    r"|empty|resize"
)
_NO_NAME = frozenset(
    # of gradients and of where memory lies                           of the random state that others share
    (
        "backward",
        "grad",
        "retain_grad",
        "set_data",
        "record_stream",
        "manual_seed",
        "seed",
        "initial_seed",
        "pin_memory",
    )
)
# Private operators that stored programs do contain; among the rest of these are all unchecked ones.
_PRIVATE = re.compile("_convolution|_set_item|_unwrap_optional|_upsample_[a-z0-9_]+")
# Defined inside of torch as programs, not as operators, hence not in its table.
_BUILT_IN = frozenset({"list_with_default", "_assert", "_assert_int_or_pair", "ndim", "T", "type"})
_PRIM = frozenset(
    (
        *("RaiseException", "NumToTensor", "Print", "TupleIndex", "TupleUnpack", "abs", "data", "device", "dtype"),
        *("index", "is_cpu", "is_cuda", "is_meta", "is_mkldnn", "is_nested", "is_quantized", "is_sparse", "is_xla"),
        *("itemsize", "layout", "max", "min", "nbytes", "rangelist", "requires_grad", "tolist", "unchecked_cast"),
        "unchecked_unwrap_optional",
    )
)
_FUNCTIONS = frozenset(
    (
        *("annotate", "unchecked_cast", "uninitialized", "getattr", "hasattr", "isinstance", "print", "range", "len"),
        *("int", "float", "bool", "complex", "str", "list", "tuple", "dict", "min", "max", "abs", "round", "sorted"),
        *("inf", "nan"),
    )
)
_TYPES = frozenset(
    (
        *("Tensor", "Scalar", "number", "NoneType", "List", "Dict", "Tuple", "Optional", "Union", "Any", "Device"),
        *("Module", "NamedTuple", "Final", "Interface", "ModuleInterface", "__annotations__"),
    )
)
# Words that start work elsewhere; not even a variable may be called so, or a name would depend on the order of lines.
_NEVER_BOUND = frozenset({"fork", "awaitable", "rpc_async", "rpc_sync", "rpc_remote"})
_ROOTS = frozenset({"torch", "ops", "__torch__", "CONSTANTS"})
_SYNTAX = (
    *(ast.Module, ast.ClassDef, ast.FunctionDef, ast.arguments, ast.arg, ast.keyword),
    *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return, ast.If, ast.While, ast.For, ast.Pass),
    *(ast.Break, ast.Continue, ast.Assert, ast.Call, ast.Attribute, ast.Name, ast.Constant, ast.Subscript, ast.Slice),
    *(ast.Tuple, ast.List, ast.Dict, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
_SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef)


@cache
def allowed_operators() -> frozenset[str]:
    """Names of torch's operators that make tensors and plain values of such, and do nothing else."""
    schemas = defaultdict(list)
    for schema in torch._C._jit_get_all_schemas():
        space, _, name = schema.name.partition("::")
        if space == "aten":
            schemas[name].append(schema)
    return _BUILT_IN | {name for name, versions in schemas.items() if _is_pure(name, versions)}


@cache
def _refused_operators() -> frozenset[str]:
    """The other operators of the same name space: a value's method may not be called like one of them."""
    names = {schema.name.partition("::")[2] for schema in torch._C._jit_get_all_schemas() if "aten::" in schema.name}
    return frozenset(names - allowed_operators())


def _is_pure(name: str, schemas: list[torch._C.FunctionSchema]) -> bool:
    if name in _NO_NAME or _NO_PART.search(name):
        return False
    if name.startswith("_") and not name.startswith("__") and not _PRIVATE.fullmatch(name):
        return False
    values = [value for schema in schemas for value in (*schema.arguments, *schema.returns)]
    return all(_PLAIN_TYPE.fullmatch(str(value.type)) and value.name != "filename" for value in values)


def checked_code(text: str, name: str) -> str:
    """The program again, written from what was judged.

    Args:
        text: Of one file of an archive.
        name: Of that file, for messages.

    Raises:
        InputError: It is too long, no program, or uses a word or a form that it must not.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{name} has {len(text)} characters, at most {MAX_CHARACTERS} are read")
    try:
        tree = ast.parse(text)
        _Judge(name).judge(tree)
        return ast.unparse(tree) + "\n"
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} cannot be parsed") from error


class _Judge:
    """Goes through a syntax tree, scope by scope, and refuses the first word that is not known to be harmless."""

    def __init__(self, name: str) -> None:
        self.name = name

    def refuse(self, node: ast.AST, what: str) -> InputError:
        return InputError(f"{self.name}, line {getattr(node, 'lineno', 0)}: {what} is not allowed in a feature network")

    def judge(self, scope: ast.AST) -> None:
        """Every node of a scope, which knows its own names only: what a file defines is spelled out from its root."""
        bound = _names_bound(scope)
        if wrong := sorted(bound & (_NEVER_BOUND | _ROOTS)):
            raise self.refuse(scope, wrong[0])
        known = bound | _FUNCTIONS | _TYPES
        waiting = list(ast.iter_child_nodes(scope))
        while waiting:
            node = waiting.pop()
            if not isinstance(node, _SYNTAX):
                raise self.refuse(node, type(node).__name__)
            if isinstance(node, _SCOPES):
                self.scope(node)
                self.judge(node)
                continue
            if isinstance(node, ast.Attribute):
                waiting += self.attribute(node)
                continue
            if isinstance(node, ast.Name) and (node.id in _ROOTS or node.id not in known):
                raise self.refuse(node, node.id)
            if isinstance(node, ast.Call):
                self.call(node)
            waiting += ast.iter_child_nodes(node)

    def scope(self, node: ast.AST) -> None:
        name = getattr(node, "name", "")
        if name in ("__setstate__", "__getstate__") or getattr(node, "decorator_list", []):
            raise self.refuse(node, f"{name}, which would run while the file is read,")

    def attribute(self, node: ast.Attribute) -> list[ast.AST]:
        """Judges ``a.b.c`` as one; what is left to judge of it."""
        words, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            words.append(inner.attr)
            inner = inner.value
        words.reverse()
        if not isinstance(inner, ast.Name) or inner.id not in _ROOTS:
            for word in words:
                self.member(node, word)
            return [inner]
        if not self.is_known(inner.id, words):
            raise self.refuse(node, ".".join([inner.id, *words])[:100])
        return []

    def is_known(self, root: str, words: list[str]) -> bool:
        """Whether a dotted name below one of the four roots may be used."""
        if root == "torch":
            return len(words) == 1 and words[0] in allowed_operators()
        if root == "ops":
            return len(words) == 2 and words[0] == "prim" and words[1] in _PRIM
        if root == "CONSTANTS":
            return len(words) == 1 and re.fullmatch(r"c\d{1,6}", words[0]) is not None
        return words[:2] != ["torch", "classes"]  # compiled into torch; all other classes are those of the archive

    def member(self, node: ast.AST, word: str) -> None:
        """A field or method of a value; of a tensor, the methods are operators."""
        if word in _refused_operators():
            raise self.refuse(node, f".{word}")

    def call(self, node: ast.Call) -> None:
        """A call whose function is judged as a name or attribute by itself; `getattr` hides a word in a text."""
        if any(word.arg is None for word in node.keywords):
            raise self.refuse(node, "**")
        if isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            words = [argument.value for argument in node.args[1:2] if isinstance(argument, ast.Constant)]
            if not words or not isinstance(words[0], str):
                raise self.refuse(node, f"{node.func.id} of a computed name")
            self.member(node, words[0])


def _names_bound(scope: ast.AST) -> set[str]:
    """Names that a scope itself gives to values: parameters, targets, and for a file its classes and functions."""
    names = (
        {word.arg for word in ast.walk(scope.args) if isinstance(word, ast.arg)} if hasattr(scope, "args") else set()
    )
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        waiting += ast.iter_child_nodes(node)
    return names
