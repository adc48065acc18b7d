"""Odd values in the queries of lists, as Glance takes them."""

from __future__ import annotations

import pytest

from tests.image.conftest import Images

NAMESPACES = "/v2/metadefs/namespaces"


def words(images: Images, path: str, as_: str = "admin") -> tuple[int, str]:
    answer = images.client.get(path, as_=as_, headers={"Accept": "application/json"})
    return answer.status_code, answer.json.get("message", "").partition("<")[0]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=1&limit=2", ["b"]),
        ("sort=name:asc&sort=name:desc", ["a", "b"]),
        ("protected=true&protected=false", ["b", "a"]),
        ("os_hidden=true&os_hidden=false", ["b", "a"]),
        ("created_at=gte:2026", ["b", "a"]),
        ("created_at=lt:2026-01", []),
        ("created_at=gt:2027", []),
        ("virtual_size_max=5", ["b"]),
        ("virtual_size_min=5&size_min=1", ["a"]),
        ("gl_min=5", []),
    ],
)
def test_lists_of_images(images, cloud, query, names):
    images.active(b"0123456789", name="a")
    cloud.clock.advance(1)
    images.active(b"0123", name="b")
    assert images.names(f"?{query}") == names


@pytest.mark.parametrize("name", ["status_min", "gl_max", "size_min", "virtual_size_max"])
def test_a_range_has_a_number(images, name):
    assert words(images, f"/v2/images?{name}=x") == (400, "Unable to filter on a range with a non-numeric value.")


def test_directions_are_looked_at_before_they_are_counted(images):
    assert words(images, "/v2/images?sort_dir=x&sort_dir=asc") == (400, "Invalid sort direction: x")
    assert words(images, "/v2/images?sort_dir=asc&sort_dir=asc")[1].startswith("Number of sort dirs")


def test_a_full_page_has_a_next_one(images):
    first = images.create(name="a")["id"]
    page = images.client.get("/v2/images?limit=1").json
    assert page["next"] == f"/v2/images?limit=1&marker={first}"
    assert "next" not in images.client.get(page["next"]).json
    assert "next" not in images.client.get("/v2/images?limit=2").json
    assert "next" not in images.client.get("/v2/images?limit=0").json
    assert words(images, f"/v2/images?marker=x&marker={first}") == (400, "No image found with ID x")
    assert words(images, "/v2/images?marker=") == (400, "No image found with ID ")


def test_lists_of_tasks(images):
    image = images.create()["id"]
    images.upload(image, b"data", where="stage")
    images.import_(image, "glance-direct")
    (task,) = images.client.get("/v2/tasks", as_="admin").json["tasks"]
    for query, found in (
        (f"id={task['id']}", 1), ("id=x", 0), (f"owner={task['owner']}", 1), ("owner=x", 0), ("type=", 0),
        ("status=", 0), (f"image_id={image}", 1), ("sort_key=owner", 1), ("sort_key=expires_at&sort_dir=asc", 1),
        ("limit=0&limit=1", 0), ("limit=1&limit=0", 1), ("unknown=x", 1),
    ):  # fmt: skip
        assert len(images.client.get(f"/v2/tasks?{query}", as_="admin").json["tasks"]) == found, query
    assert images.client.get("/v2/tasks?limit=1&limit=2", as_="admin").json["first"] == "/v2/tasks?limit=2"
    for query, message in (
        ("type=api_image_import", "Invalid type value: api_image_import"),
        ("sort_key=", "Sort key supplied was not valid."),
        ("sort_dir=", "Invalid sort direction: "),
        ("marker=", "Task with the given id  was not found"),
        ("marker=x", "Invalid marker format"),
        ("marker=11111111-2222-4333-8444-555555555555",
         "Task with the given id 11111111-2222-4333-8444-555555555555 was not found"),
    ):  # fmt: skip
        assert words(images, f"/v2/tasks?{query}") == (400, message)


def test_lists_of_definitions(images):
    shape = {"title": "T", "type": "string"}
    images.client.post(NAMESPACES, as_="admin", json={
        "namespace": "n", "visibility": "public", "objects": [{"name": "o1"}, {"name": "o2"}],
        "properties": {"p": shape}, "tags": [{"name": "t1"}, {"name": "t2"}],
        "resource_type_associations": [{"name": "A"}],
    })  # fmt: skip
    for query in ("", "?limit=1", "?marker=x", "?sort_key=x&sort_dir=asc", "?marker=o1&limit=5"):
        found = images.client.get(f"{NAMESPACES}/n/objects{query}").json["objects"]
        assert [one["name"] for one in found] == ["o1", "o2"]
    assert [tag["name"] for tag in images.client.get(f"{NAMESPACES}/n").json["tags"]] == ["t2", "t1"]
    assert [tag["name"] for tag in images.client.get(f"{NAMESPACES}/n/tags?limit=1").json["tags"]] == ["t2"]
    assert images.client.get(f"{NAMESPACES}?visibility=").json["namespaces"] == []
    for path, expected in (
        ("/n/objects?limit=", (400, "limit param must be an integer")),
        ("/n/objects?limit=0", (400, "limit param must be positive")),
        ("/n/objects?sort_dir=x", (400, "Invalid sort direction: x")),
        ("/n/objects?visibility=x", (400, "Invalid visibility value: x")),
        ("/n/tags?sort_dir=", (400, "Invalid sort direction: ")),
        ("/n/tags?sort_key=x", (400, "Sort key supplied was not valid: x")),
        ("/m/tags?sort_key=x", (404, "Namespace m not found")),
        ("?sort_dir=", (400, "Invalid sort direction: ")),
        ("?marker=", (404, "Metadata definition namespace not found for id=")),
        ("?marker=m", (404, "Metadata definition namespace=m was not found.")),
        ("/n/properties/p?resource_type=B",
         (404, "The metadata definition resource-type with name=B, was not found.")),
        ("/n/properties/p?resource_type=A", (404, "Property p does not start with the expected resource type "
                                                  "association prefix of 'None'.")),
    ):  # fmt: skip
        assert words(images, NAMESPACES + path, "member") == expected
