"""`python -m onestack.guest mini|debian OUTPUT`: build a guest image; progress goes to stderr."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from onestack.guest import debian, mini
from onestack.guest.tools import GuestError, Progress


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m onestack.guest", description="Build a guest image (qcow2).")
    kinds = top.add_subparsers(dest="kind", required=True, metavar="mini|debian")
    small = kinds.add_parser("mini", help="onestack-mini: some 26 MB, boots in seconds, built offline in seconds")
    small.add_argument("--cache", type=Path, help="where the kernel package is kept between builds")
    small.add_argument("--root-mib", type=int, default=44, help="size of the root partition (default: %(default)s)")
    full = kinds.add_parser("debian", help="Debian with cloud-init: some 180 MB, needs root, a mirror and minutes")
    full.add_argument("--suite", default=debian.SUITE, help="default: %(default)s")
    full.add_argument("--mirror", default=debian.MIRROR, help="default: %(default)s")
    for kind in (small, full):
        kind.add_argument("output", type=Path, metavar="OUTPUT", help="the qcow2 file to write")
    return top


def reporter(begin: float) -> Progress:
    """Progress as lines on stderr: share, seconds so far, step."""

    def report(step: str, share: float) -> None:
        print(f"{share:4.0%} {time.monotonic() - begin:6.1f} s  {step}", file=sys.stderr, flush=True)

    return report


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    report = reporter(time.monotonic())
    try:
        if options.kind == "mini":
            mini.build(options.output, root_mib=options.root_mib, cache=options.cache, progress=report)
        else:
            debian.build(options.output, suite=options.suite, mirror=options.mirror, progress=report)
    except GuestError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
