"""The ways to prove who one is. A new one is a module with a `prove` of its own and a line in this table."""

from __future__ import annotations

from onestack.identity.methods import application_credential, oauth1, password, token, totp
from onestack.identity.methods.base import Method

METHODS: dict[str, Method] = {
    "password": password.prove,
    "token": token.prove,
    "application_credential": application_credential.prove,
    "totp": totp.prove,
    "oauth1": oauth1.prove,
}
