"""A page as a browser shows it, and what tests ask of it."""

from __future__ import annotations

import json
from pathlib import Path

from browser import Browser

from tinygrad_rnn.drawing.page import page
from tinygrad_rnn.drawing.records import GraphData


class Shown:
    """A page in the browser, and what can be asked of it."""

    def __init__(self, browser: Browser, g: GraphData, path: Path, title: str = "Graph") -> None:
        path.write_text(page(g, title), encoding="utf-8")
        self.browser = browser
        browser.look()
        browser.open(path)

    def boxes(self, selector: str) -> dict[str, tuple[float, float, float, float]]:
        """By label: left, top, right and bottom of what a selector names, in the window."""
        found = self.browser.run(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => "
            "{ const r = e.getBoundingClientRect(); return [(e.dataset.key ?? e.dataset.box) + ' ' "
            "+ e.getAttribute('aria-label'), [r.left, r.top, r.right, r.bottom]]; })"
        )
        return {label: tuple(box) for label, box in found}

    def labels(self, selector: str = ".unit") -> list[str]:
        return [label.partition(" ")[2] for label in self.boxes(selector)]

    def key(self, start: str, nth: int = 0) -> str:
        """The selector of the unit or header whose label starts so."""
        keys = self.browser.run(
            "[...document.querySelectorAll('[data-key]')].filter((e) => e.getAttribute("
            f"'aria-label').startsWith({json.dumps(start)})).map((e) => e.dataset.key)"
        )
        return f'[data-key="{keys[nth]}"]'

    def panel(self) -> str:
        return self.browser.run("document.getElementById('panel').innerText")

    def slide(self, position: int) -> None:
        self.browser.run(
            f"(() => {{ const s = document.getElementById('slider'); s.value = {position};"
            "s.dispatchEvent(new Event('input')); })()"
        )

    def end(self) -> int:
        return int(self.browser.run("document.getElementById('slider').max"))

    def overlaps(self) -> list[tuple[str, str]]:
        """Units that stand in each other's way, or out of the box they belong to."""
        units = list(self.boxes(".unit").items())
        return [
            (a, b)
            for i, (a, p) in enumerate(units)
            for b, q in units[i + 1 :]
            if p[0] < q[2] and q[0] < p[2] and p[1] < q[3] and q[1] < p[3]
        ]

    def crossing(self) -> list[str]:
        """Units and boxes that stand partly in a box and partly outside."""
        boxes = list(self.boxes(".box").values())
        slack = 0.01
        return [
            label
            for label, (left, top, right, bottom) in self.boxes(".unit, .box").items()
            for x, y, to_x, to_y in boxes
            if left < to_x - slack and x < right - slack and top < to_y - slack
            and y < bottom - slack
            and not (x <= left + slack and right <= to_x + slack
                     and y <= top + slack and bottom <= to_y + slack)
            and not (left <= x + slack and to_x <= right + slack
                     and top <= y + slack and to_y <= bottom + slack)
        ]  # fmt: skip
