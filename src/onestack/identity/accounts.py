"""The rules of `[security_compliance]`: when an account or a password counts, and what a new password must be.

As in Keystone (administrator's guide, "Security compliance and PCI-DSS"). Pure: rows and settings in, answers out.
"""

from __future__ import annotations

import datetime
import re

from onestack.config import SecurityCompliance, Settings
from onestack.core.errors import BadRequest, Forbidden
from onestack.identity import passwords
from onestack.identity.models import User


def is_enabled(rules: SecurityCompliance, user: User, now: datetime.datetime) -> bool:
    """Whether a user is enabled and, where that is asked for, was active lately."""
    limit = rules.disable_user_account_days_inactive
    if not user.enabled or limit is None or user.options.get("ignore_user_inactivity"):
        return user.enabled
    active = user.last_active_at or user.created_at.date()
    return (now.date() - active).days < limit


def is_locked(rules: SecurityCompliance, user: User, now: datetime.datetime) -> bool:
    """Whether there were too many wrong passwords, not long ago."""
    most = rules.lockout_failure_attempts
    if most is None or user.failed_auth_count < most or user.options.get("ignore_lockout_failure_attempts"):
        return False
    if not rules.lockout_duration or user.failed_auth_at is None:
        return True
    return now < user.failed_auth_at + datetime.timedelta(seconds=rules.lockout_duration)


def is_expired(user: User, now: datetime.datetime) -> bool:
    if user.password_expires_at is None or user.options.get("ignore_password_expiry"):
        return False
    return now >= user.password_expires_at


def expiry(
    rules: SecurityCompliance, user: User, now: datetime.datetime, *, self_service: bool
) -> datetime.datetime | None:
    """When a password that is set now ends. One that an administrator chose may have to be changed at once."""
    first = rules.change_password_upon_first_use and not user.options.get("ignore_change_password_upon_first_use")
    if first and not self_service and user.password_hash is not None:
        return now
    if rules.password_expires_days is None or user.options.get("ignore_password_expiry"):
        return None
    return (now + datetime.timedelta(days=rules.password_expires_days)).replace(microsecond=0)


def check_strength(rules: SecurityCompliance, password: str | None) -> None:
    """Raises BadRequest unless a new password is as the operator wants them."""
    if not rules.password_regex:
        return
    if password is None:
        raise BadRequest("Password validation error: Password must be a string type.")
    if not re.match(rules.password_regex, password):
        raise BadRequest(f"The password does not match the requirements: {rules.password_regex_description}.")


def check_age(rules: SecurityCompliance, user: User, now: datetime.datetime) -> None:
    """Raises BadRequest when a user has changed the password only just now, or may not change it at all."""
    if user.options.get("lock_password"):
        raise BadRequest(
            "You cannot change your password at this time due to password policy disallowing password changes. "
            "Please contact your administrator to reset your password."
        )
    if not user.password_self_service or user.password_created_at is None:
        return
    free = user.password_created_at + datetime.timedelta(days=rules.minimum_password_age)
    if now < free:
        raise BadRequest(
            "You cannot change your password at this time due to the minimum password age. Once you change your "
            f"password, it must be used for {rules.minimum_password_age} day(s) before it can be changed. Please try "
            f"again in {(free - now).days} day(s) or contact your administrator to reset your password."
        )


def hash_password(settings: Settings, password: str) -> str:
    """Takes tens of milliseconds of processor time: not while the database is locked. Raises Forbidden."""
    longest = settings.identity.max_password_length
    if settings.identity.strict_password_check and len(password.encode()) > longest:
        raise Forbidden(
            f"The password length must be less than or equal to {longest}. "
            "The server could not comply with the request because the password is invalid."
        )
    return passwords.hash_password(passwords.limited(password, longest))
