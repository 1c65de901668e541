"""The README's own code runs, in order, as a reader would type it."""

import pathlib
import re

import pytest

README = pathlib.Path(__file__).parent.parent / "README.md"


BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
PICTURES = ["cells.svg", "felt.png", "gradient.png", "graph.html"]


def test_python_examples_run() -> None:
    *blocks, pictures = BLOCKS
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert len(blocks) == 2
    assert names["Wh"].grad.shape == (8, 8)  # type: ignore[attr-defined]
    assert "tg.draw" in pictures


def test_the_example_of_pictures_runs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pygraphviz")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec("import numpy as np, tinygrad_rnn as tg", names)
    exec(compile(BLOCKS[-1], "README.md", "exec"), names)
    assert sorted(path.name for path in tmp_path.iterdir()) == PICTURES
    assert b"norm of the gradient" not in (tmp_path / "cells.svg").read_bytes()
    assert "4·(" in capsys.readouterr().out


def test_pictures_and_pages_exist() -> None:
    text = README.read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert "docs/design.md" in links
    for link in links:
        assert (README.parent / link).exists(), link


def test_inline_check_is_true() -> None:
    import numpy as np

    import tinygrad_rnn as tg

    assert "tg.gradcheck(tg.nn.LSTM(3, 4), np.random.randn(5, 3))" in README.read_text()
    assert tg.gradcheck(tg.nn.LSTM(3, 4), np.random.randn(5, 3))
