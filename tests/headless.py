"""A headless Chromium, driven through a pipe by the protocol of its developer tools: real keys, a real mouse."""

import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE_SEC = 60
PATH = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page of a browser that runs until ``close``."""

    def __init__(self) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        from_us, self._out = os.pipe()
        self._in, to_us = os.pipe()
        # Chromium reads commands from the file number 3 and writes answers to 4; bash puts the pipes there.
        plumbing = f'exec "$@" 3<&{from_us} 4>&{to_us}'
        command = ["bash", "-c", plumbing, "bash", PATH, *FLAGS, f"--user-data-dir={self._profile.name}"]
        self._browser = subprocess.Popen(command, stderr=subprocess.DEVNULL, pass_fds=(from_us, to_us))
        os.close(from_us), os.close(to_us)
        self._unread = b""
        self._count, self._session, self.events = itertools.count(1), None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _read(self) -> dict:
        """Return the next message; each ends with a zero byte."""
        while b"\0" not in self._unread:
            if not select.select([self._in], [], [], PATIENCE_SEC)[0]:
                raise TimeoutError(f"Chromium has said nothing for {PATIENCE_SEC} seconds.")
            piece = os.read(self._in, 1 << 16)
            if not piece:
                raise EOFError("Chromium has ended.")
            self._unread += piece
        text, _, self._unread = self._unread.partition(b"\0")
        return json.loads(text)

    def call(self, method: str, **params) -> dict:
        """Send a command and return its result; what happens meanwhile is kept in ``events``."""
        number = next(self._count)
        message = {"id": number, "method": method, "params": params}
        os.write(
            self._out, json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0"
        )
        while (answer := self._read()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, address: str) -> None:
        """Open a page and wait until it has loaded."""
        self.events.clear()
        self.call("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def run(self, program: str):
        """Return the value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=program, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, such as ArrowRight, a letter or a space, where the focus is."""
        codes = {"ArrowLeft": 37, "ArrowRight": 39, "Tab": 9, "Escape": 27, "Enter": 13}
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        at = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key) or ord(key.upper())}
        self.call("Input.dispatchKeyEvent", type="keyDown", **at, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **at)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place of the window, move it to another, and let it go."""
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def errors(self) -> list[str]:
        """Return what the page complained of since it was opened."""
        told = ("Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event["method"] in told]

    def close(self) -> None:
        """End the browser."""
        self._browser.terminate()
        self._browser.wait()
        os.close(self._in), os.close(self._out)
        self._profile.cleanup()
