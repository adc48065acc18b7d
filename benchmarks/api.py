"""Figures of the APIs: latencies, lists, bursts, memory. Any cloud will do; bursts want the fake hypervisor.

    eval "$(./onestack openrc)"; python benchmarks/api.py [--servers 1000] [--burst 200] [--pid NAME=PID ...]

Prints one JSON object. With --pid, each figure also has the CPU time that those processes used for one request
(`cpu_ms`): neighbours disturb it far less than the time on the wall. A fixed piece of work is timed too
(`calibration`): wall above cpu says that neighbours disturbed the run, so compare ratios, not single figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from client import Cloud, cpu_ms, median_ms, memory


def calibration() -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 400_000)
    return {
        "wall_ms": round((time.perf_counter() - wall) * 1000),
        "cpu_ms": round((time.process_time() - cpu) * 1000),
        "load": round(os.getloadavg()[0], 2),
    }


def wait_for(check: Callable[[], Any], seconds: float = 600) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = check()
        if value:
            return value
        time.sleep(0.05)
    raise SystemExit("it took too long")


class Bench:
    def __init__(self, cloud: Cloud, results: dict[str, Any], pids: list[int]) -> None:
        self.cloud = cloud
        self.results = results
        self.pids = pids

    def put(self, name: str, value: Any) -> None:
        self.results[name] = value
        print(f"{name:34} {json.dumps(value)}", file=sys.stderr, flush=True)

    def time(self, name: str, function: Callable[[], Any], count: int = 300, warm: int = 20) -> None:
        """Time one call after another; the CPU time is that of the calls after the warm ones."""
        for _ in range(warm):
            function()
        before = cpu_ms(self.pids)
        figures = median_ms(function, count, 0)
        if self.pids:
            figures["cpu_ms"] = round((cpu_ms(self.pids) - before) / count, 2)
        self.put(name, figures)

    def get(self, name: str, service: str, path: str, count: int = 300, **headers: str) -> None:
        self.time(name, lambda: self.cloud.call("GET", service, path, **headers), count, min(20, count))

    def prepare(self) -> None:
        cloud = self.cloud
        body = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
        cloud.call("PUT", "compute", f"/os-quota-sets/{cloud.project_id}", body)
        quota = {"quota": {"port": -1, "network": -1, "subnet": -1}}
        cloud.call("PUT", "network", f"/quotas/{cloud.project_id}", quota)
        self.image = cloud.call("GET", "image", "/images?limit=1")["images"][0]
        flavors = cloud.call("GET", "compute", "/flavors/detail")["flavors"]
        self.flavor = min(flavors, key=lambda flavor: (flavor["ram"], flavor["disk"]))
        self.network = cloud.call("POST", "network", "/networks", {"network": {"name": "bench"}})["network"]
        subnet = {"network_id": self.network["id"], "ip_version": 4, "cidr": "10.77.0.0/16"}
        self.subnet = cloud.call("POST", "network", "/subnets", {"subnet": subnet})["subnet"]

    def identity(self) -> None:
        cloud = self.cloud
        url = f"{cloud.identity}/auth/tokens"
        subject = {"X-Subject-Token": cloud.token}
        self.time("identity.token_validate", lambda: cloud.raw("GET", url, headers=subject))
        self.time("identity.token_password", lambda: cloud.raw("POST", url, cloud.password_body), 40, 3)
        self.get("identity.project_show", "identity", f"/projects/{cloud.project_id}")
        self.get("identity.projects", "identity", "/projects")
        self.get("identity.users", "identity", "/users")

    def show_and_list(self) -> None:
        self.get("image.show", "image", f"/images/{self.image['id']}")
        self.get("image.list", "image", "/images")
        self.get("network.network_show", "network", f"/networks/{self.network['id']}")
        self.get("network.subnet_show", "network", f"/subnets/{self.subnet['id']}")
        self.get("network.networks", "network", "/networks")
        self.get("compute.flavor_show", "compute", f"/flavors/{self.flavor['id']}")
        self.get("compute.flavors_detail", "compute", "/flavors/detail")
        body = {"port": {"network_id": self.network["id"]}}
        self.time("network.port_create", lambda: self.cloud.call("POST", "network", "/ports", body), 50, 5)
        ports = self.cloud.call("GET", "network", f"/ports?network_id={self.network['id']}&device_owner=")["ports"]
        self.get("network.port_show", "network", f"/ports/{ports[0]['id']}")
        for port in ports:
            self.cloud.call("DELETE", "network", f"/ports/{port['id']}")

    def create(self, name: str, count: int) -> float:
        """Create `count` servers in one request each; seconds until all are ACTIVE."""
        server = {
            "name": name,
            "imageRef": self.image["id"],
            "flavorRef": self.flavor["id"],
            "networks": [{"uuid": self.network["id"]}],
            "min_count": count,
            "max_count": count,
        }
        begin = time.perf_counter()
        self.cloud.call("POST", "compute", "/servers", {"server": server})
        wait_for(lambda: self.check(name, count))
        return time.perf_counter() - begin

    def check(self, name: str, count: int) -> bool:
        """Whether all are ACTIVE. One in ERROR ends the run with its fault: waiting for it would be in vain."""
        if len(self.names(name, "ACTIVE")) >= count:
            return True
        failed = self.names(name, "ERROR")
        if failed:
            server = self.cloud.call("GET", "compute", f"/servers/{failed[0]['id']}")["server"]
            raise SystemExit(f"{len(failed)} of {count} servers are in ERROR: {server.get('fault', {}).get('message')}")
        return False

    def names(self, name: str, status: str | None = None) -> list[Any]:
        path = "/servers?limit=1000" + (f"&name={name}" if name else "") + (f"&status={status}" if status else "")
        return list(self.cloud.call("GET", "compute", path)["servers"])

    def one_server(self) -> None:
        times = sorted(self.create(f"one-{number}-", 1) for number in range(9))
        self.put("compute.create_to_active_ms", {"p50": round(times[4] * 1000), "best": round(times[0] * 1000)})
        server = self.names("one-")[0]
        self.get("compute.server_show", "compute", f"/servers/{server['id']}")

    def burst(self, count: int) -> None:
        before = cpu_ms(self.pids)
        seconds = self.create("burst-", count)
        figures = {"n": count, "seconds": round(seconds, 2), "per_second": round(count / seconds, 1)}
        if self.pids:
            figures["cpu_ms"] = round((cpu_ms(self.pids) - before) / count, 1)
        self.put("compute.burst", figures)

    def lists(self, count: int) -> None:
        while True:
            have = len(self.names(""))
            if have >= count:
                break
            self.create(f"fill-{have}-", min(200, count - have))
        self.get("compute.servers_detail_1000", "compute", f"/servers/detail?limit={count}", 15)
        self.get("compute.servers_list_1000", "compute", f"/servers?limit={count}", 15)
        self.get("network.ports_1000", "network", f"/ports?limit={count}", 15)

    def clean(self) -> None:
        begin = time.perf_counter()
        servers = self.names("")
        for server in servers:
            self.cloud.call("DELETE", "compute", f"/servers/{server['id']}")
        wait_for(lambda: not self.names(""))
        self.put("compute.delete_all", {"n": len(servers), "seconds": round(time.perf_counter() - begin, 2)})
        self.cloud.call("DELETE", "network", f"/networks/{self.network['id']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--burst", type=int, default=200)
    parser.add_argument("--pid", action="append", default=[], metavar="NAME=PID")
    parser.add_argument("--out")
    options = parser.parse_args()
    pids = {name: int(pid) for name, _, pid in (item.partition("=") for item in options.pid)}
    results: dict[str, Any] = {}
    bench = Bench(Cloud(), results, list(pids.values()))
    bench.put("calibration", calibration())
    if pids:
        bench.put("memory_idle_mb", memory(pids))
    bench.prepare()
    bench.identity()
    bench.show_and_list()
    bench.one_server()
    if options.burst:
        bench.burst(options.burst)
    if options.servers:
        bench.lists(options.servers)
    if pids:
        bench.put("memory_after_mb", memory(pids))
    bench.clean()
    bench.put("calibration_end", calibration())
    text = json.dumps(results, indent=1)
    if options.out:
        Path(options.out).write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
