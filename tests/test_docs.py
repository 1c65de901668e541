"""The pages under docs: their code runs, their links lead somewhere, the generated one is fresh."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

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


@pytest.mark.parametrize("page", sorted(p.name for p in DOCS.glob("*.md")))
def test_links_lead_somewhere(page: str):
    for link in re.findall(r"\]\(([^)#]+)\)", (DOCS / page).read_text()):
        assert "://" in link or (DOCS / link).exists(), link


@pytest.mark.skipif(not hasattr(np, "unstack"), reason="the page names a function of NumPy 2.1")
def test_page_of_operations_is_what_the_code_says():
    command = [sys.executable, str(DOCS / "make_reference.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
