"""How long a cloud takes from nothing running to all APIs answering, and what it then weighs.

    python benchmarks/memory_start.py --state DIR [--runs 5] [-- OPTIONS OF up]

DIR is a cloud that was up before (only starting is timed, not installing). It is stopped and started `--runs` times
and left running. Start counts from calling `onestack up`, the launcher included, until every API's port has answered
an HTTP request; memory is that of server and agent, ten seconds after the last start. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

from client import memory

LAUNCHER = Path(__file__).resolve().parent.parent / "onestack"
PORTS = {"identity": 5000, "image": 9292, "compute": 8774, "placement": 8778, "network": 9696}


def answers(port: int, begin: float, found: dict[int, float]) -> None:
    """Ask until there is an answer; remember when it came."""
    while time.perf_counter() - begin < 120:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
            found[port] = time.perf_counter() - begin
            return
        except OSError:
            time.sleep(0.005)


def start(state: Path, ports: list[int], options: list[str]) -> tuple[float, float]:
    """Seconds until all ports answered, and until `up` was done."""
    found: dict[int, float] = {}
    begin = time.perf_counter()
    threads = [threading.Thread(target=answers, args=(port, begin, found)) for port in ports]
    for thread in threads:
        thread.start()
    onestack(state, "up", "--no-boot", *options)
    done = time.perf_counter() - begin
    for thread in threads:
        thread.join()
    if len(found) < len(ports):
        raise SystemExit("not all APIs answered")
    return max(found.values()), done


def onestack(state: Path, *arguments: str) -> None:
    subprocess.run([str(LAUNCHER), "--state", str(state), *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("options", nargs="*")
    given = parser.parse_args()
    file = given.state / "onestack.toml"
    settings = tomllib.loads(file.read_text()) if file.exists() else {}
    offset = int(os.environ.get("ONESTACK_PORT_OFFSET") or settings.get("port_offset", 0))
    ports = [port + offset for port in PORTS.values()]
    times = []
    for _ in range(given.runs):
        onestack(given.state, "down")
        times.append(start(given.state, ports, given.options))
        print(f"answering after {times[-1][0]:.2f} s, up done after {times[-1][1]:.2f} s", file=sys.stderr)
    time.sleep(10)
    pids = {
        name: int((given.state / "supervisor" / f"{name}.pid").read_text().split()[0]) for name in ("server", "agent")
    }
    results: dict[str, Any] = {
        "answering_s": {"p50": round(statistics.median(t[0] for t in times), 2), "best": round(min(times)[0], 2)},
        "up_done_s": {"p50": round(statistics.median(t[1] for t in times), 2)},
        "memory_idle_mb": memory(pids),
        "load": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
