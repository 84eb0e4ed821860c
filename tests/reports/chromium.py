"""Headless Chromium, driven by its DevTools protocol over a pipe (`--remote-debugging-pipe`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

__all__ = ["Browser", "Tab", "find_chromium", "run_chromium"]

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-extensions", "--force-color-profile=srgb", "--remote-debugging-pipe"),
)
#: Seconds to wait for one reply of the browser.
_TIMEOUT_SECONDS = 120.0

#: The browser reads file descriptor 3 and writes to 4; this program moves the pipes there.
_LAUNCHER = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

#: key -> (code, Windows virtual key code, text)
_KEYS = {
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "Home": ("Home", 36, ""),
    "End": ("End", 35, ""),
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Tab": ("Tab", 9, ""),
}


def find_chromium() -> str | None:
    """The path of the program; None if there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Browser:
    """The browser process and the pipe to it."""

    def __init__(self, program: str, folder: Path) -> None:
        to_browser, self._write_fd = os.pipe()
        self._read_fd, from_browser = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, str(to_browser), str(from_browser),
             program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._last_id = 0
        self._buffer = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that arrive meanwhile are kept."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write_fd, json.dumps(message).encode() + b"\0")
        while True:
            message = self._read_message()
            if message.get("id") == self._last_id:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def wait_for_event(self, method: str, session: str) -> None:
        """Wait for an event of a session; events that arrive before it are kept."""
        while not any(
            each.get("method") == method for each in self.events if each.get("sessionId") == session
        ):
            self.events.append(self._read_message())

    def _read_message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select([self._read_fd], [], [], _TIMEOUT_SECONDS)
            assert ready, f"the browser says nothing for {_TIMEOUT_SECONDS} s"
            piece = os.read(self._read_fd, 1 << 20)
            assert piece, "the browser has ended"
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def close(self) -> None:
        os.close(self._write_fd)  # the browser exits when the pipe closes
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        os.close(self._read_fd)


class Tab:
    """A page in the browser."""

    def __init__(self, browser: Browser, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        self._browser = browser
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Performance"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.emulate_media(dark=dark)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command to this page and return its result."""
        return self._browser.call(method, self._session, **params)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip

    def emulate_media(self, *, dark: bool = False, media: str = "") -> None:
        """Emulate a colour scheme and a medium ("print", or the screen)."""
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def load_file(self, file: Path) -> None:
        """Load a file and wait until it is complete."""
        self.load_url(file.as_uri())

    def load_url(self, url: str) -> None:
        """Load a page and wait until it is complete."""
        self.call("Page.navigate", url=url)
        self._browser.wait_for_event("Page.loadEventFired", self._session)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        message = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in message, message["exceptionDetails"]
        return message["result"].get("value")

    def wait_until(self, expression: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            self.evaluate("new Promise(done => setTimeout(done, 10))")

    def evaluate_in_frame(self, expression: str) -> Any:
        """The value of an expression in the page's only frame, in which scripts of the page cannot look."""
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while not (frames := [each for each in self._frame_targets() if each["url"] != "about:blank"]):
            assert time.monotonic() < deadline, "there is no frame"
        target = frames[-1]["targetId"]
        session = self._browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        try:
            message = self._browser.call(
                "Runtime.evaluate", session, expression=expression, returnByValue=True, awaitPromise=True
            )
        finally:
            self._browser.call("Target.detachFromTarget", sessionId=session)
        assert "exceptionDetails" not in message, message["exceptionDetails"]
        return message["result"].get("value")

    def wait_for_frame_text(self, text: str) -> str:
        """Wait until the frame shows a text, and return all that it shows."""
        deadline = time.monotonic() + 2 * _TIMEOUT_SECONDS
        shown = ""
        while text not in shown:
            assert time.monotonic() < deadline, f"the frame never showed {text!r}: {shown}"
            shown = self.evaluate_in_frame(
                "document.readyState === 'complete' ? document.body.innerText : ''"
            )
        return shown

    def _frame_targets(self) -> list[dict[str, Any]]:
        found = self._browser.call("Target.getTargets", filter=[{"type": "iframe", "exclude": False}])
        return [
            each for each in found["targetInfos"] if each.get("parentFrameId") or each["type"] == "iframe"
        ]

    def press(self, key: str) -> None:
        code, number, text = _KEYS.get(key, ("", ord(key[0].upper()), key))
        key_event = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        kind = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=kind, text=text, **key_event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key_event)

    def screenshot(self, file: Path, *, full_page: bool = False) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full_page)
        file.write_bytes(b64decode(shot["data"]))

    @property
    def requested_urls(self) -> list[str]:
        """URLs that the page requested."""
        return [each["params"]["request"]["url"] for each in self._events_of("Network.requestWillBeSent")]

    @property
    def console_errors(self) -> list[str]:
        """Console messages: script errors and violations of the content security policy."""
        found = [each["params"]["entry"]["text"] for each in self._events_of("Log.entryAdded")]
        found += [
            str(each["params"]["exceptionDetails"]) for each in self._events_of("Runtime.exceptionThrown")
        ]
        return found

    def _events_of(self, method: str) -> Iterator[dict[str, Any]]:
        return (
            each
            for each in self._browser.events
            if each.get("method") == method and each.get("sessionId") == self._session
        )

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)


@contextmanager
def run_chromium(program: str, folder: Path) -> Iterator[Browser]:
    """A browser with its own profile in `folder`."""
    browser = Browser(program, folder)
    try:
        yield browser
    finally:
        browser.close()
