"""What a new cloud holds, and what every start makes sure of: schema, secrets, the first users, the external network.

Each step ensures; running it again changes nothing. `python -m onestack.server.bootstrap --state DIR` does it alone.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys

import onestack.compute.public
import onestack.identity.public
import onestack.network.public
from onestack import config
from onestack.core import logs
from onestack.core.cloud import Cloud
from onestack.server import schema


def secret(settings: config.Settings, name: str) -> str:
    """The secret `name` of this cloud, made up at first use: <state>/secrets/<name>, readable by its owner alone."""
    file = settings.path("secrets", name)
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        pass
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    value = secrets.token_urlsafe(24)
    temporary = file.with_name(f".{name}.{os.getpid()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(value + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(temporary, file)  # unlike a rename, it leaves a secret that somebody else just made
    except FileExistsError:
        return file.read_text().strip()
    finally:
        temporary.unlink()
    return value


def run(cloud: Cloud) -> None:
    """Bring the database to this version of the program and to what a cloud starts with."""
    settings = cloud.settings
    settings.path("db").mkdir(parents=True, exist_ok=True)
    schema.ensure(cloud.db)
    onestack.identity.public.bootstrap(
        cloud,
        admin_password=secret(settings, "admin-password"),
        demo_password=secret(settings, "demo-password"),
    )
    token = secret(settings, "agent.token")
    with cloud.db.write() as session:
        onestack.network.public.ensure_external(session, cloud)
        onestack.compute.public.bootstrap(session, cloud)
        onestack.compute.public.register_host_token(session, settings.hostname, token)


def main(arguments: list[str] | None = None) -> int:
    from onestack.server import build

    parser = argparse.ArgumentParser(prog="onestack.server.bootstrap", description="Prepare the cloud's database.")
    parser.add_argument("--state", help="the cloud's state directory")
    options = parser.parse_args(arguments)
    try:
        settings = config.load(options.state)
    except config.ConfigError as error:
        print(f"onestack: {error}", file=sys.stderr)
        return 2
    logs.configure(settings)
    cloud = build.cloud_of(settings)
    build.services(cloud)
    run(cloud)
    cloud.db.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
