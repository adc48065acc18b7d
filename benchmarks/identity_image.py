"""Figures of identity and image: tokens, long lists, and an image of 1 GiB up and down beside `cp` and `sha512sum`.

    eval "$(./onestack openrc)"; python benchmarks/identity_image.py --pid server=PID [--users 10000] [--size-mb 1024]

Prints one JSON object; `--pid` and `calibration` as in api.py. What it makes is removed at the end. The file that is
uploaded lies in --directory, which should be on the disk that the images are on. Any OpenStack will do.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api import Bench, calibration
from client import Cloud, memory

BLOCK = 1 << 20  # bytes


class Figures(Bench):
    def tokens(self) -> None:
        cloud = self.cloud
        url = f"{cloud.identity}/auth/tokens"
        identity = {"methods": ["token"], "token": {"id": cloud.token}}
        body = {"auth": {"identity": identity, "scope": {"project": {"id": cloud.project_id}}}}
        self.time("identity.token_password", lambda: cloud.raw("POST", url, cloud.password_body), 40, 3)
        self.time("identity.token_token", lambda: cloud.raw("POST", url, body))
        self.time("identity.token_validate", lambda: cloud.raw("GET", url, headers={"X-Subject-Token": cloud.token}))

    def lists(self, kind: str, counts: list[int], path: str) -> list[str]:
        """Lists of so many users or projects in a domain of their own; the ids that were made."""
        made: list[str] = []
        for count in counts:
            begin = time.perf_counter()
            new = range(len(made), count)
            for number in new:
                body = {kind: {"name": f"bench-{number}", "domain_id": self.domain}}
                made.append(self.cloud.call("POST", "identity", f"/{kind}s", body)[kind]["id"])
            each = (time.perf_counter() - begin) / max(len(new), 1) * 1000
            self.put(f"identity.{kind}_create_to_{count}", {"mean": round(each, 2)})
            self.get(f"identity.{kind}s_{count}", "identity", path, 15 if count >= 1000 else 100)
        return made

    def images(self, count: int) -> list[str]:
        body = {"disk_format": "raw", "container_format": "bare"}
        made = [
            self.cloud.call("POST", "image", "/images", body | {"name": f"bench-{number}", "tags": ["bench"]})["id"]
            for number in range(count)
        ]
        self.get(f"image.list_{count}", "image", f"/images?limit={count}&tag=bench", 15)
        self.get("image.list_page", "image", "/images?tag=bench", 50)
        self.get("image.show", "image", f"/images/{made[0]}")
        return made

    def data(self, file: Path, pids: dict[str, int]) -> None:
        """Best of three, in MB/s; the ratio is that of the times to `cp` (with fsync) and to `sha512sum`."""
        size = file.stat().st_size
        copy = best(
            lambda: subprocess.run(["dd", f"if={file}", f"of={file}.copy", "bs=1M", "conv=fsync", "status=none"])
        )
        digest = best(lambda: subprocess.run(["sha512sum", str(file)], stdout=subprocess.DEVNULL))
        before = memory(pids)
        up, image = self.upload(file)
        down = best(lambda: self.download(image, size))
        self.cloud.call("DELETE", "image", f"/images/{image}")
        for name, seconds in (("cp", copy), ("sha512sum", digest), ("upload", up), ("download", down)):
            figures = {"mb_s": round(size / seconds / 1e6), "seconds": round(seconds, 2)}
            if name == "upload":
                figures |= {"times_cp": round(seconds / copy, 2), "times_sha512sum": round(seconds / digest, 2)}
            if name == "download":
                figures |= {"times_cp": round(seconds / copy, 2)}
            self.put(f"image.{name}_{size >> 20}MiB", figures)
        after = memory(pids)
        self.put("memory_growth_mb", {name: round(after[name]["rss"] - before[name]["rss"], 1) for name in pids})

    def upload(self, file: Path) -> tuple[float, str]:
        """The best time of three, and the last image."""
        times, image = [], ""
        for _ in range(3):
            if image:
                self.cloud.call("DELETE", "image", f"/images/{image}")
            body = {"name": "bench-data", "disk_format": "raw", "container_format": "bare"}
            image = self.cloud.call("POST", "image", "/images", body)["id"]
            connection = self.connection()
            headers = {"X-Auth-Token": self.cloud.token, "Content-Type": "application/octet-stream",
                       "Content-Length": str(file.stat().st_size)}  # fmt: skip
            begin = time.perf_counter()
            with file.open("rb") as data:
                connection.request("PUT", self.path(image), data, headers)
                answer = connection.getresponse()
                answer.read()
            times.append(time.perf_counter() - begin)
            if answer.status != 204:
                raise SystemExit(f"upload: {answer.status}")
        return min(times), image

    def download(self, image: str, size: int) -> None:
        connection = self.connection()
        connection.request("GET", self.path(image), headers={"X-Auth-Token": self.cloud.token})
        answer = connection.getresponse()
        buffer, got = bytearray(BLOCK), 0
        while count := answer.readinto(buffer):
            got += count
        if got != size:
            raise SystemExit(f"download: {got} bytes instead of {size}")

    def path(self, image: str) -> str:
        base = urllib.parse.urlsplit(self.cloud.catalog["image"]).path.removesuffix("/v2")
        return f"{base}/v2/images/{image}/file"

    def connection(self) -> http.client.HTTPConnection:
        netloc = urllib.parse.urlsplit(self.cloud.catalog["image"]).netloc
        return http.client.HTTPConnection(netloc, timeout=600, blocksize=BLOCK)

    def run(self, options: argparse.Namespace, pids: dict[str, int]) -> None:
        self.tokens()
        body = {"domain": {"name": f"bench-{os.getpid()}"}}
        self.domain = self.cloud.call("POST", "identity", "/domains", body)["domain"]["id"]
        images: list[str] = []
        try:
            self.lists("project", [10, 1000], f"/projects?domain_id={self.domain}")
            counts = [count for count in (10, 1000) if count < options.users] + [options.users]
            self.lists("user", counts, f"/users?domain_id={self.domain}")
            images = self.images(1000)
        finally:
            for image in images:
                self.cloud.call("DELETE", "image", f"/images/{image}")
            self.cloud.call("PATCH", "identity", f"/domains/{self.domain}", {"domain": {"enabled": False}})
            self.cloud.call("DELETE", "identity", f"/domains/{self.domain}")
        with tempfile.TemporaryDirectory(dir=options.directory) as folder:
            file = Path(folder, "data")
            with file.open("wb") as out:
                for _ in range(options.size_mb):
                    out.write(os.urandom(BLOCK))
            self.data(file, pids)


def best(function: Callable[[], Any]) -> float:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--size-mb", type=int, default=1024)
    parser.add_argument("--directory", default="/var/tmp")
    parser.add_argument("--pid", action="append", default=[], metavar="NAME=PID")
    options = parser.parse_args()
    pids = {name: int(pid) for name, _, pid in (item.partition("=") for item in options.pid)}
    results: dict[str, Any] = {}
    bench = Figures(Cloud(), results, list(pids.values()))
    bench.put("calibration", calibration())
    bench.run(options, pids)
    bench.put("calibration_end", calibration())
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    sys.exit(main())
