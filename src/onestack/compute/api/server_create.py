"""POST /servers. One transaction: quota, image, ports, rows and the operation; scheduling follows by itself.

Source: the compute API reference, "Create Server".
"""

from __future__ import annotations

import base64
import re
import secrets
import string
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import (
    availability,
    flavors,
    links,
    nics,
    quotas,
    server_groups,
    servers,
    snapshots,
    user_quotas,
)
from onestack.compute.api import create_schema
from onestack.compute.models import Flavor, Host, Keypair, Server, ServerTag
from onestack.core import operations
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.http import Request, Response
from onestack.image import public as image
from onestack.network.public import NicRequest

_PASSWORD_LENGTH = 12
_PASSWORD_LETTERS = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1Il")))
GIB = 1 << 30


def create(req: Request) -> Response:
    values, hints = create_schema.parse(req)
    minimum = values.get("min_count", 1)
    maximum = values.get("max_count", minimum)
    if minimum > maximum:
        raise BadRequest("min_count must be <= max_count")
    req.authorize()
    password = values.get("adminPass") or new_password()
    with req.cloud.db.write() as session:
        zone, host = _destination(req, values)
        _mapped(values)
        if not values.get("imageRef"):
            raise BadRequest("Missing imageRef attribute")
        wanted = nics.requested(values.get("networks"))
        common = _common(req, session, values, hints, zone, host)
        common["admin_password"] = password
        if maximum > 1:
            _check_single(values, wanted)
        size = common["vcpus"], common["ram"]
        count = quotas.fit(session, common["project_id"], *size, minimum, maximum)
        count = user_quotas.fit(session, common["project_id"], common["user_id"], *size, minimum, count)
        rows = [_add(req, session, common, values, number, count) for number in range(count)]
        _tag(session, rows, values.get("tags") or [])
        session.flush()
        server_groups.join(session, req.ctx, hints, [row.id for row in rows])
        for row in rows:
            nics.allocate(session, req, row, wanted, values.get("security_groups"))
            operations.enqueue(
                session, req.cloud, action="create", object_type=servers.OBJECT, object_id=row.id,
                project_id=row.project_id, user_id=row.user_id, request_id=req.id,
            )  # fmt: skip
    return _answer(req, values, rows[0], password)


def _answer(req: Request, values: dict[str, Any], row: Server, password: str) -> Response:
    if values.get("return_reservation_id"):
        return Response({"reservation_id": row.reservation_id}, 202)
    found = links.links(req, "servers", row.id)
    body = {
        "id": row.id,
        "links": found,
        "OS-DCF:diskConfig": row.disk_config,
        "security_groups": values.get("security_groups") or [{"name": "default"}],
        "adminPass": password,
    }
    return Response({"server": body}, 202, {"Location": found[0]["href"]})


def new_password() -> str:
    return "".join(secrets.choice(_PASSWORD_LETTERS) for _ in range(_PASSWORD_LENGTH))


def _check_single(values: dict[str, Any], wanted: str | list[NicRequest]) -> None:
    """Refuse what several servers can't share."""
    if values.get("hostname"):
        raise BadRequest("Unable to allocate a single hostname to multiple instances.")
    for entry in wanted if isinstance(wanted, list) else ():
        if entry.port_id is not None:
            raise BadRequest(
                "Unable to launch multiple instances with a single configured port ID. Please launch your instance one "
                "by one with different ports."
            )
        if entry.fixed_ip is not None:
            raise BadRequest(
                "Invalid fixed IP Address in server create request: max_count must be 1 if a fixed IP is given."
            )


