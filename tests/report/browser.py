"""A browser to open pages in: headless Chromium, driven through the WebDriver protocol."""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
DRIVER = shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The name by which the protocol refers to an element."""

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
KEYS = {"Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"}
KEYS |= {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004"}


class Browser:
    """One window."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """A command of the protocol; returns its value."""
        data = json.dumps(content or {}).encode() if method == "POST" else None
        request = Request(self.address + path, data, method=method)
        try:
            with urlopen(request, timeout=300) as answer:
                return json.load(answer)["value"]
        except HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from error

    def open(self, page: Path) -> None:
        """Opens a file."""
        self.ask("POST", "/url", {"url": page.as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function's body returns in the page."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector: str) -> None:
        """A click on the first element that the selector finds, as the pointer makes it."""
        at_once = {"behavior": "instant", "block": "center"}
        self.run(
            "document.querySelector(arguments[0]).scrollIntoView(arguments[1])", selector, at_once
        )
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        self.ask("POST", f"/element/{found[ELEMENT]}/click")

    def type(self, *keys: str) -> None:
        """Keys, one after the other, into whatever has the focus."""
        strokes = [
            {"type": kind, "value": KEYS.get(key, key)}
            for key in keys
            for kind in ("keyDown", "keyUp")
        ]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": strokes}]})

    def resize(self, width: int, height: int) -> None:
        """Makes the page's own area so large, as on a device of that size."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.control("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """``light`` or ``dark``: what the system asks pages for."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.control("Emulation.setEmulatedMedia", {"features": [feature]})

    def control(self, command: str, parameters: dict[str, Any]) -> Any:
        """A command of Chromium's own protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screenshot(self, path: Path) -> None:
        """What the window shows."""
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        """What the console has been told of errors and warnings since the last call."""
        entries = self.ask("POST", "/se/log", {"type": "browser"})
        return [f"{entry['level']}: {entry['message']}" for entry in entries]


@contextmanager
def browser() -> Iterator[Browser]:
    """A window of a browser of its own, which is closed at the end."""
    assert CHROMIUM
    assert DRIVER
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [DRIVER, f"--port={port}"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        session = _begin(address)
        window = Browser(f"{address}/session/{session}")
        try:
            yield window
        finally:
            window.ask("DELETE", "")
    finally:
        driver.terminate()
        driver.wait(timeout=30)


def _begin(address: str) -> str:
    """Opens a session as soon as the driver answers."""
    options = {"binary": CHROMIUM, "args": ARGUMENTS}
    wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    content = {"capabilities": {"alwaysMatch": wanted}}
    for _ in range(100):
        try:
            return str(Browser(address).ask("POST", "/session", content)["sessionId"])
        except URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.1)
    raise TimeoutError("the browser's driver does not answer")
