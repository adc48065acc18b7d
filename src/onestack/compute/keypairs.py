"""Key pairs: making them, reading public keys, fingerprints."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from onestack.core.errors import BadRequest

BITS = 2048


def fingerprint(public_key: str, kind: str) -> str:
    """MD5 of an SSH key's blob, SHA-1 of a certificate, both as Nova shows them. Raises BadRequest."""
    if kind == "x509":
        try:
            certificate = x509.load_pem_x509_certificate(public_key.encode())
        except ValueError as error:
            raise BadRequest(
                f"Keypair data is invalid: failed to generate X509 fingerprint. Error message: {error}"
            ) from None
        return _colons(certificate.fingerprint(hashes.SHA1()).hex())  # noqa: S303
    # A space, and one alone: tabs and indents are refused as in Nova. Without a comment a line may end after the key.
    words = [word.rstrip() for word in public_key.split(" ")]
    try:
        if len(words) < 2:
            raise ValueError
        serialization.load_ssh_public_key(" ".join(words[:2]).encode())
        blob = base64.b64decode(words[1], validate=True)
    except (ValueError, binascii.Error, KeyError):
        raise BadRequest("Keypair data is invalid: failed to generate fingerprint") from None
    except Exception as error:
        # A security key's type is known to OpenSSH but not to the library: its blob is all that is needed.
        if not words[0].startswith("sk-"):
            raise BadRequest("Keypair data is invalid: failed to generate fingerprint") from error
        blob = base64.b64decode(words[1])
    return _colons(hashlib.md5(blob, usedforsecurity=False).hexdigest())


def generate(kind: str, user_id: str) -> tuple[str, str]:
    """A new pair: (private, public). SSH: PEM and OpenSSH; x509: PEM and a self-signed certificate for logging in."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    if kind == "x509":
        return private, _certificate(key, user_id)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public.decode() + " Generated-by-OneStack"


def _certificate(key: rsa.RSAPrivateKey, user_id: str) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, user_id[:64])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _colons(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))
