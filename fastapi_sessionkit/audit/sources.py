"""Fingerprints of functions: the same for the same source, wherever it stands and however it is laid out."""

import ast
import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from types import CodeType
from typing import Any, TypeAlias, TypeGuard

_Node: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_DEEP = 4
"""How far is looked into what a function closes over."""
_COLLECTIONS = (list, tuple, dict, set, frozenset)
_PLAIN = (str, bytes, int, float, complex, bool, type(None))


def fingerprint(function: Any) -> str:
    """Twelve characters of a hash of what a function, a class' object or a ``partial`` is made of.

    That is its source, its defaults, and the plain values that it closes over or holds. What it calls is not followed.
    """
    return hashlib.sha256("\n".join(_told(function, 0)).encode()).hexdigest()[:12]


def _told(value: Any, depth: int) -> Iterator[str]:
    """What a value says about itself. No address, and nothing that differs from one run to the next."""
    if isinstance(value, partial):
        for part in (value.func, value.args, sorted(value.keywords.items())):
            yield from _told(part, depth + 1)
    elif isinstance(value, _PLAIN):
        yield repr(value)
    elif isinstance(value, _COLLECTIONS):
        yield from _collection(value, depth)
    elif depth > _DEEP:
        yield type(value).__qualname__
    elif inspect.ismethod(value):
        yield from _told(value.__func__, depth + 1)
        yield from _told(value.__self__, depth + 1)
    elif inspect.isfunction(value):
        yield from _function(value, depth)
    elif inspect.isclass(value) or inspect.isroutine(value):
        yield f"{value.__module__}.{value.__qualname__}"
    else:
        yield from _object(value, depth)


def _collection(values: Any, depth: int) -> Iterator[str]:
    yield type(values).__name__
    parts = ["\n".join(_told(part, depth + 1)) for part in (values.items() if isinstance(values, dict) else values)]
    yield from sorted(parts) if isinstance(values, set | frozenset) else parts


def _function(function: Any, depth: int) -> Iterator[str]:
    yield _source(function)
    yield from _told((function.__defaults__ or (), function.__kwdefaults__ or {}), depth + 1)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        yield name
        try:
            yield from _told(cell.cell_contents, depth + 1)
        except ValueError:  # it is not filled yet
            yield "empty"


def _object(value: Any, depth: int) -> Iterator[str]:
    """Its class, and what it holds, by ``vars`` or as a dataclass; a rule by what it shows of itself."""
    kind = type(value)
    yield kind.__qualname__
    for name in ("__call__", "refusal"):
        if inspect.isfunction(getattr(kind, name, None)):
            yield _source(getattr(kind, name))
    held = {field.name: getattr(value, field.name, None) for field in fields(value)} if is_dataclass(value) else None
    yield from _told(getattr(value, "__dict__", {}) if held is None else held, depth + 1)
    if kind.__module__.startswith(__name__.partition(".")[0]):
        yield repr(value)


def _source(function: Any) -> str:
    """Its source as Python writes it, without comments, layout, decorators and docstring; without a source its byte code."""
    code = function.__code__
    try:
        lines, _ = inspect.findsource(code)
        nodes = [node for node in ast.walk(_parsed("".join(lines))) if _is_of(node, code)]
    except (OSError, TypeError, SyntaxError, ValueError):
        nodes = []
    if not nodes:
        return _byte_code(code)
    node = min(nodes, key=_size)
    if isinstance(node, ast.Lambda):
        return ast.unparse(node)
    return f"{ast.unparse(node.args)}\n{ast.unparse(_without_docstring(node.body))}"


_parsed = lru_cache(64)(ast.parse)


def _is_of(node: ast.AST, code: CodeType) -> TypeGuard[_Node]:
    """Whether a node of the parsed file is a code object's: by its name and line, or, of a lambda, by its place."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        return node.name == code.co_name and first == code.co_firstlineno
    return isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and _holds(node.body, code)


def _holds(body: ast.expr, code: CodeType) -> bool:
    """Whether all that the code does stands within this expression."""
    start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    places = [place for place in code.co_positions() if None not in place and place[2:] != (0, 0)]
    return bool(places) and all(
        start <= (line, column) and (last, end_column) <= end for line, last, column, end_column in places
    )


def _size(node: _Node) -> tuple[int, int]:
    lines = (node.end_lineno or 0) - node.lineno
    return lines, (node.end_col_offset or 0) - node.col_offset


def _without_docstring(body: list[ast.stmt]) -> ast.Module:
    has_one = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    return ast.Module(body[1:] if has_one else body, [])


def _byte_code(code: Any) -> str:
    constants = [_byte_code(each) if inspect.iscode(each) else repr(each) for each in code.co_consts]
    return "\n".join([code.co_code.hex(), *constants, *code.co_names])
