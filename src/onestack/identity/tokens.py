"""Tokens: making them, finding out whether they hold, and taking them back.

A token is a payload (payloads.py), sealed (token_formats.py), and nothing is stored about it. What it is worth is read
from the tables: the user and the project must be enabled, roles are those of now, and no revocation may match. Because
every service asks for every request, what was found is kept in memory together with the value of the change feed
"identity". Every write that could change the answer advances that feed in its own transaction, and each use of a kept
answer first compares it, so a revocation is in force for the next request of every process.
"""

from __future__ import annotations

import datetime
import threading
from collections import OrderedDict
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import revision
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.db import fetch, many
from onestack.core.errors import Fault, Forbidden, NotFound
from onestack.identity import access_rules, accounts, assignments, catalog, endpoint_filter, trusts
from onestack.identity.assignments import RoleRef
from onestack.identity.backends import BACKEND
from onestack.identity.dialect import forbidden
from onestack.identity.keys import KeyRepository, SigningKeys
from onestack.identity.models import ApplicationCredential, Project, Revocation
from onestack.identity.models_access import AccessRule
from onestack.identity.models_oauth import AccessToken
from onestack.identity.models_trusts import Trust
from onestack.identity.payloads import Payload
from onestack.identity.token_formats import FernetFormat, Format, JwsFormat
from onestack.identity.trusts import Delegation

FEED = "identity"
ALLOW_EXPIRED = datetime.timedelta(hours=48)  # how long services may still use what a user began in time
_CACHED = 10_000  # tokens; about 2 KiB each
_MAX_TOKEN = 2048  # characters
_FEED_QUERY = "SELECT value FROM revisions WHERE feed = 'identity'"


class Place(msgspec.Struct, frozen=True):
    """A user, project or domain as tokens show it. Domains have no domain of their own."""

    id: str
    name: str
    domain_id: str = ""
    domain_name: str = ""

    def render(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "domain": {"id": self.domain_id, "name": self.domain_name}}


class Token(msgspec.Struct, kw_only=True):
    """A token that holds, with everything it says."""

    id: str
    payload: Payload
    user: Place  # whom it speaks for: with a trust that impersonates the trustor, else `payload.user_id`
    home_id: str  # the domain of `payload.user_id`
    password_expires_at: datetime.datetime | None
    project: Place | None = None
    is_domain: bool = False
    domain: Place | None = None
    system: bool = False
    roles: list[RoleRef] = []
    trust: Delegation | None = None
    consumer_id: str | None = None  # of the OAuth access token
    application_credential: dict[str, Any] | None = None
    access_rules: list[AccessRule] = []  # of the application credential; empty: it may be used for everything
    context: Context | None = None

    @property
    def scoped(self) -> bool:
        return self.project is not None or self.domain is not None or self.system


class Catalog:
    """The catalog as it was read at one value of the feed."""

    def __init__(self, services: list[tuple[catalog.ServiceRow, list[catalog.EndpointRow]]], filtered: bool) -> None:
        self.services = services
        self.filtered = filtered  # whether any project sees less than all
        self.projects: dict[str, frozenset[str] | None] = {}


