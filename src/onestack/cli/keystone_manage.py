"""`keystone-manage`: the words that operators of Keystone know, for this cloud.

Where Keystone prepares tables, keys and the first admin from nothing, most of it is done by `onestack up`; each command
here makes sure of its part and may be run again. It works on the state directory while the server runs or not.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from onestack.cli import become
from onestack.cli.problems import Problem
from onestack.cli.settings import existing

if TYPE_CHECKING:
    from collections.abc import Callable

    from onestack.config import Settings

    Command = Callable[[Settings, argparse.Namespace], int]

_KINDS = ("fernet", "receipt", "credential")
_FEDERATION = "there is no identity provider here yet, so nothing is mapped"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="keystone-manage", description="Identity's administration.")
    top.add_argument("-v", "--verbose", action="count", default=0, help="accepted, as Keystone's is")
    top.add_argument("-d", "--debug", action="store_true", help="accepted, as Keystone's is")
    top.add_argument("--config-file", action="append", metavar="FILE", help="accepted: the settings are onestack.toml")
    top.add_argument("--config-dir", action="append", metavar="DIR", help="accepted: the settings are onestack.toml")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, words: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=words, description=words)

    _add_bootstrap(add("bootstrap", "the first admin, with a role on project and system, and identity's endpoints"))
    _add_database(add)
    for kind in _KINDS:
        _add_owner(add(f"{kind}_setup", f"make the keys in keys/{kind} where there are none"))
        _add_owner(add(f"{kind}_rotate", f"the staged key of keys/{kind} becomes primary"))
    _add_owner(add("credential_migrate", "encrypt every credential with the primary key"))
    _add_owner(add("create_jws_keypair", "a pair of keys for JWS tokens"))
    add("token_flush", "nothing: tokens are not stored")
    flush = add("trust_flush", "remove trusts that have expired or were deleted")
    flush.add_argument("--project-id", help="only those of this project")
    flush.add_argument("--trustor-user-id", help="only those that this user made")
    flush.add_argument("--trustee-user-id", help="only those that this user got")
    flush.add_argument("--date", help="only those that expired before this time (DD-MM-YYYY HH:MM:SS)")
    add("reset_last_active", "users that were never active count as active today")
    add("doctor", "what is odd about identity here")
    _add_federation(add)
    return top


def _add_bootstrap(one: argparse.ArgumentParser) -> None:
    for name, default, words in (
        ("username", "admin", "the admin's name"),
        ("password", None, "their password"),
        ("project-name", "admin", "the project"),
        ("role-name", "admin", "the role"),
        ("service-name", "keystone", "accepted: the catalog is made from the settings"),
        ("admin-url", None, "identity's endpoint for admins"),
        ("public-url", None, "identity's public endpoint"),
        ("internal-url", None, "identity's internal endpoint"),
        ("region-id", None, "the region"),
    ):
        variable = "OS_BOOTSTRAP_" + name.upper().replace("-", "_")
        one.add_argument(
            f"--bootstrap-{name}", dest=name.replace("-", "_"), metavar="VALUE",
            default=os.environ.get(variable, default), help=f"{words} ({variable})",
        )  # fmt: skip
    one.add_argument(
        "--immutable-roles", action="store_true", default=True, help="roles can't be changed (the default)"
    )
    one.add_argument("--no-immutable-roles", action="store_false", dest="immutable_roles", help="roles can be changed")


def _add_database(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    sync = add("db_sync", "bring the tables to this version")
    sync.add_argument("version", nargs="?", help="only the newest can be asked for")
    how = sync.add_mutually_exclusive_group()
    how.add_argument("--expand", action="store_true", help="all of it: a migration here is one step")
    how.add_argument("--migrate", action="store_true", help="all of it: a migration here is one step")
    how.add_argument("--contract", action="store_true", help="all of it: a migration here is one step")
    how.add_argument("--check", action="store_true", help="0 when the tables are those of this version, 2 when not")
    add("db_version", "the version of the tables")


def _add_owner(one: argparse.ArgumentParser) -> None:
    one.add_argument("--keystone-user", help="accepted: keys belong to the server's user")
    one.add_argument("--keystone-group", help="accepted: keys belong to the server's user")


def _add_federation(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    engine = add("mapping_engine", "try a mapping (federation)")
    for name in ("rules", "input", "prefix", "mapping-schema-version"):
        engine.add_argument(f"--{name}")
    engine.add_argument("--engine-debug", action="store_true")
    purge = add("mapping_purge", "forget ids of users of directories")
    purge.add_argument("--all", action="store_true")
    for name in ("domain-name", "public-id", "local-id", "type"):
        purge.add_argument(f"--{name}")
    add("mapping_populate", "give ids to the users of a directory").add_argument("--domain-name", required=True)
    upload = add("domain_config_upload", "put the files of domains' directories into the database")
    upload.add_argument("--all", action="store_true")
    upload.add_argument("--domain-name")
    add("saml_idp_metadata", "describe this cloud as a SAML identity provider")


def run(options: argparse.Namespace) -> int:
    """`onestack keystone-manage …`: the words that aren't `onestack`'s are in `options.words`."""
    given = parser().parse_args(options.words)
    settings = existing(options)
    become.server(settings)
    return COMMANDS[given.command](settings, given)


def main(arguments: list[str] | None = None) -> int:
    from onestack.cli import main as top

    return top.main(["keystone-manage", *(sys.argv[1:] if arguments is None else arguments)])


# The commands


def _cloud(settings: Settings) -> Any:
    from onestack.config import ConfigError
    from onestack.server import build

    cloud = build.cloud_of(settings)
    try:
        build.services(cloud)
    except ConfigError as error:
        raise Problem(str(error)) from error
    return cloud


def bootstrap(settings: Settings, given: argparse.Namespace) -> int:
    from onestack.identity import bootstrapping
    from onestack.server import schema

    if not given.password:
        raise Problem("a password is needed", "--bootstrap-password, or OS_BOOTSTRAP_PASSWORD")
    cloud = _cloud(settings)
    schema.ensure(cloud.db)
    wanted = bootstrapping.Wanted(
        username=given.username, password=given.password, project=given.project_name, role=given.role_name,
        region=given.region_id or settings.region, immutable=given.immutable_roles,
        urls={name: url for name in ("admin", "public", "internal") if (url := getattr(given, f"{name}_url"))},
    )  # fmt: skip
    for line in bootstrapping.run(cloud, wanted):
        print(line)
    cloud.db.close()
    return 0


def db_sync(settings: Settings, given: argparse.Namespace) -> int:
    from onestack.server import schema

    cloud = _cloud(settings)
    try:
        if given.version not in (None, schema.newest()):
            raise Problem(f"the tables cannot be brought to {given.version}", f"{schema.newest()}, or no version")
        if given.check:
            current = schema.revision(cloud.db)
            if current == schema.newest():
                print(f"All db_sync commands are upgraded to the same version and up-to-date: {current}")
                return 0
            print(f"Your database is not up to date: it is at {current or 'nothing'}. Your first step is to run "
                  "`keystone-manage db_sync --expand`.")  # fmt: skip
            return 2
        schema.ensure(cloud.db)
        return 0
    finally:
        cloud.db.close()


def db_version(settings: Settings, given: argparse.Namespace) -> int:
    from onestack.server import schema

    cloud = _cloud(settings)
    print(schema.revision(cloud.db) or "0")
    cloud.db.close()
    return 0


def keys(settings: Settings, given: argparse.Namespace) -> int:
    from onestack.identity import rotation

    if given.command == "create_jws_keypair":
        rotation.setup(settings, "jws")
        print(f"keys for JWS tokens are in {settings.path('keys', 'jws')}")
        return 0
    kind, _, verb = given.command.partition("_")
    if verb == "setup":
        rotation.setup(settings, kind)
        return 0
    cloud = _cloud(settings)
    try:
        if verb == "rotate":
            rotation.rotate(cloud, kind)
        else:
            print(f"{rotation.migrate_credentials(cloud)} secrets were encrypted with the primary key")
    except rotation.RotationRefused as error:
        raise Problem(str(error)) from error
    finally:
        cloud.db.close()
    return 0


def token_flush(settings: Settings, given: argparse.Namespace) -> int:
    print("Tokens are not stored, so there is nothing to flush.")
    return 0


def trust_flush(settings: Settings, given: argparse.Namespace) -> int:
    import datetime

    from onestack.identity import bootstrapping

    before = None
    if given.date:
        try:
            before = datetime.datetime.strptime(given.date, "%d-%m-%Y %H:%M:%S")
        except ValueError as error:
            raise Problem(f"--date {given.date!r} is not DD-MM-YYYY HH:MM:SS") from error
    cloud = _cloud(settings)
    done = bootstrapping.flush_trusts(
        cloud, before, project_id=given.project_id, trustor_user_id=given.trustor_user_id,
        trustee_user_id=given.trustee_user_id,
    )  # fmt: skip
    cloud.db.close()
    print(f"{done} trusts were removed")
    return 0


def reset_last_active(settings: Settings, given: argparse.Namespace) -> int:
    print("Users are not disabled for being inactive here, so there is nothing to reset.")
    return 0


def doctor(settings: Settings, given: argparse.Namespace) -> int:
    from onestack.cli import identity_checks
    from onestack.cli.doctor import MARKS

    found = identity_checks.every(settings)
    for check in found:
        fix = f"; fix: {check.fix}" if check.fix else ""
        print(f"{MARKS[check.level]} {check.name:<12} {check.words}{fix}")
    return 2 if any(check.level == "bad" for check in found) else 0


def federation(settings: Settings, given: argparse.Namespace) -> int:
    raise Problem(f"{given.command} is about federation and directories: {_FEDERATION}")


COMMANDS: dict[str, Command] = {
    "bootstrap": bootstrap,
    "db_sync": db_sync,
    "db_version": db_version,
    **{f"{kind}_{verb}": keys for kind in _KINDS for verb in ("setup", "rotate")},
    "credential_migrate": keys,
    "create_jws_keypair": keys,
    "token_flush": token_flush,
    "trust_flush": trust_flush,
    "reset_last_active": reset_last_active,
    "doctor": doctor,
    **dict.fromkeys(
        ("mapping_engine", "mapping_purge", "mapping_populate", "domain_config_upload", "saml_idp_metadata"), federation
    ),
}
