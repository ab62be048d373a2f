"""A headless Chromium by its own protocol over a pipe: enough to open a page, look at it and take its picture.

No package drives it, and nothing listens on a port. A test that needs one is skipped, with the reason, where none is.

    usage: python3 -m tests.browser      prints which one is here, or ends with 1
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
LONGEST = 60.0  # seconds for one answer


def program() -> str | None:
    """What `ANYTIER_BROWSER` names, else the first that is on the path."""
    return os.environ.get("ANYTIER_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. `requests` are the addresses of all that it asked for, `errors` what it complained of."""

    def __init__(self, out: int, into: int) -> None:
        self._out, self._into, self._numbers, self._held = out, into, itertools.count(1), b""
        self.requests: list[str] = []
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """The answer's result. RuntimeError for an error, or for none in time."""
        number = next(self._numbers)
        asked: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session := getattr(self, "_session", None):
            asked["sessionId"] = session
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        until = time.monotonic() + LONGEST
        while True:
            said = self._next(until, method)
            if said.get("id") == number:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return said["result"]
            self._note(said)

    def open(self, file: Path, width: int, height: int, theme: Literal["light", "dark"] = "light") -> None:
        """A file at a size in a theme; narrow ones are a phone's."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.media(theme)
        self.requests.clear()
        self.call("Page.navigate", url=file.resolve().as_uri())
        until = time.monotonic() + LONGEST
        while self.js("document.readyState") != "complete" or self.js("location.href") == "about:blank":
            assert time.monotonic() < until, "the page does not load"
            time.sleep(0.05)

    def media(self, theme: Literal["light", "dark"], kind: Literal["screen", "print"] = "screen") -> None:
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", media=kind, features=features)

    def js(self, expression: str) -> Any:
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def picture(self, file: Path, whole: bool = True) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])

    def _next(self, until: float, method: str) -> dict[str, Any]:
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._into], [], [], max(until - time.monotonic(), 0))
            part = os.read(self._into, 1 << 16) if ready else b""
            if not part:
                raise RuntimeError(f"{method}: no answer")
            self._held += part
        first, _, self._held = self._held.partition(b"\0")
        said: dict[str, Any] = json.loads(first)
        return said

    def _note(self, said: dict[str, Any]) -> None:
        params = said.get("params", {})
        if said.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif said.get("method") == "Log.entryAdded":
            self.errors.append(params["entry"]["text"])
        elif said.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))


@contextmanager
def browser(found: str, folder: Path) -> Iterator[Browser]:
    """`folder` is where it keeps what it has to. It is gone afterwards, with all its processes."""
    asked, out = os.pipe()
    into, answered = os.pipe()

    def wired() -> None:
        """It reads from 3 and writes to 4; both are out of the way of these first."""
        high = [os.dup2(asked, 50), os.dup2(answered, 51)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    flags = ["--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    argv = [found, *flags, "--no-first-run", f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=wired,
        start_new_session=True,
    )
    os.close(asked)
    os.close(answered)
    try:
        yield Browser(out, into)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(out)
        os.close(into)


if __name__ == "__main__":
    print(program() or "")
    sys.exit(0 if program() else 1)
