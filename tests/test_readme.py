"""The README's own code runs, in order, as a reader would type it."""

import pathlib
import re

README = pathlib.Path(__file__).parent.parent / "README.md"


def test_python_examples_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert len(blocks) == 2
    assert names["Wh"].grad.shape == (8, 8)  # type: ignore[attr-defined]


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
