"""Signed images: without a key manager none can be verified, and what can't be verified isn't taken."""

from __future__ import annotations

import pytest

SIGNED = {
    "img_signature": "c2lnbmF0dXJl", "img_signature_hash_method": "SHA-256", "img_signature_key_type": "RSA-PSS",
    "img_signature_certificate_uuid": "b1a5cd0e-6a36-4c3b-8a4e-6f5ad6cd9a8e",
}  # fmt: skip
NOT_HAD = f"Unable to retrieve certificate with ID: {SIGNED['img_signature_certificate_uuid']}."
BEGINNING = "Signature verification failed for image {}: Signature verification for the image failed: "


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, NOT_HAD), ({"img_signature": "abc"}, "The signature data was not properly encoded using base64."),
        ({"img_signature_hash_method": "MD5"}, "Invalid signature hash method: MD5."),
        ({"img_signature_key_type": "ECC_X"}, "Invalid signature key type: ECC_X."),
        ({"img_signature_key_type": "ECC_SECP384R1"}, NOT_HAD), ({"img_signature_key_type": "DSA"}, NOT_HAD),
    ],
)  # fmt: skip
def test_an_upload_is_refused_and_the_image_waits_for_data(images, change, words):
    image = images.create(**SIGNED | change)["id"]
    answer = images.upload(image, b"data")
    assert (answer.status_code, BEGINNING.format(image) + words in answer.text) == (400, True)
    assert images.show(image).json["status"] == "queued"
    assert images.files() == set()
    images.patch(image, {"op": "remove", "path": "/img_signature"})
    assert images.upload(image, b"data").status_code == 204


@pytest.mark.parametrize("name", SIGNED)
def test_a_part_of_a_signature_is_none(images, name):
    assert images.active(**{key: value for key, value in SIGNED.items() if key != name})["status"] == "active"


def test_an_import_fails_with_the_same_words(images):
    image = images.create(**SIGNED)["id"]
    assert images.upload(image, b"data", where="stage").status_code == 204
    assert images.import_(image, "glance-direct").status_code == 202
    task = images.task(image)
    assert (task["status"], task["message"]) == ("failure", BEGINNING.format(image) + NOT_HAD)
    shown = images.show(image).json
    assert (shown["status"], shown["size"], shown["os_glance_failed_import"]) == ("queued", None, "file")
    assert images.files() == set()


def test_api_v1_kills_the_image(images):
    headers = {
        "x-image-meta-name": "signed", "x-image-meta-disk_format": "raw", "x-image-meta-container_format": "bare",
        "Content-Type": "application/octet-stream",
        **{f"x-image-meta-property-{name}": value for name, value in SIGNED.items()},
    }  # fmt: skip
    answer = images.client.post("/v1/images", headers=headers, body=b"data")
    assert (answer.status_code, NOT_HAD in answer.text) == (400, True)
    assert images.names() == []
    assert images.files() == set()
