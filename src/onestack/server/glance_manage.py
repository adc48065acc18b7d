"""The part of `onestack glance-manage` that has the database: `python -m onestack.server.glance_manage --state DIR …`.

Definitions come in on standard input as a JSON array, and go out on standard output as an object by file name.
"""

from __future__ import annotations

import argparse
import sys

import msgspec

from onestack import config
from onestack.core.clock import Clock
from onestack.core.db import Database
from onestack.image import metadef_sets
from onestack.image.metadef_sets import BadSet, Definition
from onestack.server import build, schema

assert build.BUILDERS  # every service's tables are known


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="onestack.server.glance_manage")
    parser.add_argument("--state", required=True)
    parser.add_argument("action", choices=("version", "sync", "load_metadefs", "unload_metadefs", "export_metadefs"))
    parser.add_argument("words", nargs="*", metavar="ours|merge|prefer_new|overwrite")
    options = parser.parse_args(arguments)
    try:
        database = Database(config.load(options.state).database_url)
    except config.ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        schema.ensure(database)
        return _act(database, options.action, set(options.words))
    except (BadSet, msgspec.DecodeError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        database.close()


def _act(database: Database, action: str, words: set[str]) -> int:
    if action in ("version", "sync"):
        print(schema.newest())
    elif action == "export_metadefs":
        with database.read() as session:
            sys.stdout.write(msgspec.json.encode(metadef_sets.export(session)).decode())
    elif action == "unload_metadefs":
        with database.write() as session:
            metadef_sets.unload(session)
    else:
        found = (
            metadef_sets.read(metadef_sets.OURS)
            if "ours" in words
            else msgspec.json.decode(sys.stdin.buffer.read(), type=list[Definition])
        )
        with database.write() as session:
            done = metadef_sets.load(
                session, Clock(), found, merge="merge" in words, prefer_new="prefer_new" in words,
                overwrite="overwrite" in words,
            )  # fmt: skip
        print("\n".join(f"loaded {name}" for name in done) or "nothing new")
    return 0


if __name__ == "__main__":
    sys.exit(main())