class Tokens:
    """The token engine of one process."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._formats: dict[str, Format] = {
            "fernet": FernetFormat(KeyRepository(cloud.settings.path("keys", "fernet"))),
            "jws": JwsFormat(SigningKeys(cloud.settings.path("keys", "jws"))),
        }
        self._lock = threading.Lock()
        self._generation = -1
        self._cache: OrderedDict[str, Token] = OrderedDict()
        self._catalog: Catalog | None = None

    # Using tokens

    def authenticate(self, text: str) -> Context | None:
        """Who a token is, or None. Called for every request of every service."""
        try:
            return self.validate(text).context
        except Fault:
            return None

    def authenticate_late(self, text: str) -> Context | None:
        """The same for a token that may have expired meanwhile, which a service hands on with its own."""
        try:
            return self.validate(text, allow_expired=True).context
        except Fault:
            return None

    def validate(self, text: str, *, allow_expired: bool = False) -> Token:
        """Raises NotFound, in words that say nothing, when the token doesn't hold."""
        generation = self._current()
        with self._lock:
            token = self._cache.get(text) if generation == self._generation else None
        if token is None:
            payload = self.decode(text)
            self._check_time(payload, allow_expired)
            with self.cloud.db.read() as session:
                try:
                    token = self.load(session, text, payload)
                except Forbidden:
                    raise invalid() from None
            self._keep(generation, text, token)
            return token
        self._check_time(token.payload, allow_expired)
        return token

    def catalog(self, user_id: str, project_id: str | None) -> list[dict[str, Any]]:
        generation = self._current()
        with self._lock:
            loaded = self._catalog if generation == self._generation else None
        if loaded is None:
            with self.cloud.db.read() as session:
                loaded = Catalog(catalog.load(session, self.cloud.settings), endpoint_filter.in_use(session))
            with self._lock:
                self._enter(generation)
                self._catalog = loaded
        only, everything = None, self.cloud.settings.identity.return_all_endpoints_if_no_filter
        if loaded.filtered and project_id is not None:
            only = self._endpoints_of(loaded, project_id)
        if not only and not everything:
            return []
        return catalog.render(loaded.services, user_id, project_id, only)

    def _endpoints_of(self, loaded: Catalog, project_id: str) -> frozenset[str] | None:
        """The endpoints that a project's filters leave it; None when it has none. Read once as long as nothing
        changes."""
        if project_id not in loaded.projects:
            with self.cloud.db.read() as session:
                rows = endpoint_filter.endpoints_of(session, self.cloud.settings, project_id)
            loaded.projects[project_id] = frozenset(row.id for row in rows) or None
        return loaded.projects[project_id]

    # Making tokens

    def issue(self, session: Session, payload: Payload) -> Token:
        """A new token. Raises a Fault when what it asks for isn't the user's."""
        text = self._formats[self.cloud.settings.identity.token_provider].seal(payload)
        return self.load(session, text, payload)

    def decode(self, text: str) -> Payload:
        """Raises NotFound when it isn't a token that was made here."""
        signed = "." in text
        try:
            if not text or len(text) > _MAX_TOKEN or not text.isascii():
                raise ValueError("not a token")
            return self._formats["jws" if signed else "fernet"].open(text)
        except ValueError:
            raise (invalid() if signed else NotFound("Could not recognize Fernet token")) from None

    def load(self, session: Session, text: str, payload: Payload) -> Token:
        """What the tables say about a token now. Raises NotFound when it doesn't hold, Forbidden when its trust
        doesn't."""
        user = BACKEND.user(session, payload.user_id)
        rules = self.cloud.settings.security_compliance
        if user is None or not accounts.is_enabled(rules, user, self.cloud.clock.now()):
            raise invalid()
        home = _enabled_domain(session, user.domain_id)
        token = Token(
            id=text, payload=payload, home_id=home.id, password_expires_at=user.password_expires_at,
            user=Place(user.id, user.name, home.id, home.name),
        )  # fmt: skip
        links = self._load_trust(session, token, payload.trust_id) if payload.trust_id is not None else []
        if payload.project_id is not None:
            self._load_project(session, token, payload.project_id, links)
        elif payload.domain_id is not None:
            domain = _enabled_domain(session, payload.domain_id)
            token.domain = Place(domain.id, domain.name)
            token.roles = assignments.roles_on_domain(session, user.id, domain.id)
        elif payload.system:
            token.system = True
            token.roles = assignments.roles_on_system(session, user.id)
        if (token.scoped and not token.roles) or is_revoked(session, token):
            raise invalid()
        token.context = _context(token)
        return token

    def _load_trust(self, session: Session, token: Token, trust_id: str) -> list[Trust]:
        """The trust that a token was made with, and those that it was handed on with."""
        trust = trusts.find(session, self.cloud.clock.now(), trust_id, used_up=True)
        trustor = BACKEND.user(session, trust.trustor_user_id) if trust is not None else None
        if trust is None or trustor is None or trust.project_id != token.payload.project_id:
            raise invalid()
        home = _enabled_domain(session, trustor.domain_id)
        if trust.trustee_user_id != token.payload.user_id or not trustor.enabled:
            raise forbidden()
        if trust.impersonation:
            token.user = Place(trustor.id, trustor.name, home.id, home.name)
            token.password_expires_at = trustor.password_expires_at
        token.trust = Delegation(
            id=trust.id, trustor_user_id=trust.trustor_user_id, trustee_user_id=trust.trustee_user_id,
            impersonation=trust.impersonation,
        )  # fmt: skip
        return trusts.check_chain(session, trust, self.cloud.settings.identity.max_redelegation_count)

    def _load_project(self, session: Session, token: Token, project_id: str, links: list[Trust]) -> None:
        project = session.get(Project, project_id)
        if project is None or not project.enabled:
            raise invalid()
        domain = project if project.is_domain else _enabled_domain(session, project.domain_id)
        token.project = Place(project.id, project.name, domain.id, domain.name)
        token.is_domain = project.is_domain
        if links:
            token.roles = trusts.roles(session, links, project)
        else:
            token.roles = assignments.roles_on_project(session, token.user.id, project)
        if token.payload.application_credential_id is not None:
            self._narrow(session, token, token.payload.application_credential_id)
        elif token.payload.access_token_id is not None:
            self._narrow_to_access_token(session, token, token.payload.access_token_id)

    def _narrow_to_access_token(self, session: Session, token: Token, access_token_id: str) -> None:
        """Only those of the user's roles that they let the consumer have."""
        granted = session.get(AccessToken, access_token_id)
        if granted is None or granted.user_id != token.user.id:
            raise invalid()
        given = {role.id for role in assignments.effective_roles(session, granted.role_ids)}
        token.roles = [role for role in token.roles if role.id in given]
        token.consumer_id = granted.consumer_id

    def _narrow(self, session: Session, token: Token, credential_id: str) -> None:
        """Only those of the user's roles that the application credential was given."""
        credential = session.get(ApplicationCredential, credential_id)
        if credential is None or credential.user_id != token.user.id:
            raise invalid()
        if credential.expires_at is not None and credential.expires_at <= self.cloud.clock.now():
            raise invalid()
        given = {role.id for role in assignments.effective_roles(session, credential.role_ids)}
        token.roles = [role for role in token.roles if role.id in given]
        token.application_credential = {
            "id": credential.id, "name": credential.name, "restricted": not credential.unrestricted,
        }  # fmt: skip
        token.access_rules = access_rules.of_credentials(session, [credential.id]).get(credential.id, [])
        if token.access_rules:
            rendered = [access_rules.render(row) for row in token.access_rules]
            token.application_credential["access_rules"] = rendered

    # The memory

    def _current(self) -> int:
        """The feed's value. A plain cursor: this runs for every request, and a session would cost ten times as much."""
        connection = self.cloud.db.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(_FEED_QUERY)
            row = cursor.fetchone()
            cursor.close()
            return int(row[0]) if row else 0
        finally:
            connection.close()

    def _enter(self, generation: int) -> None:
        """Forget everything older than `generation`. The lock is held."""
        if generation != self._generation:
            self._cache.clear()
            self._catalog = None
            self._generation = generation

    def _keep(self, generation: int, text: str, token: Token) -> None:
        # `generation` was read before the rows were: an answer that is kept too long is never an old one, only one
        # that is read again needlessly.
        with self._lock:
            if generation < self._generation:
                return
            self._enter(generation)
            self._cache[text] = token
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)

    def _check_time(self, payload: Payload, allow_expired: bool) -> None:
        until = payload.expires_at + (ALLOW_EXPIRED if allow_expired else datetime.timedelta())
        if until <= self.cloud.clock.now():
            raise invalid()


