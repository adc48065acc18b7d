"""What a token that somebody else, or a program, was given may do with the secrets of the user it acts for.

Such tokens come from trusts, application credentials and OAuth access tokens. Each is for one project, and nothing that
outlives it or reaches further may be made with it (OSSA-2020-003, -004, -005 and what followed them).
"""

from __future__ import annotations

from onestack.core.http import Request
from onestack.identity.dialect import forbidden


def application_credential_id(req: Request) -> str | None:
    token = req.ctx.token_data
    return token.payload.application_credential_id if token is not None else None


def access_token_id(req: Request) -> str | None:
    token = req.ctx.token_data
    return token.payload.access_token_id if token is not None else None


def is_delegated(req: Request) -> bool:
    return bool(req.ctx.trust_id or application_credential_id(req) or access_token_id(req))


def refuse_restricted(req: Request, what: str) -> None:
    """A restricted application credential makes no further ones, and takes none away."""
    credential = req.ctx.token_data.application_credential if req.ctx.token_data is not None else None
    if credential is not None and credential["restricted"]:
        raise forbidden(f"Using method 'application_credential' is not allowed for managing additional {what}.")


def refuse_trusts(req: Request) -> None:
    """An application credential would outlive the trust or access token that it was made with, and hide the chain."""
    if req.ctx.trust_id or access_token_id(req):
        raise forbidden()


def check_project(req: Request, project_id: str | None, noun: str = "Credential") -> None:
    """Secrets of another project, or of none (second factors), aren't touched with a token for one project."""
    if is_delegated(req) and project_id != req.ctx.project_id:
        raise forbidden(f"{noun} project does not match the project scope of the delegated token")
