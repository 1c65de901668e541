"""The source of operations that NumPy has no function for, as a program shows it."""

from __future__ import annotations

import ast
import dis
import inspect
import textwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ...core.primitive import Primitive, registry
from .notation import CALLED, NotWritable

_KNOWN = frozenset({"np", "zip", "range", "bool", "float"})


def with_definitions(source: str) -> str:
    """A program's source, below that of the functions that it calls.

    Raises:
        NotWritable: if it uses a name that isn't such a function's.
    """
    code = compile(source, "<program of a recurrent step>", "exec")
    defined = {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_NAME"}
    asked: set[str] = set()
    for function in [part for part in code.co_consts if isinstance(part, CodeType)]:
        asked |= {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
        hidden = CALLED.intersection(function.co_varnames)
        if any(f"{name}(" in source for name in hidden):
            raise NotWritable(f"values have the names of operations: {sorted(hidden)}")
    found: dict[str, str] = {}
    for name in sorted(asked - defined - _KNOWN):
        if name not in (*CALLED, "sigmoid", "relu"):
            raise NotWritable(f"the program would use {name!r}, which nothing defines")
        _define(name, registry[name].forward, found)
    if not found:
        return source
    plain = [text for text in found.values() if not text.startswith("def ")]
    functions = [text for text in found.values() if text.startswith("def ")]
    return "\n\n\n".join([*(["\n".join(plain)] if plain else []), *functions, source])


def _define(name: str, meant: Any, found: dict[str, str]) -> None:
    """Adds the definition of a name, and before it those that it needs."""
    if name in found or name == "np":
        return
    if isinstance(meant, Primitive):
        meant = meant.forward
    if isinstance(meant, ModuleType):
        found[name] = f"import {meant.__name__}"
    elif isinstance(meant, FunctionType):
        tree = ast.parse(textwrap.dedent(inspect.getsource(meant))).body[0]
        assert isinstance(tree, ast.FunctionDef)
        for other in sorted({n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}):
            if other in meant.__globals__ and not _is_annotation(other, tree):
                _define(other, meant.__globals__[other], found)
        found[name] = _text(name, tree)
    elif isinstance(meant, (int, float, tuple)):
        found[name] = f"{name} = {meant!r}"
    else:
        raise NotWritable(f"{name} has no source of its own")


def _annotations(tree: ast.FunctionDef) -> list[ast.expr]:
    given = [*tree.args.args, *tree.args.kwonlyargs]
    found = [tree.returns, *(argument.annotation for argument in given)]
    return [annotation for annotation in found if annotation is not None]


def _is_annotation(name: str, tree: ast.FunctionDef) -> bool:
    """Whether a name stands in annotations and decorators alone."""
    aside = [*_annotations(tree), *tree.decorator_list]
    there = {id(n) for each in aside for n in ast.walk(each)}
    return all(id(n) in there for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name)


def _text(name: str, tree: ast.FunctionDef) -> str:
    """A function without decorators and annotations, with the first line of its docstring."""
    tree.name, tree.decorator_list, tree.returns = name, [], None
    for argument in (*tree.args.args, *tree.args.kwonlyargs):
        argument.annotation = None
    said = ast.get_docstring(tree)
    if said is not None:
        tree.body[0] = ast.Expr(ast.Constant(said.splitlines()[0]))
    return ast.unparse(ast.fix_missing_locations(tree))