def invalid() -> NotFound:
    return NotFound("Failed to validate token")


def changed(session: Session) -> None:
    """Call it in every transaction that may change what an existing token is worth, or the catalog."""
    revision.advance(session, FEED)


def _revocation() -> sa.Select[Any]:
    """A revocation from after a token was issued that matches it in everything that the revocation names."""
    one = (
        Revocation.audit_id, Revocation.audit_chain_id, Revocation.project_id, Revocation.trust_id,
        Revocation.consumer_id, Revocation.access_token_id,
    )  # fmt: skip
    several = (Revocation.user_id, Revocation.domain_id, Revocation.role_id)
    matches = [(column, column == sa.bindparam(column.key)) for column in one]
    matches += [(column, column.in_(many(column.key))) for column in several]
    return (
        sa.select(Revocation.id)
        .where(
            Revocation.issued_before >= sa.bindparam("issued_at"),
            sa.or_(*(match for _, match in matches)),  # for the indexes' sake
            *(sa.or_(column.is_(None), match) for column, match in matches),
        )
        .limit(1)
    )


_REVOCATION = _revocation()


def is_revoked(session: Session, token: Token) -> bool:
    """Whether there is such a revocation."""
    payload, trust = token.payload, token.trust
    users = {payload.user_id}
    domains = {token.user.domain_id, token.home_id}
    if trust is not None:
        users |= {trust.trustor_user_id, trust.trustee_user_id}
    if token.project is not None:
        domains.add(token.project.domain_id)
    if token.domain is not None:
        domains.add(token.domain.id)
    found = fetch(
        session, _REVOCATION, issued_at=payload.issued_at,
        audit_id=payload.audit_ids[0], audit_chain_id=payload.audit_ids[-1], user_id=sorted(users),
        project_id=payload.project_id, domain_id=sorted(domains), role_id=[role.id for role in token.roles],
        trust_id=payload.trust_id, consumer_id=token.consumer_id, access_token_id=payload.access_token_id,
    )  # fmt: skip
    return found.first() is not None