def _common(
    req: Request, session: Session, values: dict[str, Any], hints: dict[str, Any], zone: str | None, host: str | None
) -> dict[str, Any]:
    """The columns that all servers of one request share. Raises what Nova refuses."""
    ctx = req.ctx
    if ctx.project_id is None:
        raise Forbidden("A server belongs to a project: ask with a token that is scoped to one.")
    flavor = flavors.find(session, ctx, flavor_id(values["flavorRef"]))
    if flavor is None:
        raise BadRequest(f"Flavor {flavor_id(values['flavorRef'])} could not be found.")
    _check_destination(session, zone, host)
    quotas.check_metadata(session, ctx.project_id, len(values.get("metadata") or {}))
    files = personality(session, ctx.project_id, values.get("personality") or [])
    image_id = values["imageRef"]
    boot = boot_image(req, session, image_id, flavor.ram, flavor.disk)
    by = {"owner_user_name": ctx.user_name, "owner_project_name": ctx.project_name or "",
          "boot_roles": ",".join(ctx.roles)}  # fmt: skip
    return {
        "project_id": ctx.project_id, "user_id": ctx.user_id,
        "description": values.get("description") if req.version >= (2, 19) else values["name"],
        "image_id": image_id, "image": msgspec.to_builtins(boot.spec()),
        "system_metadata": by | snapshots.remembered(boot, boot.properties.get("base_image_ref", boot.id)),
        **flavor_columns(flavor), **key_columns(session, ctx.user_id, values.get("key_name")),
        "user_data": values.get("user_data"), "personality": files,
        "config_drive": bool(values.get("config_drive")),
        "disk_config": values.get("OS-DCF:diskConfig", "MANUAL"),
        "availability_zone": zone, "requested_host": host, "scheduler_hints": hints,
        "access_ip_v4": values.get("accessIPv4") or "", "access_ip_v6": values.get("accessIPv6") or "",
        "meta": values.get("metadata") or {}, "trusted_certs": values.get("trusted_image_certificates"),
        "reservation_id": "r-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8)),
    }  # fmt: skip


def _add(
    req: Request, session: Session, common: dict[str, Any], values: dict[str, Any], number: int, count: int
) -> Server:
    now = req.cloud.clock.now()
    server_id = req.cloud.ids.uuid()
    name = values["name"] if count == 1 else f"{values['name']}-{number + 1}"
    row = Server(
        id=server_id, number=_number(session), name=name, launch_index=number, desired="running", power="pending",
        settled="pending", error=False, revision=0, created_at=now, updated_at=now, root_device_name="/dev/vda",
        hostname=values.get("hostname") or hostname_of(name, server_id), **common,
    )  # fmt: skip
    session.add(row)
    return row


def _number(session: Session) -> int:
    """The next number for instance names. Deleted servers keep theirs."""
    taken: int | None = session.info.get("server_number")
    if taken is None:
        taken = session.scalar(sa.select(sa.func.max(Server.number))) or 0
    session.info["server_number"] = taken + 1
    return taken + 1


def _tag(session: Session, rows: list[Server], tags: list[str]) -> None:
    for row in rows:
        for tag in dict.fromkeys(tags):
            session.add(ServerTag(server_id=row.id, tag=tag))


def hostname_of(name: str, server_id: str) -> str:
    """A host name made from a server's name: what isn't allowed in one is left out or becomes a dash."""
    text = re.sub(r"[ _.]", "-", name.encode("ascii", "ignore").decode())
    text = re.sub(r"[^\w-]+", "", text).lower().strip("-")[:63].rstrip("-")
    return text or f"server-{server_id}"


def flavor_id(reference: Any) -> str:
    """`flavorRef` may be an id, a number or a URL that ends in one."""
    return str(reference).rstrip("/").rpartition("/")[2]


def flavor_columns(flavor: Flavor) -> dict[str, Any]:
    return {
        "flavor_id": flavor.id, "flavor_name": flavor.name, "vcpus": flavor.vcpus, "ram": flavor.ram,
        "disk": flavor.disk, "ephemeral": flavor.ephemeral, "swap": flavor.swap, "extra_specs": flavor.extra_specs,
    }  # fmt: skip


def key_columns(session: Session, user_id: str, name: str | None) -> dict[str, Any]:
    if not name:
        return {"key_name": None, "key_type": None, "public_key": None}
    row = session.scalars(sa.select(Keypair).where(Keypair.user_id == user_id, Keypair.name == name)).first()
    if row is None:
        raise BadRequest("Invalid key_name provided.")
    return {"key_name": name, "key_type": row.type, "public_key": row.public_key}


