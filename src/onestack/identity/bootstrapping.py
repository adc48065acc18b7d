"""What `keystone-manage` does to the tables: the first admin by names of the operator's own, and old trusts.

Idempotent: what is there stays, except that the password becomes the one given and the user is enabled again.
"""

from __future__ import annotations

import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.identity import catalog, public, tokens
from onestack.identity.models import NO_DOMAIN, Assignment, Endpoint, Project, Region, Role, User
from onestack.identity.models_trusts import Trust
from onestack.identity.passwords import hash_password, verify


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Names are of the default domain. `urls`: interface → URL of identity, in place of the settings' own."""

    username: str
    password: str
    project: str
    role: str
    region: str
    immutable: bool
    urls: dict[str, str]


def run(cloud: Cloud, wanted: Wanted) -> list[str]:
    """What was made or changed, in words."""
    done: list[str] = []
    hashed = hash_password(wanted.password)
    with cloud.db.write() as session:
        role_id = _role(session, cloud, wanted, done)
        project_id = _project(session, cloud, wanted, done)
        user = _user(session, cloud, wanted, hashed, done)
        for kind, target in (("project", project_id), ("system", "all")):
            if session.get(Assignment, ("user", user.id, kind, target, role_id, False)) is None:
                session.add(
                    Assignment(actor_type="user", actor_id=user.id, target_type=kind, target_id=target,
                               role_id=role_id, inherited=False)
                )  # fmt: skip
                place = wanted.project if kind == "project" else "the system"
                done.append(f"{wanted.username} has the role {wanted.role} on {place}")
        if session.get(Region, wanted.region) is None:
            session.add(Region(id=wanted.region))
            done.append(f"region {wanted.region} was made")
        _endpoints(session, cloud, wanted, done)
        tokens.changed(session)
    return done or ["everything was there"]


def _role(session: Session, cloud: Cloud, wanted: Wanted, done: list[str]) -> str:
    query = sa.select(Role.id).where(Role.name == wanted.role, Role.domain_id == NO_DOMAIN)
    found = session.execute(query).scalar()
    if found is not None:
        return str(found)
    options = {"immutable": True} if wanted.immutable else {}
    row = Role(id=cloud.ids.hex(), domain_id=NO_DOMAIN, name=wanted.role, options=options)
    session.add(row)
    session.flush()
    done.append(f"role {wanted.role} was made")
    return row.id


def _project(session: Session, cloud: Cloud, wanted: Wanted, done: list[str]) -> str:
    found = public.find_project(session, wanted.project)
    if found is not None:
        return found
    home = public.DEFAULT_DOMAIN
    row = Project(id=cloud.ids.hex(), domain_id=home, parent_id=home, name=wanted.project, description="")
    session.add(row)
    session.flush()
    done.append(f"project {wanted.project} was made")
    return row.id


def _user(session: Session, cloud: Cloud, wanted: Wanted, hashed: str, done: list[str]) -> User:
    query = sa.select(User).where(User.name == wanted.username, User.domain_id == public.DEFAULT_DOMAIN)
    row = session.scalars(query).first()
    if row is None:
        row = User(
            id=cloud.ids.hex(), domain_id=public.DEFAULT_DOMAIN, name=wanted.username, password_hash=hashed,
            created_at=cloud.clock.now(),
        )  # fmt: skip
        session.add(row)
        session.flush()
        done.append(f"user {wanted.username} was made")
        return row
    if not row.enabled:
        row.enabled = True
        done.append(f"user {wanted.username} was enabled")
    if not verify(wanted.password, row.password_hash):
        row.password_hash = hashed
        tokens.revoke(session, cloud, user_id=row.id)
        done.append(f"user {wanted.username} got the password")
    return row


def _endpoints(session: Session, cloud: Cloud, wanted: Wanted, done: list[str]) -> None:
    """Identity's endpoints in another region; those in the cloud's own are made from the settings."""
    service = next(row for row in catalog.own_services() if row.type == "identity")
    if wanted.region == cloud.settings.region:
        for own in catalog.own_endpoints(cloud.settings):
            if own.service_id == service.id and wanted.urls.get(own.interface, own.url).rstrip("/") != own.url:
                done.append(
                    f"{own.interface} endpoint stays {own.url}: the settings make it (public_host, port_offset)"
                )
        return
    for interface, url in wanted.urls.items():
        query = sa.select(Endpoint).where(
            Endpoint.service_id == service.id, Endpoint.interface == interface, Endpoint.region_id == wanted.region
        )
        row = session.scalars(query).first()
        if row is None:
            row = Endpoint(id=cloud.ids.hex(), service_id=service.id, interface=interface, region_id=wanted.region,
                           url="", enabled=True, extra={})  # fmt: skip
            session.add(row)
        if row.url != url:
            row.url = url
            done.append(f"{interface} endpoint of {wanted.region} is {url}")


def flush_trusts(cloud: Cloud, before: datetime.datetime | None, **of: str | None) -> int:
    """Remove trusts that expired, by default until now; how many. `of`: column → the value that it must have."""
    columns = {name: getattr(Trust, name) for name in of}
    conditions = [columns[name] == value for name, value in of.items() if value is not None]
    with cloud.db.write() as session:
        gone = sa.delete(Trust).where(Trust.expires_at < (before or cloud.clock.now()), *conditions)
        return int(session.execute(gone).rowcount)  # type: ignore[attr-defined]
