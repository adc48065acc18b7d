"""What v2.0 says of itself: its extensions, the certificates that there are none of, and EC2 keys in its form."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import Gone, NotFound
from onestack.core.http import Request
from onestack.identity.api import ec2_credentials

_DOCS = "https://docs.openstack.org/identity/api/ext"
_LINKS = [{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/keystone/"}]


def _extension(alias: str, name: str, description: str, updated: str) -> dict[str, Any]:
    return {
        "alias": alias, "name": name, "description": description, "updated": updated, "links": _LINKS,
        "namespace": f"{_DOCS}/{alias}/v1.0",
    }  # fmt: skip


_PUBLIC = [
    _extension("OS-KSCRUD", "OpenStack Keystone User CRUD", "Users change their own password.", "2013-07-07T12:00:00Z"),
    _extension("OS-EC2", "OpenStack EC2 API", "Keys for EC2's protocol.", "2013-07-07T12:00:00Z"),
]
_ADMIN = [
    _extension("OS-KSADM", "OpenStack Keystone Admin", "Users, tenants, roles and services.", "2013-07-11T17:14:00Z"),
    _extension("OS-EC2", "OpenStack EC2 API", "Keys for EC2's protocol.", "2013-07-07T12:00:00Z"),
]


def public_index(req: Request) -> dict[str, Any]:
    return {"extensions": {"values": _PUBLIC}}


def admin_index(req: Request) -> dict[str, Any]:
    return {"extensions": {"values": _ADMIN}}


def public_show(req: Request, alias: str) -> dict[str, Any]:
    return _one(_PUBLIC, alias)


def admin_show(req: Request, alias: str) -> dict[str, Any]:
    return _one(_ADMIN, alias)


def _one(known: list[dict[str, Any]], alias: str) -> dict[str, Any]:
    for extension in known:
        if extension["alias"] == alias:
            return {"extension": extension}
    raise NotFound(f"Could not find: {alias}.")


def certificate(req: Request) -> None:
    """Certificates were there to check PKI tokens with."""
    raise Gone("This API is no longer available due to the removal of support for PKI tokens.")


# EC2 keys


def _key(shown: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shown.items() if key != "links"}


def list_keys(req: Request, user_id: str) -> dict[str, Any]:
    return {"credentials": [_key(shown) for shown in ec2_credentials.index(req, user_id)["credentials"]]}


def show_key(req: Request, user_id: str, access: str) -> dict[str, Any]:
    return {"credential": _key(ec2_credentials.show(req, user_id, access)["credential"])}


def create_key(req: Request, user_id: str) -> dict[str, Any]:
    return {"credential": _key(ec2_credentials.create(req, user_id)["credential"])}
