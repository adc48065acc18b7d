"""Signed images: one that says all of its signature is accepted only when that can be verified.

The certificate would come from the key manager, and this cloud has none; so what else is said is checked in Glance's
order and words, and then the certificate can't be had. An image that says only a part of it is taken unverified, as
there. Source: Glance's user guide, "Image Signature Verification", and the library that it verifies with (cursive).
"""

from __future__ import annotations

import base64
import binascii

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest
from onestack.image.models import ImageProperty

_SIGNATURE, _HASH, _KEY, _CERTIFICATE = PROPERTIES = (
    "img_signature", "img_signature_hash_method", "img_signature_key_type", "img_signature_certificate_uuid",
)  # fmt: skip
_HASHES = ("SHA-224", "SHA-256", "SHA-384", "SHA-512")
_CURVES = ("SECT571K1", "SECT409K1", "SECT571R1", "SECT409R1", "SECP521R1", "SECP384R1")
_KEYS = ("RSA-PSS", "DSA", *(f"ECC_{curve}" for curve in _CURVES))


def require(session: Session, image_id: str) -> None:
    """Raises BadRequest when data that comes now couldn't be verified."""
    query = sa.select(ImageProperty.name, ImageProperty.value).where(
        ImageProperty.image_id == image_id, ImageProperty.name.in_(PROPERTIES)
    )
    given = {row.name: row.value for row in session.execute(query)}
    if len(given) == len(PROPERTIES):
        raise BadRequest(
            f"Signature verification failed for image {image_id}: Signature verification for the image failed: "
            f"{_problem(given)}."
        )


def _problem(given: dict[str, str]) -> str:
    try:
        base64.b64decode(given[_SIGNATURE].encode())
    except binascii.Error:
        return "The signature data was not properly encoded using base64"
    if given[_HASH] not in _HASHES:
        return f"Invalid signature hash method: {given[_HASH]}"
    if given[_KEY] not in _KEYS:
        return f"Invalid signature key type: {given[_KEY]}"
    return f"Unable to retrieve certificate with ID: {given[_CERTIFICATE]}"
