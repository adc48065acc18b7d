"""The screen of a VM: RFB over the websocket at 6080 (RFC 6143), and noVNC's page in a browser."""

from __future__ import annotations

import base64
import json
import shutil
import struct
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.system.tenants import Guest
from tests.system.waiting import until

CHROMIUM = shutil.which("chromium")


class Rfb:
    """As much of the protocol as it takes to see a screen. `socket` carries the bytes in pieces of any size."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.left = socket, b""

    def take(self, count: int) -> bytes:
        while len(self.left) < count:
            piece = self.socket.recv(timeout=20)
            assert isinstance(piece, bytes)
            self.left += piece
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def shake_hands(self) -> tuple[int, int, str]:
        """Width, height and name of the screen (7.1 to 7.3)."""
        assert self.take(12) == b"RFB 003.008\n"
        self.socket.send(b"RFB 003.008\n")
        kinds = self.take(self.take(1)[0])
        assert 1 in kinds  # None: the token was the password
        self.socket.send(b"\x01")
        assert self.take(4) == b"\0\0\0\0"
        self.socket.send(b"\x01")  # shared
        width, height, _, length = struct.unpack(">HH16sI", self.take(24))
        return width, height, self.take(length).decode()

    def picture(self, width: int, height: int) -> bytes:
        """The whole screen, raw, four bytes a pixel (7.5.3, 7.6.1)."""
        self.socket.send(struct.pack(">BxHi", 2, 1, 0))  # SetEncodings: raw
        self.socket.send(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        while self.take(1) != b"\0":
            raise AssertionError("not a picture")
        (count,) = struct.unpack(">xH", self.take(3))
        found = b""
        for _ in range(count):
            _, _, wide, high, encoding = struct.unpack(">HHHHi", self.take(12))
            assert encoding == 0
            found += self.take(wide * high * 4)
        return found


def console(vm: Guest) -> str:
    return str(vm.conn.compute.create_console(vm.id, "novnc")["url"])


def websocket(url: str) -> str:
    """Where noVNC's page will connect to: its `path` parameter."""
    parts = urllib.parse.urlsplit(url)
    path = urllib.parse.parse_qs(parts.query)["path"][0]
    return f"ws://{parts.netloc}/{path.lstrip('/')}"


def test_a_screen_over_the_websocket(vm: Guest) -> None:
    with connect(websocket(console(vm)), subprotocols=["binary"], proxy=None) as socket:
        rfb = Rfb(socket)
        width, height, name = rfb.shake_hands()
        assert width >= 640
        assert height >= 400
        assert vm.id in name
        picture = rfb.picture(width, height)
        assert len(picture) == width * height * 4
        assert len(set(picture)) > 1, "the screen is blank"


def test_two_can_look_at_once(vm: Guest) -> None:
    url = websocket(console(vm))
    with connect(url, proxy=None) as one, connect(url, proxy=None) as two:
        assert Rfb(one).shake_hands() == Rfb(two).shake_hands()


@pytest.mark.parametrize("token", ["", "00000000-0000-4000-8000-000000000000", "../../etc/passwd"])
def test_a_wrong_token_is_refused(vm: Guest, token: str) -> None:
    parts = urllib.parse.urlsplit(console(vm))
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{parts.netloc}/?token={urllib.parse.quote(token)}", proxy=None)
    assert refused.value.response.status_code == 403


COLOURS = """(() => {
    const canvas = document.querySelector("canvas");
    if (!canvas || !canvas.width) return 0;
    const data = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return new Set(data).size;
})()"""


class Browser:
    """A headless Chromium over its debugging protocol."""

    def __init__(self, home: Path, url: str) -> None:
        argv = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-proxy-server", "--remote-debugging-port=0", f"--user-data-dir={home}", url]  # fmt: skip
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        file = home / "DevToolsActivePort"
        port = until(lambda: file.exists() and file.read_text().split()[0], 60, "Chromium's port")
        page = until(lambda: self._page(int(port), url), 30, "Chromium's page")
        self.socket = connect(page, proxy=None, max_size=None)
        self.count = 0

    def _page(self, port: int, url: str) -> str:
        pages = requests.get(f"http://127.0.0.1:{port}/json", timeout=10).json()
        return next((page["webSocketDebuggerUrl"] for page in pages if page["url"] == url), "")

    def call(self, method: str, **params: object) -> Any:
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv(timeout=30))).get("id") != self.count:
            pass
        return answer["result"]

    def evaluate(self, script: str) -> Any:
        return self.call("Runtime.evaluate", expression=script)["result"].get("value")

    def close(self) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(20)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_screen(vm: Guest, tmp_path: Path) -> None:
    browser = Browser(tmp_path / "profile", console(vm))
    try:
        # Letters on black: a canvas of one colour is one that nothing was drawn on.
        until(lambda: browser.evaluate(COLOURS) > 1, 60, "something on the canvas", 0.5)
        shot = base64.b64decode(browser.call("Page.captureScreenshot")["data"])
        assert shot.startswith(b"\x89PNG")
        (tmp_path / "screen.png").write_bytes(shot)
    finally:
        browser.close()
