"""What an operation computes, and its derivative rules, in the words of the code."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from typing import NamedTuple

from ...core.primitive import composites, registry


def equation_of(name: str) -> str:
    """The first line of the docstring of an operation, or of the function that people call for it.

    Empty if there is none.

    >>> equation_of("tanh")
    'out = tanh x'
    """
    primitive = registry.get(name)
    for function in (primitive and primitive.forward, composites.get(name)):
        text = inspect.getdoc(function) if function else None
        if text:
            return text.split("\n")[0]
    return ""


def rules_of(name: str) -> list[str]:
    """The rules of an operation, as the code has them; none if there is no source to look at.

    >>> rules_of("multiply")
    ['a: g * b', 'b: g * a']
    """
    operation = registry.get(name)
    if operation is None or not operation.rules:
        return []
    source = _source_of(operation.__module__)
    return [
        _rule_text(str(keyword.arg), keyword.value, source)
        for call in source.calls
        if _owner(call).lstrip("_") == name
        for keyword in call.keywords
    ]


class _Source(NamedTuple):
    """The text of a module, the functions in it, and the calls that give rules."""

    text: str
    functions: dict[str, ast.FunctionDef]
    calls: list[ast.Call]


@functools.cache
def _source_of(module: str) -> _Source:
    try:
        text = inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):  # made in a notebook or a console
        return _Source("", {}, [])
    tree = ast.parse(text)
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _owner(n)]
    return _Source(text, functions, calls)


def _owner(call: ast.Call) -> str:
    """The name before ``.vjp(…)``; empty for any other call."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and function.attr == "vjp"):
        return ""
    return function.value.id if isinstance(function.value, ast.Name) else ""


def _rule_text(argument: str, rule: ast.expr, source: _Source) -> str:
    """Of a lambda its body, of a function its statements."""
    if isinstance(rule, ast.Lambda):
        return f"{argument}: {_segment(source, rule.body)}"
    if not (isinstance(rule, ast.Name) and rule.id in source.functions):
        return f"{argument}: {_segment(source, rule)}"
    body = [n for n in source.functions[rule.id].body if not _is_docstring(n)]
    if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None:
        return f"{argument}: {_segment(source, body[0].value)}"
    return "\n".join([f"{argument}:", *("    " + _segment(source, n, "    ") for n in body)])


def _segment(source: _Source, node: ast.AST, indent: str = "") -> str:
    """The text of a node, its further lines moved to the left."""
    first, *rest = (ast.get_source_segment(source.text, node) or "").split("\n")
    moved = textwrap.dedent("\n".join(rest)).split("\n") if rest else []
    inner = "    " if isinstance(node, (ast.If, ast.For, ast.With, ast.FunctionDef)) else ""
    return "\n".join([first, *(f"{indent}{inner}{line}" if line else line for line in moved)])


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
