"""Writes docs/operations.md from the registry: every operation, its equation, its rules.

    python docs/make_reference.py            # write the page
    python docs/make_reference.py --check    # fail if the page isn't what the code says

It fails when an operation has no docstring, or no row in the tests' op table.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from tinygrad_rnn import ops
from tinygrad_rnn.core.primitive import Primitive, numpy_functions
from tinygrad_rnn.drawing.page.rules import rules_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "operations.md"

INTRODUCTION = """\
# Operations

Every operation as a function `tg.name`; where NumPy has it, as NumPy's own function on Tensors.
This page is made from the code by `python docs/make_reference.py`.

Under each equation stand its rules as the code has them: from `g`, the gradient of the final result
with respect to `out`, the gradient with respect to the argument. Gradients are summed over the axes
that broadcasting added; rules don't mention it. An operation without rules has no gradient, or is
made of others and gets it from them.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    text = page()
    if check:
        if PAGE.read_text() != text:
            print(f"{PAGE} is not what the code says: python docs/make_reference.py")
            return 1
        return 0
    PAGE.write_text(text)
    print(f"wrote {PAGE}: {text.count(chr(10) + '### ')} operations")
    return 0


def page() -> str:
    """The whole page.

    Raises:
        ValueError: naming the operations without a docstring or a row in the op table.
    """
    tested = tested_operations()
    faults = []
    parts = [INTRODUCTION]
    for module in kinds():
        parts.append(f"## {(module.__doc__ or '').splitlines()[0].rstrip('.')}\n")
        for name in module.__all__:
            operation = getattr(module, name)
            if operation.__name__ != name:
                continue  # another name of an operation: it stands with that one
            if not inspect.getdoc(operation):
                faults.append(f"{name} has no docstring")
                continue
            if name not in tested and name not in ("dropout",):
                faults.append(f"{name} has no row in the op table")
            parts.append(entry(name, operation, module))
    if faults:
        raise ValueError("; ".join(faults))
    return "\n".join(parts)


def kinds() -> list[ModuleType]:
    """The files of operations, in the order in which `ops` names them."""
    tree = ast.parse(Path(ops.__file__).read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    names = [i.module or i.names[0].name for i in imports]
    return [importlib.import_module(f"tinygrad_rnn.ops.{name}") for name in names]


def tested_operations() -> set[str]:
    """The names of the rows in the tests' op table."""
    sys.path.insert(0, str(ROOT / "tests"))
    table = importlib.import_module("operation_table")
    files = sorted((ROOT / "tests").glob("rows_*.py"))
    rows = [*table.TABLE, *(r for f in files for r in importlib.import_module(f.stem).ROWS)]
    return {row.operation for row in rows}


def entry(name: str, operation: Any, module: ModuleType) -> str:
    """One operation: heading, equation and conventions, rules, NumPy's names."""
    home = "linalg." if "decompositions" in module.__name__ else ""
    lines = [
        f"### {home}{name}{signature(operation)}\n",
        *paragraphs(inspect.getdoc(operation) or ""),
    ]
    twins = numpy_names(operation)
    rules = rules_of(primitive_of(name, operation))
    if rules:
        lines.append("```python\n" + "\n".join(rules) + "\n```\n")
    others = [n for n in module.__all__ if getattr(module, n) is operation and n != name]
    if others:
        lines.append(f"Also: {', '.join(f'`tg.{n}`' for n in others)}\n")
    if twins:
        lines.append(f"NumPy: {', '.join(f'`{twin}`' for twin in twins)}\n")
    return "\n".join(lines)


def signature(operation: Any) -> str:
    function = inspect.unwrap(operation)
    parameters = inspect.signature(function).parameters.values()
    plain = [p.replace(annotation=p.empty, default=shown(p.default)) for p in parameters]
    return str(inspect.Signature(plain))


def shown(default: Any) -> Any:
    """A default value, without an address in its text."""
    return _Ellipsis() if " at 0x" in repr(default) else default


class _Ellipsis:
    def __repr__(self) -> str:
        return "…"


def paragraphs(doc: str) -> list[str]:
    """The equation as code, the examples as code, the rest as it stands."""
    equation, _, rest = doc.partition("\n")
    found = [f"{equation}\n" if "`" in equation else f"`{equation}`\n"]
    for block in rest.strip().split("\n\n"):
        if block.lstrip().startswith(">>>"):
            found.append(f"```python\n{textwrap.dedent(block)}\n```\n")
        elif block.strip():
            found.append(f"{block}\n")
    return found


def primitive_of(name: str, operation: Any) -> str:
    """The name of the primitive behind a public name: itself, or the one of the same name."""
    return operation.name if isinstance(operation, Primitive) else name


def numpy_names(operation: Any) -> list[str]:
    found = []
    for function, ours in numpy_functions.items():
        if ours is operation:
            home = getattr(function, "__module__", "numpy").replace("numpy", "np", 1)
            home = "np.linalg" if "linalg" in home else "np"
            found.append(f"{home}.{function.__name__}")
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    sys.exit(main())
