"""A headless Chromium, driven by its DevTools protocol, without any package."""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import time
import urllib.request

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 120  # seconds


class Page:
    """A page of the browser; `call` sends a command and waits for what it returns."""

    def __init__(self, url):
        host, path = url.removeprefix("ws://").split("/", 1)
        self._socket = socket.create_connection(host.split(":"), timeout=PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        while self._file.readline().strip():
            pass
        self._n, self.problems = 0, []

    def call(self, method, **params):
        self._n += 1
        data = json.dumps({"id": self._n, "method": method, "params": params}).encode()
        mask, n = os.urandom(4), len(data)
        size = bytes([128 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n)
        masked = bytes(x ^ mask[i % 4] for i, x in enumerate(data))
        self._socket.sendall(b"\x81" + size + mask + masked)
        while (answer := self._message()).get("id") != self._n:
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(answer["params"])
        assert "error" not in answer, answer
        return answer["result"]

    def _message(self):
        text = b""
        while True:
            first, n = self._file.read(2)
            if n == 126:
                (n,) = struct.unpack(">H", self._file.read(2))
            elif n == 127:
                (n,) = struct.unpack(">Q", self._file.read(8))
            text += self._file.read(n)
            if first & 128:
                return json.loads(text)

    def value(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression):
        end = time.monotonic() + PATIENCE
        while not (found := self.value(expression)):
            assert time.monotonic() < end, (expression, self.problems)
            time.sleep(0.02)
        return found

    def _middle(self, selector):
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y, width, height = self.value(f"(b => [b.x, b.y, b.width, b.height])({box})")
        return {"x": x + width / 2, "y": y + height / 2}

    def click(self, selector):
        place = self._middle(selector) | {"button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **place)

    def tap(self, selector):
        place = self._middle(selector)
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[place])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def opened(path, folder):
    """The page of a file; what it saves goes to a folder."""
    flags = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1100,800",
    ]
    flags += ["--remote-debugging-port=0", f"--user-data-dir={folder}/browser"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([PROGRAM, *flags, "about:blank"], **quiet)
    try:
        port = pathlib.Path(folder, "browser", "DevToolsActivePort")
        end = time.monotonic() + PATIENCE
        while not port.exists() or not port.read_text().strip():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        at = f"http://127.0.0.1:{port.read_text().split()[0]}/json"
        while True:
            with urllib.request.urlopen(at, timeout=PATIENCE) as answer:
                pages = [x for x in json.load(answer) if x["type"] == "page"]
            if pages:
                break
            assert time.monotonic() < end
        page = Page(pages[0]["webSocketDebuggerUrl"])
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.call(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder)
        )
        page.call("Page.navigate", url=path.resolve().as_uri())
        page.until("document.readyState === 'complete'")
        yield page
    finally:
        process.terminate()
        process.wait()
