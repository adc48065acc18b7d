"""The contract of an authentication method, and what the methods of one request have established so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.http import Request

if TYPE_CHECKING:
    from onestack.identity.engine import Engine
    from onestack.identity.models import ApplicationCredential
    from onestack.identity.models_oauth import AccessToken
    from onestack.identity.tokens import Token


@dataclass
class Proof:
    """One attempt to get a token. Methods read with `session`, a snapshot, and must not write with it."""

    req: Request
    engine: Engine
    session: Session
    scope: dict[str, Any] | None = None  # what the new token shall be for; None: nothing was named
    user_id: str = ""
    methods: list[str] = field(default_factory=list)
    parent: Token | None = None  # the token that was shown
    credential: ApplicationCredential | None = None  # the application credential that was shown
    access_token: AccessToken | None = None  # the OAuth access token that the request was signed with
    # What must be written so that the token may be given, e.g. that a code is used up. Run in one transaction after
    # everything else has been found good; a Fault of any of them is the answer, and nothing is written then.
    on_success: list[Callable[[Session], None]] = field(default_factory=list)

    @property
    def cloud(self) -> Cloud:
        return self.req.cloud


# (proof, the method's part of the body) → the id of the user that it proved. Raises a Fault, mostly `unauthorized()`.
# Other findings go into the proof.
Method = Callable[[Proof, dict[str, Any]], str]
