"""What a new cloud holds, and what every start makes sure of: schema, secrets, the first users, the external network.

Each step ensures; running it again changes nothing. `python -m onestack.server.bootstrap --state DIR` does it alone.
"""

from __future__ import annotations

import argparse
import sys

import onestack.compute.public
import onestack.identity.public
import onestack.image.public
import onestack.network.public
from onestack import config
from onestack.core import logs, secret
from onestack.core.cloud import Cloud
from onestack.server import schema


def run(cloud: Cloud) -> None:
    """Bring the database to this version of the program and to what a cloud starts with. One server at a time."""
    settings = cloud.settings
    settings.path("db").mkdir(parents=True, exist_ok=True)
    with schema.alone(cloud.db):
        _run(cloud)


def _run(cloud: Cloud) -> None:
    settings = cloud.settings
    schema.bring_up_to_date(cloud.db)
    onestack.identity.public.bootstrap(
        cloud,
        admin_password=secret.ensure(settings, "admin-password"),
        demo_password=secret.ensure(settings, "demo-password"),
    )
    token = secret.ensure(settings, "agent.token")
    with cloud.db.write() as session:
        onestack.image.public.bootstrap(session, cloud)
        onestack.network.public.ensure_external(session, cloud)
        onestack.compute.public.bootstrap(session, cloud)
        onestack.compute.public.register_host_token(session, cloud, settings.hostname, token)


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
    try:
        build.services(cloud)
        run(cloud)
    except config.ConfigError as error:
        print(f"onestack: {error}", file=sys.stderr)
        return 2
    cloud.db.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
