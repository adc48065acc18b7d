"""Clouds with several stores, a real S3 server, and a web server that misbehaves on demand."""

from __future__ import annotations

import contextlib
import http.server
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec

from onestack.config import Image, ImageStore, ImportFilter

LOCAL = ImportFilter(allowed_ports=[], allowed_networks=["127.0.0.0/8"])


def with_image(cloud: Any, **values: Any) -> None:
    """Before the service is built: the `[image]` table with these values."""
    cloud.settings = msgspec.structs.replace(cloud.settings, image=Image(**values))


def two_files(cloud: Any) -> dict[str, ImageStore]:
    return {
        "file": ImageStore(type="file"),
        "second": ImageStore(type="file", path=str(cloud.settings.path("second")), description="another disk"),
    }


@contextlib.contextmanager
def s3_server() -> Iterator[ImageStore]:
    """moto's server as a process of its own; the store that it is."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
        threading.Thread(target=process.stdout.read, daemon=True).start()
        endpoint = f"http://127.0.0.1:{port}"
        for _ in range(100):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5):
                break
            time.sleep(0.1)
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s"
        )
        client.create_bucket(Bucket="images")
        yield ImageStore(
            type="s3", endpoint=endpoint, bucket="images", access_key="a", secret_key="secret-of-the-tests"
        )
    finally:
        process.terminate()
        process.wait(10)


def in_bucket(store: ImageStore) -> list[str]:
    """Keys of the objects and of the uploads that are not complete."""
    client = boto3.client(
        "s3", endpoint_url=store.endpoint, region_name="us-east-1", aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
    )  # fmt: skip
    objects = client.list_objects_v2(Bucket=store.bucket).get("Contents", [])
    uploads = client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", [])
    return [found["Key"] for found in [*objects, *uploads]]


class Web(http.server.ThreadingHTTPServer):
    """Serves `pages`; `cut` bytes into the first answer of a page the connection breaks, once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.cut: dict[str, int] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Web:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self._serve(body=True)

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def _serve(self, *, body: bool) -> None:
        web = self.server
        web.asked.append((self.path, self.headers.get("Range")))
        if self.path in web.redirects:
            self.send_response(302)
            self.send_header("Location", web.redirects[self.path])
            self.end_headers()
            return
        data = web.pages.get(self.path)
        if data is None:
            self.send_error(404)
            return
        first = int(self.headers["Range"].split("=")[1].split("-")[0]) if "Range" in self.headers else 0
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        self.send_header("ETag", '"one"')
        self.end_headers()
        if body:
            cut = web.cut.pop(self.path, None)
            self.wfile.write(data[first:] if cut is None else data[first:cut])
            if cut is not None:
                self.close_connection = True

    def log_message(self, *_args: Any) -> None:
        """Nothing is printed."""
