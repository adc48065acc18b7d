"""What a token that somebody else, or a program, was given may do with the secrets of the user it acts for.

Such tokens come from trusts, application credentials, OAuth access tokens and EC2 keys. Nothing that outlives one or
reaches further may be made with it, or read with it (OSSA-2020-003, -004, -005 and what followed them). The table of
tests/identity/test_delegation.py says what is left. Trusts alone are handed on with their own tokens, and application
credentials are managed by those that were made `unrestricted`.
"""

from __future__ import annotations

from onestack.core.http import Request
from onestack.identity import payloads
from onestack.identity.dialect import forbidden


def refuse_for_credentials(req: Request) -> None:
    """For credentials and EC2 keys."""
    if is_delegated(req):
        raise forbidden("Delegated tokens cannot access credentials directly")


def refuse_for_applications(req: Request) -> None:
    """For application credentials and access rules, which would hide the chain of a trust."""
    if "application_credential" not in req.ctx.methods and is_delegated(req):
        raise forbidden()


def refuse_restricted(req: Request) -> None:
    """A restricted application credential makes no further ones, and takes none away."""
    credential = req.ctx.token_data.application_credential if req.ctx.token_data is not None else None
    if credential is not None and credential["restricted"]:
        words = "Using method 'application_credential' is not allowed for managing additional application credentials."
        raise forbidden(words)


def refuse_for_trusts(req: Request) -> None:
    """A token of a trust may hand it on, whatever is narrower than that may not."""
    if _by_other_means(req):
        raise forbidden("Delegated tokens cannot manage trusts.")


def refuse_for_oauth(req: Request) -> None:
    """For what consumers are let have."""
    if is_delegated(req):
        raise forbidden()


def is_delegated(req: Request) -> bool:
    return bool(req.ctx.trust_id) or _by_other_means(req)


def _by_other_means(req: Request) -> bool:
    return not req.ctx.by_admin_token and payloads.is_delegated(req.ctx.methods)
