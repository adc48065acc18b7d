"""Users and groups in our own tables."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest, Unauthorized
from onestack.identity import accounts, passwords
from onestack.identity.backends.base import Ids, Named, Write, WrongPassword
from onestack.identity.dialect import duplicate, unauthorized
from onestack.identity.listing import Selection, conditions, page
from onestack.identity.models import FormerPassword, Group, Membership, User

_USER_COLUMNS = {
    "domain_id": User.domain_id, "enabled": User.enabled, "name": User.name,
    "password_expires_at": User.password_expires_at,
}  # fmt: skip
_GROUP_COLUMNS = {"domain_id": Group.domain_id, "name": Group.name}
_MANY = 500  # ids; of more, all rows are read: so long a list of ids would cost more than it saves


class SqlBackend:
    """See base.IdentityBackend."""

    # Users

    def user(self, session: Session, user_id: str) -> User | None:
        return session.get(User, user_id)

    def user_by_name(self, session: Session, name: str, domain_id: str) -> User | None:
        return session.scalars(sa.select(User).where(User.name == name, User.domain_id == domain_id)).first()

    def users(self, session: Session, chosen: Selection, group_id: str | None = None) -> tuple[list[User], str | None]:
        wheres = conditions(chosen.filters, _USER_COLUMNS)
        if group_id is not None:
            wheres.append(User.id.in_(sa.select(Membership.user_id).where(Membership.group_id == group_id)))
        return page(session, User, wheres, chosen.marker, chosen.limit)

    def named_users(self, session: Session, user_ids: Iterable[str]) -> dict[str, Named]:
        return _named(session, User, set(user_ids))

    def save_user(self, session: Session, user: User) -> None:
        _save(session, user, "user")

    def remove_user(self, session: Session, user: User) -> None:
        session.delete(user)

    # Passwords

    def authenticate(
        self, session: Session, cloud: Cloud, user: User | None, password: str, *, expired: bool = False
    ) -> Write | None:
        settings, now = cloud.settings, cloud.clock.now()
        rules = settings.security_compliance
        # Who is locked out is told nothing, not even whether the password was right; the comparison costs its time.
        locked = user is not None and accounts.is_locked(rules, user, now)
        right = passwords.verify(
            password, user.password_hash if user is not None else None, settings.identity.max_password_length
        )
        if user is None or locked:
            raise unauthorized()
        if not right:
            raise WrongPassword(unauthorized().message, user.id)
        if not accounts.is_enabled(rules, user, now):
            # Keystone says so to who would change the password, and not to who would log in.
            raise Unauthorized(f"The account is disabled for user: {user.id}.") if expired else unauthorized()
        if not expired and accounts.is_expired(user, now):
            raise Unauthorized(f"The password is expired and needs to be changed for user: {user.id}.")
        changes: dict[str, Any] = {}
        if user.failed_auth_count:
            changes = {"failed_auth_count": 0, "failed_auth_at": None}
        if rules.disable_user_account_days_inactive is not None and user.last_active_at != now.date():
            changes["last_active_at"] = now.date()
        if not changes:
            return None
        user_id = user.id

        def write(transaction: Session) -> None:
            transaction.execute(sa.update(User).where(User.id == user_id).values(changes))

        return write

    def count_failure(self, session: Session, cloud: Cloud, user_id: str) -> None:
        """In one statement, so that none of many at once is lost. Only where failures matter: it costs a commit."""
        rules, now = cloud.settings.security_compliance, cloud.clock.now()
        if rules.lockout_failure_attempts is None:
            return
        count: Any = User.failed_auth_count + 1
        if rules.lockout_duration:
            # A lock that has passed is forgotten: counting begins again.
            over = sa.and_(
                User.failed_auth_count >= rules.lockout_failure_attempts,
                User.failed_auth_at <= now - datetime.timedelta(seconds=rules.lockout_duration),
            )
            count = sa.case((over, 1), else_=count)
        session.execute(sa.update(User).where(User.id == user_id).values(failed_auth_count=count, failed_auth_at=now))

    def check_new_password(self, session: Session, cloud: Cloud, user: User, password: str) -> None:
        settings = cloud.settings
        rules = settings.security_compliance
        accounts.check_strength(rules, password)
        accounts.check_age(rules, user, cloud.clock.now())
        most = rules.unique_last_password_count
        if not most:
            return
        query = (
            sa.select(FormerPassword.password_hash)
            .where(FormerPassword.user_id == user.id)
            .order_by(FormerPassword.id.desc())
            .limit(most - 1)
        )
        for hashed in (user.password_hash, *session.scalars(query)):
            if passwords.verify(password, hashed, settings.identity.max_password_length):
                raise BadRequest(
                    "The new password cannot be identical to a previous password. The total number which includes "
                    f"the new password must be unique is {most}."
                )

    def set_password(
        self, session: Session, cloud: Cloud, user: User, hashed: str | None, *, self_service: bool = False
    ) -> None:
        rules, now = cloud.settings.security_compliance, cloud.clock.now()
        if user.password_hash is not None:
            if rules.unique_last_password_count:
                session.add(FormerPassword(user_id=user.id, password_hash=user.password_hash, replaced_at=now))
                session.flush()
            self._forget(session, user.id, rules.unique_last_password_count)
        user.password_hash = hashed
        user.password_created_at = now
        user.password_self_service = self_service
        user.password_expires_at = accounts.expiry(rules, user, now, self_service=self_service)

    def _forget(self, session: Session, user_id: str, kept: int) -> None:
        """All former passwords but the last ones."""
        last = (
            sa.select(FormerPassword.id)
            .where(FormerPassword.user_id == user_id)
            .order_by(FormerPassword.id.desc())
            .limit(kept)
        )
        session.execute(
            sa.delete(FormerPassword)
            .where(FormerPassword.user_id == user_id, FormerPassword.id.not_in(last))
            .execution_options(synchronize_session=False)
        )

    # Groups

    def group(self, session: Session, group_id: str) -> Group | None:
        return session.get(Group, group_id)

    def groups(self, session: Session, chosen: Selection, user_id: str | None = None) -> tuple[list[Group], str | None]:
        wheres = conditions(chosen.filters, _GROUP_COLUMNS)
        if user_id is not None:
            wheres.append(Group.id.in_(self.group_ids(session, user_id)))
        return page(session, Group, wheres, chosen.marker, chosen.limit)

    def named_groups(self, session: Session, group_ids: Iterable[str]) -> dict[str, Named]:
        return _named(session, Group, set(group_ids))

    def save_group(self, session: Session, group: Group) -> None:
        _save(session, group, "group")

    def remove_group(self, session: Session, group: Group) -> None:
        session.delete(group)

    # Memberships

    def group_ids(self, session: Session, user_id: str) -> Ids:
        return sa.select(Membership.group_id).where(Membership.user_id == user_id)

    def members(self, session: Session, group_ids: Sequence[str]) -> dict[str, list[str]]:
        query = sa.select(Membership.group_id, Membership.user_id).order_by(Membership.group_id, Membership.user_id)
        if len(group_ids) <= _MANY:
            query = query.where(Membership.group_id.in_(group_ids))
        found: dict[str, list[str]] = {}
        for group_id, user_id in session.execute(query):
            found.setdefault(group_id, []).append(user_id)
        return found

    def is_member(self, session: Session, user_id: str, group_id: str) -> bool:
        return session.get(Membership, (user_id, group_id)) is not None

    def add_member(self, session: Session, user_id: str, group_id: str) -> None:
        session.add(Membership(user_id=user_id, group_id=group_id))
        session.flush()

    def remove_member(self, session: Session, user_id: str, group_id: str) -> None:
        session.execute(sa.delete(Membership).where(Membership.user_id == user_id, Membership.group_id == group_id))

    # Domains

    def ids_in(self, session: Session, domain_id: str) -> tuple[Ids, Ids]:
        return (
            sa.select(User.id).where(User.domain_id == domain_id),
            sa.select(Group.id).where(Group.domain_id == domain_id),
        )

    def remove_domain(self, session: Session, domain_id: str) -> None:
        session.execute(sa.delete(Group).where(Group.domain_id == domain_id))
        session.execute(sa.delete(User).where(User.domain_id == domain_id))


def _named(session: Session, model: type[User] | type[Group], ids: set[str]) -> dict[str, Named]:
    query = sa.select(model.id, model.name, model.domain_id)
    if len(ids) <= _MANY:
        query = query.where(model.id.in_(ids))
    return {row.id: Named(*row) for row in session.execute(query) if row.id in ids}


def _save(session: Session, row: User | Group, noun: str) -> None:
    # Of what is changed Keystone doesn't say the domain.
    state: Any = sa.inspect(row)
    clash = duplicate(noun, row.name, "" if state.persistent else row.domain_id)
    session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise clash from None
