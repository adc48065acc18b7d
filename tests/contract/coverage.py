"""Which of OpenStack's methods and paths are served, and which are not yet.

`python -m tests.contract.coverage DIRECTORY` compares the route tables with OpenAPI documents of the real services:
one YAML file per service in DIRECTORY (or in $ONESTACK_OPENAPI), named `<service>-….yaml`. Such documents are
published for OpenStack's clients; none is part of this repository. What parameters are called doesn't matter.
"""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from pathlib import Path

from tests.contract.world import SERVICES, all_routes

_METHODS = ("get", "post", "put", "patch", "delete")
Operation = tuple[str, str]


def documented(file: Path) -> set[Operation]:
    """The operations of one OpenAPI document. Only its paths and their methods are read, by their indentation: the
    documents are of many megabytes."""
    found: set[Operation] = set()
    path, inside = "", False
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith(" ") and line.strip():
                inside = line.startswith("paths:")
            elif inside and (match := re.match(r"  ['\"]?(/[^'\"]*?)['\"]?:\s*$", line)):
                path = match[1]
            elif inside and (match := re.match(r"    (\w+):\s*$", line)) and match[1] in _METHODS:
                found.add((match[1].upper(), normal(path)))
    return found


def normal(path: str) -> str:
    """A path with nameless parameters and without the slash at its end."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") or "/"


def served(service: str, wanted: set[Operation]) -> set[Operation]:
    """Those of `wanted` that a route answers; a parameter of ours stands for any one word."""
    ours: dict[str, list[re.Pattern[str]]] = defaultdict(list)
    for _service, route in all_routes(service):
        pattern = re.escape(normal(route.path)).replace(r"\{\}", "[^/]+")
        ours[route.method].append(re.compile(pattern))
    return {(method, path) for method, path in wanted if any(known.fullmatch(path) for known in ours[method])}


def group(service: str, path: str) -> str:
    """The resource that a path is about: its first words, without the API's version."""
    words = [word for word in path.split("/") if word and word != "{}" and not re.fullmatch(r"v[\d.]+", word)]
    return words[0] if words else "versions"


def report(directory: Path) -> str:
    """A Markdown table of counts, then what is missing, by resource."""
    table = ["| service | documented | served | missing |", "|---|---|---|---|"]
    gaps: list[str] = []
    for service in SERVICES:
        files = sorted(directory.glob(f"{service}-v*.yaml"))
        if not files:
            raise SystemExit(f"no {service}-v….yaml in {directory}")
        wanted = documented(files[-1])
        missing = wanted - served(service, wanted)
        table.append(f"| {service} | {len(wanted)} | {len(wanted) - len(missing)} | {len(missing)} |")
        by_group: dict[str, list[str]] = defaultdict(list)
        for method, path in sorted(missing, key=lambda item: (item[1], item[0])):
            by_group[group(service, path)].append(f"{method} {path}")
        gaps += ["", f"## {service}", ""]
        gaps += [f"- {name}: {len(items)} ({', '.join(items)})" for name, items in sorted(by_group.items())]
    return "\n".join([*table, *gaps])


def main() -> int:
    directory = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ONESTACK_OPENAPI", "")
    if not directory:
        print(__doc__, file=sys.stderr)
        return 2
    print(report(Path(directory)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
