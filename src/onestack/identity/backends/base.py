"""The contract of what keeps users, groups, who is in them, and what a password is worth.

It is what a directory would do instead of our tables. Roles, projects and tokens are not here: they name users and
groups by their ids alone, wherever those are kept. Every method takes the caller's session and costs a number of
queries that doesn't grow with the number of users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.errors import Unauthorized
from onestack.identity.listing import Selection
from onestack.identity.models import Group, User

# What `column.in_(…)` takes: ids, or a select of them.
Ids = Any
Write = Callable[[Session], None]


class Named(NamedTuple):
    """As much of a user or group as others show."""

    id: str
    name: str
    domain_id: str


class WrongPassword(Unauthorized):
    """The password isn't the user's. To be counted (`count_failure`) once the caller's snapshot is closed."""

    def __init__(self, message: str, user_id: str) -> None:
        super().__init__(message)
        self.user_id = user_id


class IdentityBackend(Protocol):
    """Objects are `User` and `Group`; a backend without tables makes such objects without a session."""

    # Users

    def user(self, session: Session, user_id: str) -> User | None: ...

    def user_by_name(self, session: Session, name: str, domain_id: str) -> User | None: ...

    def users(self, session: Session, chosen: Selection, group_id: str | None = None) -> tuple[list[User], str | None]:
        """By name; with `group_id` those in it. Also the marker of the next page, if there is one."""
        ...

    def named_users(self, session: Session, user_ids: Iterable[str]) -> dict[str, Named]:
        """Those of `user_ids` that exist."""
        ...

    def save_user(self, session: Session, user: User) -> None:
        """A new user, or one whose attributes were changed. Raises Conflict when the name is taken."""
        ...

    def remove_user(self, session: Session, user: User) -> None: ...

    # Passwords

    def authenticate(
        self, session: Session, cloud: Cloud, user: User | None, password: str, *, expired: bool = False
    ) -> Write | None:
        """What is to be written when the login has succeeded, if anything. Raises Unauthorized.

        None as `user` costs as much time as a wrong password. `expired`: a password that is over will do.
        """
        ...

    def count_failure(self, session: Session, cloud: Cloud, user_id: str) -> None:
        """A wrong password was given."""
        ...

    def check_new_password(self, session: Session, cloud: Cloud, user: User, password: str) -> None:
        """Whether a user may choose `password` now. Raises BadRequest."""
        ...

    def set_password(
        self, session: Session, cloud: Cloud, user: User, hashed: str | None, *, self_service: bool = False
    ) -> None:
        """Without `self_service` an administrator sets it, to whom fewer rules apply."""
        ...

    # Groups

    def group(self, session: Session, group_id: str) -> Group | None: ...

    def groups(self, session: Session, chosen: Selection, user_id: str | None = None) -> tuple[list[Group], str | None]:
        """By name; with `user_id` those that this user is in."""
        ...

    def named_groups(self, session: Session, group_ids: Iterable[str]) -> dict[str, Named]: ...

    def save_group(self, session: Session, group: Group) -> None: ...

    def remove_group(self, session: Session, group: Group) -> None: ...

    # Memberships

    def group_ids(self, session: Session, user_id: str) -> Ids:
        """The groups that a user is in."""
        ...

    def members(self, session: Session, group_ids: Sequence[str]) -> dict[str, list[str]]:
        """Group → ids of the users in it, for those of `group_ids` with any."""
        ...

    def is_member(self, session: Session, user_id: str, group_id: str) -> bool: ...

    def add_member(self, session: Session, user_id: str, group_id: str) -> None: ...

    def remove_member(self, session: Session, user_id: str, group_id: str) -> None: ...

    # Domains

    def ids_in(self, session: Session, domain_id: str) -> tuple[Ids, Ids]:
        """The users and the groups of a domain."""
        ...

    def remove_domain(self, session: Session, domain_id: str) -> None:
        """All users and groups of a domain."""
        ...
