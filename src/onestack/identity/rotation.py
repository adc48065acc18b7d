"""The key repositories and what an operator does with them: set up, rotate, migrate. `keystone-manage` calls this.

| kind | directory | for |
|---|---|---|
| fernet | keys/fernet | tokens |
| receipt | keys/receipt | receipts of a log-in that needs more factors |
| credential | keys/credential | secrets in the database |
| jws | keys/jws | tokens, when `[identity] token_provider` is `jws` |

Source: Keystone's administrator guide, "Fernet - Frequently Asked Questions" and "Credential Encryption".
"""

from __future__ import annotations

import sqlalchemy as sa

from onestack.config import Settings
from onestack.core.cloud import Cloud
from onestack.identity import tokens
from onestack.identity.keys import KeyRepository, NumberedKeys, SigningKeys
from onestack.identity.models import Credential

KINDS: dict[str, type[NumberedKeys]] = {
    "fernet": KeyRepository, "receipt": KeyRepository, "credential": KeyRepository, "jws": SigningKeys,
}  # fmt: skip
# What the keys in keys/credential have encrypted; every table of these has a key `id`.
ENCRYPTED = (Credential.encrypted_blob,)
_BATCH = 500  # rows that are encrypted again in one transaction


class RotationRefused(Exception):
    """The message is for the operator and says what to do first."""


def repository(settings: Settings, kind: str) -> NumberedKeys:
    return KINDS[kind](settings.path("keys", kind))


def setup(settings: Settings, kind: str) -> None:
    """Make the first keys. Where there are some, nothing changes."""
    repository(settings, kind).ensure()


def rotate(cloud: Cloud, kind: str) -> None:
    """The staged key becomes primary, and a new one is staged. Raises RotationRefused.

    Every server forgets the tokens that it remembers and looks at them with the keys of now, so a key that was
    taken away by hand, because somebody else knows it, is good for nothing from then on.
    """
    if kind == "credential" and _outdated(cloud):
        raise RotationRefused(
            "Some credentials are not yet encrypted with the primary key. Run `credential_migrate` first: a rotation "
            "could take away the key that they need."
        )
    repository(cloud.settings, kind).rotate()
    with cloud.db.write() as session:
        tokens.changed(session)


def migrate_credentials(cloud: Cloud) -> int:
    """Encrypt with the primary key whatever another one has encrypted; how many secrets that were. It may be run
    again, and while servers run."""
    keys = _credential_keys(cloud)
    done = 0
    for column in ENCRYPTED:
        model, last = column.class_, ""
        while True:
            with cloud.db.write() as session:
                query = sa.select(model).where(model.id > last).order_by(model.id).limit(_BATCH)
                rows = list(session.scalars(query))
                for row in rows:
                    sealed = getattr(row, column.key).encode()
                    if not keys.is_current(sealed):
                        again = keys.encrypt(keys.decrypt(sealed), cloud.clock.now())
                        setattr(row, column.key, again.decode())
                        done += 1
                last = rows[-1].id if rows else last
            if len(rows) < _BATCH:
                break
    return done


def _outdated(cloud: Cloud) -> bool:
    keys = _credential_keys(cloud)
    with cloud.db.read() as session:
        sealed = [text for column in ENCRYPTED for text in session.scalars(sa.select(column))]
    return not all(keys.is_current(text.encode()) for text in sealed)


def _credential_keys(cloud: Cloud) -> KeyRepository:
    return KeyRepository(cloud.settings.path("keys", "credential"))
