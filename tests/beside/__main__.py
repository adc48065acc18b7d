"""Sends the same requests to two clouds and prints what they answer differently.

    python -m tests.beside identity --ours OPENRC --theirs OPENRC [--only TEXT] [--out FILE]

Both files are admins' openrc files, of clouds that nobody else uses. What is made in either is removed at the end. FILE
gets a line of JSON for each request whose answers differ. `--only` takes the routes whose method and path contain TEXT.
"""

from __future__ import annotations

import argparse
import collections
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tests.beside import differences, meant, queries, variants
from tests.beside.cloud import Cloud
from tests.beside.things import THINGS, World
from tests.contract.world import all_routes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.beside", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("service", choices=sorted(THINGS))
    parser.add_argument("--ours", type=Path, required=True)
    parser.add_argument("--theirs", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was made is removed then as well
    routes = [
        route for _, route in all_routes(options.service)
        if route.path.startswith(queries.PREFIX[options.service]) and options.only in f"{route.method} {route.path}"
    ]  # fmt: skip
    world = World([Cloud.of(options.ours), Cloud.of(options.theirs)], THINGS[options.service])
    found: list[dict[str, Any]] = []
    try:
        count = compare(world, options.service, routes, found)
    finally:
        world.close()
        if options.out:
            options.out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found))
    report(found, count)
    return 0


def compare(world: World, service: str, routes: list[Any], found: list[dict[str, Any]]) -> int:
    """How many requests were sent; what differs is added to `found`."""
    count, why = 0, collections.Counter[str]()
    for sent in variants.of_routes(service, routes):
        answers = [cloud.send(sent) for cloud in world.clouds]
        count += 1
        seen = [differences.seen(answer, cloud) for answer, cloud in zip(answers, world.clouds, strict=True)]
        reason = meant.why(*seen)
        for key, (ours, theirs) in differences.different(*seen).items():
            if reason and key in ("body", "status"):
                why[reason] += 1
                continue
            found.append({"route": sent.route, "what": sent.what, "differs": key, "ours": ours, "theirs": theirs,
                          "persona": sent.persona, "path": sent.path[:300], "status": seen[0]["status"]})  # fmt: skip
        if sent.method not in ("GET", "HEAD") and any(answer.status < 300 for answer in answers):
            world.repair(sent, answers)
        if count % 500 == 0:
            print(f"{count} requests, {len(found)} differences", file=sys.stderr)
    print(f"meant: {dict(why)}")
    return count


def report(found: list[dict[str, Any]], count: int) -> None:
    """The kinds of differences, most frequent first."""
    kinds: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for line in found:
        kinds.setdefault((line["differs"], str(line["ours"])[:150], str(line["theirs"])[:150]), []).append(line)
    for (key, ours, theirs), lines in sorted(kinds.items(), key=lambda kind: -len(kind[1]))[:60]:
        first = lines[0]
        print(f"{len(lines):5}  {key}: {ours}\n       theirs: {theirs}\n       {first['route']}, {first['what']}")
    by = collections.Counter(line["differs"] for line in found)
    print(f"{count} requests; differences: {dict(by)}")


sys.exit(main())
