"""A headless Chromium to look at pages with, driven through a pipe by its DevTools protocol."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe", "--window-size=1400,900", "--hide-scrollbars",
)  # fmt: skip
# Chromium reads commands from descriptor 3 and writes to 4; they may be taken in this process.
_LAUNCH = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); " \
    "os.execv(sys.argv[3], sys.argv[3:])"  # fmt: skip


def find_chromium() -> str | None:
    """The path of a Chromium on this machine."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page in one Chromium. To be closed.

    Attributes:
        complaints: errors that the page has logged or thrown.
        requests: addresses that the page has asked for.
    """

    def __init__(self, program: str, profile: Path, patience: float = 60.0) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._patience = patience
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        theirs_in, self._out = _high_pipe()
        self._in, theirs_out = _high_pipe()
        pipes = [str(theirs_in), str(theirs_out)]
        options = [*_OPTIONS, f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, *pipes, program, *options],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        """Ends Chromium."""
        self._process.terminate()
        self._process.wait(self._patience)
        os.close(self._in)
        os.close(self._out)

    def send(self, method: str, **parameters: Any) -> Any:
        """The answer to a command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._next()
            if answer.get("id") != self._number:
                self._note(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def _next(self) -> Any:
        deadline = time.monotonic() + self._patience
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self._in, 1 << 20) if ready else b""
            if not data:
                raise TimeoutError("Chromium doesn't answer")
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event: Any) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            self.complaints.append(text)
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.complaints.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def open(self, path: Path) -> None:
        """Shows a file, and waits until it is there."""
        self.complaints.clear()
        self.requests.clear()
        self.send("Page.navigate", url=path.absolute().as_uri())
        deadline = time.monotonic() + self._patience
        while self.run("[document.readyState, location.protocol]") != ["complete", "file:"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} doesn't load")
            time.sleep(0.02)

    def run(self, script: str) -> Any:
        """The value of an expression in JavaScript, as plain data."""
        done = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"]["exception"]["description"])
        return done["result"].get("value")

    def middle(self, selector: str) -> tuple[float, float]:
        """The middle of the first element that a CSS selector names, in the window."""
        x, y = self.run(
            f"(() => {{ const r = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return x, y

    def hover(self, selector: str) -> None:
        self._mouse("mouseMoved", *self.middle(selector))

    def click(self, selector: str) -> None:
        x, y = self.middle(selector)
        self._mouse("mouseMoved", x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self._mouse(kind, x, y, button="left", clickCount=1)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self._mouse("mousePressed", *start, button="left", clickCount=1)
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        for x, y in (middle, end):
            self._mouse("mouseMoved", x, y, button="left", buttons=1)
        self._mouse("mouseReleased", *end, button="left", clickCount=1)

    def wheel(self, at: tuple[float, float], amount: float) -> None:
        self._mouse("mouseWheel", *at, deltaX=0, deltaY=amount)

    def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def press(self, key: str, text: str = "") -> None:
        """A key by its name, such as "Enter"; `text` is what it writes."""
        code = {"Enter": 13, "ArrowRight": 39, "ArrowLeft": 37, "Tab": 9}.get(key, 0)
        down = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
        self.send("Input.dispatchKeyEvent", type="keyDown", **down)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def write(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def look(self, **features: str) -> None:
        """The reader's wishes, such as ``prefers_color_scheme="dark"``; "print" as `media`."""
        media = features.pop("media", "")
        wishes = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.send("Emulation.setEmulatedMedia", media=media, features=wishes)

    def screenshot(self, path: Path) -> None:
        data = self.send("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def print_pdf(self, path: Path) -> None:
        data = self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
        path.write_bytes(base64.b64decode(data))


def _high_pipe() -> tuple[int, int]:
    """A pipe with descriptors that are in nobody's way."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return ends[0], ends[1]