def revoke(session: Session, cloud: Cloud, **what: str) -> None:
    """Make every token issued until now that matches all of `what` invalid, for good.

    `what` are columns of Revocation: audit_id, audit_chain_id, user_id, project_id, domain_id, role_id, trust_id,
    consumer_id, access_token_id.
    """
    now = cloud.clock.now()
    kept = datetime.timedelta(seconds=cloud.settings.identity.token_expiration) + ALLOW_EXPIRED
    session.execute(sa.delete(Revocation).where(Revocation.expires_at < now))
    session.add(Revocation(issued_before=now, expires_at=now + kept, **what))
    changed(session)


def _enabled_domain(session: Session, domain_id: str) -> Project:
    domain = session.get(Project, domain_id)
    if domain is None or not domain.enabled or not domain.is_domain:
        raise invalid()
    return domain


def _context(token: Token) -> Context:
    project = token.project
    return Context(
        user_id=token.user.id,
        user_name=token.user.name,
        user_domain_id=token.user.domain_id,
        project_id=project.id if project else None,
        project_name=project.name if project else None,
        project_domain_id=project.domain_id if project else None,
        domain_id=token.domain.id if token.domain else None,
        system=token.system,
        roles=[role.name for role in token.roles],
        trust_id=token.payload.trust_id,
        token=token.id,
        expires_at=token.payload.expires_at,
        audit_ids=list(token.payload.audit_ids),
        methods=list(token.payload.methods),
        access_rules=access_rules.compiled(token.access_rules) if token.access_rules else None,
        token_data=token,
    )
