"""`/v3/domains/{id}/config`: options of single domains, whole, by group and one by one; and the defaults."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.http import Request, Response
from onestack.identity import domain_config
from onestack.identity.api.common import DEFAULT_DOMAIN, get_domain, store
from onestack.identity.dialect import conflict
from onestack.identity.domain_config import Config
from onestack.identity.engine import engine
from onestack.identity.models_domain_config import DomainOption


def show(req: Request, domain_id: str, group: str | None = None, option: str | None = None) -> dict[str, Any]:
    if group == domain_config.SECURITY:
        req.authorize(rule="identity:get_security_compliance_domain_config")
        rules = req.cloud.settings.security_compliance
        return {"config": domain_config.security_compliance(rules, domain_id == DEFAULT_DOMAIN, option)}
    req.authorize()
    domain_config.check_names(group, option)
    with req.cloud.db.read() as session:
        found = _public(session, domain_id, group, option)
    if not found:
        raise domain_config.missing(domain_id, group, option)
    return {"config": found[group] if group and option else found}


def create(req: Request, domain_id: str) -> Response:
    """The whole configuration, over what there was."""
    with req.cloud.db.write() as session:
        get_domain(session, domain_id)
        config = domain_config.check_config(req.body.get("config"))
        status = 200 if _exists(session, domain_id) else 201
        session.execute(sa.delete(DomainOption).where(DomainOption.domain_id == domain_id))
        _write(req, session, domain_id, config)
        return Response({"config": _public(session, domain_id)}, status)


def update(req: Request, domain_id: str, group: str | None = None, option: str | None = None) -> dict[str, Any]:
    with req.cloud.db.write() as session:
        get_domain(session, domain_id)
        config = domain_config.check_part(req.body.get("config"), group, option)
        if group is not None and not _exists(session, domain_id, group, option):
            raise domain_config.missing(domain_id, group, option)
        for name, options in config.items():
            conditions = [*_where(domain_id, name), DomainOption.option_name.in_(list(options))]
            session.execute(sa.delete(DomainOption).where(*conditions))
        _write(req, session, domain_id, config)
        return {"config": _public(session, domain_id)}


def delete(req: Request, domain_id: str, group: str | None = None, option: str | None = None) -> None:
    with req.cloud.db.write() as session:
        get_domain(session, domain_id)
        domain_config.check_names(group, option)
        if group is not None and not _exists(session, domain_id, group):
            raise domain_config.missing(domain_id, group, None)
        if option is not None and not _exists(session, domain_id, group, option):
            raise domain_config.missing(domain_id, group, option)
        session.execute(sa.delete(DomainOption).where(*_where(domain_id, group, option)))


def show_default(req: Request, group: str | None = None, option: str | None = None) -> dict[str, Any]:
    return {"config": domain_config.defaults(group, option)}


def _where(domain_id: str, group: str | None = None, option: str | None = None) -> list[Any]:
    found: list[Any] = [DomainOption.domain_id == domain_id]
    if group is not None:
        found.append(DomainOption.group_name == group)
    if option is not None:
        found.append(DomainOption.option_name == option)
    return found


def _exists(session: Session, domain_id: str, group: str | None = None, option: str | None = None) -> bool:
    query = sa.select(DomainOption.domain_id).where(*_where(domain_id, group, option)).limit(1)
    return session.execute(query).first() is not None


def _public(session: Session, domain_id: str, group: str | None = None, option: str | None = None) -> Config:
    """What is there, without what is sensitive."""
    query = sa.select(DomainOption).where(
        *_where(domain_id, group, option), DomainOption.encrypted_value.is_(None)
    )  # fmt: skip
    found: Config = {}
    for row in session.scalars(query.order_by(DomainOption.group_name, DomainOption.option_name)):
        found.setdefault(row.group_name, {})[row.option_name] = row.value
    return found


def _write(req: Request, session: Session, domain_id: str, config: Config) -> None:
    keys, now = engine(req).credential_keys, req.cloud.clock.now()
    for group, options in config.items():
        for option, value in options.items():
            row = DomainOption(domain_id=domain_id, group_name=group, option_name=option)
            if domain_config.is_sensitive(group, option):
                row.encrypted_value = keys.encrypt(msgspec.json.encode(value), now).decode()
            else:
                row.value = value
            session.add(row)
    store(session, None, conflict("domain config", "Duplicate entry"))
