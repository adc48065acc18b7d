"""What the identity service keeps in memory for as long as the process runs, and how a handler gets at it."""

from __future__ import annotations

import hmac
from typing import cast

import falcon.asgi

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import Fault
from onestack.core.http import Request, Service
from onestack.identity import payloads
from onestack.identity.dialect import forbidden
from onestack.identity.keys import KeyRepository
from onestack.identity.receipts import Receipts
from onestack.identity.tokens import Tokens


class Engine:
    """Tokens and keys; the services on both ports share one."""

    def __init__(self, cloud: Cloud) -> None:
        self.tokens = Tokens(cloud)
        self.receipts = Receipts(cloud)
        self.cloud = cloud
        self.credential_keys = KeyRepository(cloud.settings.path("keys", "credential"))

    def seal(self, secret: str) -> str:
        """A secret as the database may hold it."""
        return self.credential_keys.encrypt(secret.encode(), self.cloud.clock.now()).decode()

    def unseal(self, sealed: str) -> str:
        return self.credential_keys.decrypt(sealed.encode()).decode()


class IdentityService(Service):
    engine: Engine
    accepts_late_tokens = False  # as in Keystone: nothing here is begun by one service and finished by another

    def authenticate(self, token: str) -> Context | None:
        """Also the setting's admin token, which is nobody's and good for this service alone."""
        secret = self.cloud.settings.identity.admin_token
        if secret and hmac.compare_digest(token.encode(), secret.encode()):
            return Context(user_id="", by_admin_token=True)
        caller = super().authenticate(token)
        if caller is not None and payloads.SIGNED in caller.methods:
            # Whoever shows a signed request to a service mustn't get more out of it than that one request.
            raise forbidden()
        return caller

    def challenge(self, request: falcon.asgi.Request, fault: Fault) -> dict[str, str]:
        """Whoever is refused has come to where tokens are."""
        return {"WWW-Authenticate": f'Keystone uri="{request.scheme}://{request.netloc}/v3"'}


def engine(req: Request) -> Engine:
    return cast(IdentityService, req.service).engine
