"""The pages under docs: their code runs, their links lead somewhere, the generated one is fresh."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg

DOCS = pathlib.Path(__file__).parent.parent / "docs"


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.usefixtures("own_primitives")
def test_gradients_page_runs():
    names: dict[str, object] = {}
    for block in blocks("gradients.md"):
        exec(compile(block, "gradients.md", "exec"), names)
    assert names["H"].shape == (3, 3)  # type: ignore[attr-defined]
    assert "swish" in names


def test_recurrent_page_runs():
    names: dict[str, object] = {}
    for block in blocks("recurrent.md"):
        exec(compile(block, "recurrent.md", "exec"), names)
    assert names["penalty"].requires_grad  # type: ignore[attr-defined]


def test_program_page_runs():
    names: dict[str, object] = {}
    for block in blocks("program.md"):
        exec(compile(block, "program.md", "exec"), names)
    assert names["penalty"].requires_grad  # type: ignore[attr-defined]


def test_training_page_runs():
    names: dict[str, object] = {}
    for block in blocks("training.md"):
        exec(compile(block, "training.md", "exec"), names)
    assert len(names["written"]) == 40  # type: ignore[arg-type]


def test_inside_page_runs(capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("matplotlib")
    names: dict[str, object] = {}
    for block in blocks("inside.md"):
        exec(compile(block, "inside.md", "exec"), names)
    assert names["connectivity"].shape == (27, 27)  # type: ignore[attr-defined]
    (quoted,) = re.findall(r"```text\n(.*?)```", (DOCS / "inside.md").read_text(), re.DOTALL)
    assert quoted == capsys.readouterr().out, "the summary in docs/inside.md is out of date"


def pieces(source: str) -> list[str]:
    """A program as the page quotes it: cut before each function, before its loop and after it."""
    lines = re.split(r"^(?=def |    # )", source, flags=re.MULTILINE)
    functions = [k for k, line in enumerate(lines) if line.startswith("def ")]
    for k in reversed(functions):  # a head and the first part of its body are one piece
        if lines[k + 1 : k + 2] and lines[k + 1].startswith("    #"):
            lines[k : k + 2] = ["".join(lines[k : k + 2])]
    return [line.rstrip("\n") + "\n" for line in lines if line.strip()]


def test_program_page_quotes_what_runs():
    quoted = re.findall(r"```py\n(.*?)```", (DOCS / "program.md").read_text(), re.DOTALL)
    made = pieces(str(tg.rnn.program(tg.nn.LSTM(3, 5))))
    for place, (old, new) in enumerate(zip(quoted, made, strict=True)):
        assert old == new, f"the piece {place} of the program in docs/program.md is out of date"


@pytest.mark.parametrize("page", sorted(p.name for p in DOCS.glob("*.md")))
def test_links_lead_somewhere(page: str):
    for link in re.findall(r"\]\(([^)#]+)\)", (DOCS / page).read_text()):
        assert "://" in link or (DOCS / link).exists(), link


@pytest.mark.skipif(not hasattr(np, "unstack"), reason="the page names a function of NumPy 2.1")
def test_page_of_operations_is_what_the_code_says():
    command = [sys.executable, str(DOCS / "make_reference.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
