"""Unified limits of images: what is registered in identity bounds what a project has."""

from __future__ import annotations

import pytest

from onestack.identity import catalog
from onestack.identity.models_limits import Limit, RegisteredLimit
from tests.conftest import OTHER_PROJECT, PROJECT


@pytest.fixture
def register(cloud, images):
    """`register(resource, default, project's own)`"""
    service = next(service.id for service in catalog.own_services() if service.type == "image")

    def register(resource: str, default: int, own: int | None = None) -> None:
        with cloud.db.write() as session:
            session.add(RegisteredLimit(id=resource, service_id=service, resource_name=resource, default_limit=default))
            session.flush()
            if own is not None:
                session.add(Limit(id=resource, registered_limit_id=resource, project_id=PROJECT, resource_limit=own))

    return register


def test_without_a_registered_limit_nothing_is_bounded(images, register):
    images.create()
    assert images.client.get("/v2/info/usage").json == {"usage": {}}


def test_images_are_counted(images, register):
    register("image_count_total", 0, own=1)
    image = images.create()
    for path, more in (("/v2/images", {"json": {}}), ("/v1/images", {"headers": {"x-image-meta-name": "n"}})):
        answer = images.client.post(path, **more)
        assert (answer.status_code, "Resource image_count_total is over limit of 1" in answer.text) == (413, True)
    assert images.client.get("/v2/info/usage").json["usage"] == {"image_count_total": {"usage": 1, "limit": 1}}
    assert images.client.post("/v2/images", as_="other", json={}).status_code == 413, OTHER_PROJECT
    images.client.delete(f"/v2/images/{image['id']}")
    images.create()


def test_bytes_are_counted_in_mebibytes(images, register):
    images.active(b"x" * (2 << 20))
    register("image_size_total", 1)
    image = images.create()
    assert images.upload(image["id"], b"data").status_code == 413
    assert images.client.get("/v2/info/usage").json["usage"]["image_size_total"] == {"usage": 2, "limit": 1}


def test_staged_bytes_have_a_limit_of_their_own(images, register):
    first, second = images.create(), images.create()
    assert images.upload(first["id"], b"x" * (1 << 20), where="stage").status_code == 204
    register("image_stage_total", 0)
    assert images.upload(second["id"], b"x", where="stage").status_code == 413
    assert images.upload(second["id"], b"x").status_code == 204


@pytest.mark.parametrize(("where", "resource"), [("file", "image_size_total"), ("stage", "image_stage_total")])
def test_a_size_that_is_known_counts_at_once(images, register, where, resource):
    register(resource, 2)
    image = images.create()["id"]
    answer = images.upload(image, b"x" * (3 << 20), where=where)
    words = f"Resource {resource} is over limit of 2 due to current usage 0 and delta 3"
    assert (answer.status_code, words in answer.text) == (413, True), answer.text
    assert images.files() == set()
    assert images.upload(image, b"x" * (2 << 20), where=where).status_code == 204


def test_uploads_at_once_have_a_limit(images, register):
    register("image_count_uploading", 1)
    first, second = images.create(), images.create()
    assert images.upload(first["id"], b"x", where="stage").status_code == 204
    assert images.upload(second["id"], b"x", where="stage").status_code == 413
    assert images.upload(second["id"], b"x").status_code == 413
    images.import_(first["id"], "glance-direct")
    assert images.upload(second["id"], b"x").status_code == 204


def test_no_import_is_begun_beyond_the_limit(images, register):
    images.active(b"x" * (2 << 20))
    image = images.create()
    images.upload(image["id"], b"x", where="stage")
    register("image_size_total", 1)
    answer = images.import_(image["id"], "glance-direct")
    assert (answer.status_code, "image_size_total is over limit of 1" in answer.text) == (413, True)
    assert images.show(image["id"]).json["status"] == "uploading"


def test_what_was_staged_must_fit(images, register):
    register("image_size_total", 1)
    image = images.create()
    images.upload(image["id"], b"x" * (2 << 20), where="stage")
    assert images.import_(image["id"], "glance-direct").status_code == 202
    task = images.task(image["id"])
    assert (task["status"], images.show(image["id"]).json["status"]) == ("failure", "queued")
    assert "image_size_total is over limit of 1 due to current usage 0 and delta 2" in task["message"]


def test_what_comes_from_elsewhere_is_staged_as_well(images, register):
    staged, image = images.create(), images.create()
    images.upload(staged["id"], b"x" * (1 << 20), where="stage")
    register("image_stage_total", 0)
    images.import_(image["id"], "web-download", method={"uri": "http://example.invalid/"})
    assert "image_stage_total is over limit of 0" in images.task(image["id"])["message"]
