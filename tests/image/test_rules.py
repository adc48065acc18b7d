"""What an operator's rules can look at: every attribute of an image, and its custom properties."""

from __future__ import annotations

import json

import pytest

from tests.conftest import OTHER_PROJECT


@pytest.fixture
def rule(cloud):
    """`rule(name, check)`: the operator's file says so from now on."""
    folder = cloud.settings.path("policy")
    folder.mkdir()

    def write(name: str, check: str) -> None:
        (folder / "image.json").write_text(json.dumps({name: check}))

    return write


def test_downloads_by_a_custom_property(images, rule):
    """Glance's own example: who may download isn't who may see."""
    rule("download_image", "not 'secret':%(grade)s and role:member or role:admin")
    secret, plain = images.active(grade="secret")["id"], images.active(grade="none")["id"]
    bare = images.active()["id"]

    def download(image: str, as_: str = "member") -> int:
        return images.client.get(f"/v2/images/{image}/file", as_=as_).status_code

    assert [download(image) for image in (plain, bare, secret)] == [200, 200, 403]
    assert download(secret, "admin") == 200
    assert images.show(secret).status_code == 200
    assert images.client.get(f"/v1/images/{secret}").status_code == 403


def test_a_property_that_must_be_there(images, rule):
    rule("modify_image", "'yes':%(open)s")
    open_, bare = images.create(open="yes")["id"], images.create()["id"]
    change = {"op": "replace", "path": "/name", "value": "n"}
    assert [images.patch(image, change).status_code for image in (open_, bare)] == [200, 403]


def test_lists_show_what_the_rule_lets_one_see(images, rule):
    rule("get_image", "role:admin or not 'secret':%(grade)s and (project_id:%(owner)s or project_id:%(member_id)s)")
    for name, grade in (("a", "secret"), ("b", "none"), ("c", "secret"), ("d", "none")):
        image = images.create(name=name, grade=grade, visibility="shared")["id"]
        images.client.post(f"/v2/images/{image}/members", json={"member": OTHER_PROJECT})
        images.client.put(f"/v2/images/{image}/members/{OTHER_PROJECT}", as_="other", json={"status": "accepted"})
    images.create("admin", name="public", visibility="public")
    assert images.names("?sort=name:asc") == ["b", "d"]
    assert images.names("?sort=name:asc", "other") == ["b", "d"]
    assert images.names("?sort=name:asc", "admin") == ["a", "b", "c", "d", "public"]
    seen, page = [], {"next": "/v2/images?sort=name:asc&limit=1"}
    while "next" in page:
        page = images.client.get(page["next"]).json
        seen += [image["name"] for image in page["images"]]
    assert seen == ["b", "d"], "pages go on behind what isn't shown"


def test_attributes(images, rule):
    rule("delete_image", "'queued':%(status)s and 'raw':%(disk_format)s and 'True':%(os_hidden)s")
    hidden, seen = images.create(os_hidden=True)["id"], images.create()["id"]
    assert images.client.delete(f"/v2/images/{hidden}").status_code == 204
    assert images.client.delete(f"/v2/images/{seen}").status_code == 403


def test_a_property_does_not_pass_for_what_glance_says(images, rule):
    """Nobody makes an image theirs by a property of that name."""
    rule("delete_image", "project_id:%(project_id)s or project_id:%(tenant)s or project_id:%(member_id)s")
    image = images.create(visibility="shared", project_id=OTHER_PROJECT, tenant=OTHER_PROJECT)["id"]
    images.client.post(f"/v2/images/{image}/members", json={"member": "3" * 32})
    assert images.client.delete(f"/v2/images/{image}", as_="other").status_code == 404
    public = images.create("admin", visibility="public", member_id=OTHER_PROJECT)["id"]
    assert images.client.delete(f"/v2/images/{public}", as_="other").status_code == 403