def _destination(req: Request, values: dict[str, Any]) -> tuple[str | None, str | None]:
    """Availability zone and host asked for: `zone`, `zone:host`, `zone:host:node`, or 2.74's `host`."""
    zone, _, rest = (values.get("availability_zone") or "").partition(":")
    host, _, node = rest.partition(":")
    host = host or node
    if rest.count(":") > 1:
        raise BadRequest("Unable to parse availability_zone")
    if host:
        req.authorize(rule="os_compute_api:servers:create:forced_host")
    asked = values.get("host") or values.get("hypervisor_hostname")
    if asked:
        req.authorize(rule="compute:servers:create:requested_destination")
        if host:
            raise BadRequest(
                "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are "
                "mutually exclusive."
            )
        host = asked
    return zone or None, host or None


def _check_destination(session: Session, zone: str | None, host: str | None) -> None:
    if host and session.scalar(sa.select(Host.id).where(Host.hostname == host)) is None:
        raise BadRequest(f"Compute host {host} could not be found.")
    if zone and not host and not availability.exists(session, zone):
        raise BadRequest("The requested availability zone is not available")


def boot_image(req: Request, session: Session, image_id: str, ram: int, disk: int) -> image.BootImage:
    """Raises BadRequest when the image isn't there, isn't active, or needs more than `ram` MiB and `disk` GiB."""
    try:
        boot = image.boot_image(req.cloud, session, req.ctx, image_id)
    except NotFound:
        raise BadRequest("Can not find requested image") from None
    except Conflict as error:
        raise BadRequest(error.message) from None
    if boot.min_ram > ram:
        raise BadRequest("Flavor's memory is too small for requested image.")
    needed = max(boot.virtual_size or 0, boot.size or 0, boot.min_disk * GIB)
    if disk and needed > disk * GIB:
        raise BadRequest(
            f"Flavor's disk is too small for requested image. Flavor disk is {disk * GIB} bytes, "
            f"minimum size is {needed} bytes."
        )
    return boot


_BDM = "Block Device Mapping is Invalid: "


def _mapped(values: dict[str, Any]) -> None:
    """Refuse block device mappings that are wrong, and those that are right but say anything else than "the image of
    imageRef onto a local disk", which is what happens without any."""
    legacy, mapping = values.get("block_device_mapping"), values.get("block_device_mapping_v2")
    if legacy and mapping:
        raise BadRequest("Using different block_device_mapping syntaxes is not allowed in the same request.")
    if legacy:
        raise BadRequest(f"{_BDM}this cloud has no volumes; boot from an image instead.")
    for entry in mapping or []:
        _check_mapped(entry, bool(values.get("imageRef")))
    others = [entry for entry in mapping or [] if (entry.get("source_type"), _onto(entry)) != ("image", "local")]
    if others or len(mapping or []) > 1:
        raise BadRequest(
            f"{_BDM}only an image on a local disk can be mapped, once, with boot_index 0. This cloud has no volumes; "
            "ephemeral and swap disks come from the flavor."
        )
    if mapping and mapping[0]["uuid"] != values.get("imageRef"):
        raise BadRequest(f"{_BDM}its boot device is not the image of imageRef.")


def _onto(entry: dict[str, Any]) -> str:
    return str(entry.get("destination_type") or "local")


def _check_mapped(entry: dict[str, Any], with_image: bool) -> None:
    """What Nova refuses whatever a cloud has."""
    if entry.get("no_device"):
        return
    source, destination = entry.get("source_type"), entry.get("destination_type")
    if source == "blank" and entry.get("uuid"):
        raise BadRequest(f"{_BDM}Invalid device UUID.")
    if source != "blank" and not entry.get("uuid"):
        raise BadRequest(f"{_BDM}Missing device UUID.")
    if source == "image" and destination == "local" and not (with_image and entry.get("boot_index") == 0):
        raise BadRequest(f"{_BDM}Mapping image to local is not supported.")
    if destination == "local" and entry.get("volume_type"):
        raise BadRequest(f"{_BDM}Specifying a volume_type with destination_type=local is not supported.")
    if source == "volume" and entry.get("volume_type"):
        raise BadRequest(f"{_BDM}Specifying volume type to existing volume is not supported.")


def personality(session: Session, project_id: str, files: list[dict[str, Any]]) -> list[dict[str, str]]:
    sizes = [(entry["path"], len(base64.b64decode("".join(entry["contents"].split())))) for entry in files]
    quotas.check_personality(session, project_id, sizes)
    return files
