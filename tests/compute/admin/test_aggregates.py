"""Host aggregates and what they do to availability zones."""

from __future__ import annotations

import pytest


def message(answer):
    (fault,) = answer.json.values()
    return fault["message"]


def make(operator, name="agg", zone=None, version="2.1"):
    body = {"aggregate": {"name": name, **({"availability_zone": zone} if zone else {})}}
    return operator.post("os-aggregates", body, version)


def act(operator, aggregate, action, **argument):
    return operator.post(f"os-aggregates/{aggregate}/action", {action: argument})


def test_life_of_an_aggregate(nova, operator):
    made = make(operator, zone="london", version="2.41")
    assert made.status_code == 200
    body = made.json["aggregate"]
    assert set(body) == {"id", "uuid", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at"}
    path = f"os-aggregates/{body['id']}"
    shown = operator.get(path).json["aggregate"]
    assert (shown["hosts"], shown["metadata"]) == ([], {"availability_zone": "london"})
    assert "uuid" not in shown
    assert operator.put(path, {"aggregate": {"name": "new"}}).json["aggregate"]["name"] == "new"
    added = act(operator, body["id"], "add_host", host="host1").json["aggregate"]
    assert added["hosts"] == ["host1"]
    changed = act(operator, body["id"], "set_metadata", metadata={"ssd": "true"}).json["aggregate"]
    assert changed["metadata"] == {"availability_zone": "london", "ssd": "true"}
    changed = act(operator, body["id"], "set_metadata", metadata={"ssd": None}).json["aggregate"]
    assert changed["metadata"] == {"availability_zone": "london"}
    assert message(operator.delete(path)) == (
        f"Cannot remove host from aggregate {body['id']}. Reason: Host aggregate is not empty."
    )
    assert act(operator, body["id"], "remove_host", host="host1").json["aggregate"]["hosts"] == []
    assert operator.delete(path).status_code == 200
    assert operator.get(path).status_code == 404
    assert operator.get("os-aggregates").json == {"aggregates": []}


def test_refusals(nova, operator):
    first = make(operator).json["aggregate"]["id"]
    assert message(make(operator)) == "Aggregate agg already exists."
    assert make(operator).status_code == 409
    assert act(operator, first, "add_host", host="host9").status_code == 404
    assert act(operator, first, "remove_host", host="host1").status_code == 404
    assert act(operator, first, "add_host", host="host1").status_code == 200
    assert act(operator, first, "add_host", host="host1").status_code == 409
    assert act(operator, first, "jump").status_code == 400
    assert operator.post(f"os-aggregates/{first}/action", {}).status_code == 400
    assert operator.get("os-aggregates/x").status_code == 400
    assert operator.get(f"os-aggregates/{'9' * 30}").status_code == 404
    assert operator.get("os-aggregates/-1").status_code == 404
    assert operator.put(f"os-aggregates/{first}", {"aggregate": {}}).status_code == 400
    assert act(operator, first, "set_metadata", metadata={"a/b": "x"}).status_code == 400
    member = operator.post(f"os-aggregates/{first}/action", {"add_host": {"host": "host1"}}, as_="member")
    assert member.status_code == 403
    assert operator.get("os-aggregates", as_="member").status_code == 403


@pytest.mark.parametrize("name", ["", " x", "x" * 256, 1, None])
def test_bad_names(operator, name):
    assert operator.post("os-aggregates", {"aggregate": {"name": name}}).status_code == 400


def test_a_zone_is_where_servers_go(nova, second, operator):
    assert nova.create(availability_zone="london").status_code == 400
    aggregate = make(operator, zone="london").json["aggregate"]["id"]
    act(operator, aggregate, "add_host", host="host2")
    zones = operator.get("os-availability-zone", as_="member").json["availabilityZoneInfo"]
    assert [zone["zoneName"] for zone in zones] == ["london", "nova"]
    server = nova.create(availability_zone="london").json["server"]["id"]
    nova.schedule()
    second.run()
    shown = nova.show(server, as_="admin")
    assert (shown["OS-EXT-SRV-ATTR:host"], shown["OS-EXT-AZ:availability_zone"]) == ("host2", "london")
    assert operator.get("os-services?host=host2").json["services"][0]["zone"] == "london"
    # The server must not find itself in another zone.
    assert operator.put(f"os-aggregates/{aggregate}", {"aggregate": {"availability_zone": "paris"}}).status_code == 400
    assert act(operator, aggregate, "remove_host", host="host2").status_code == 409
    other = make(operator, "other", zone="paris").json["aggregate"]["id"]
    assert act(operator, other, "add_host", host="host2").status_code == 409
    assert act(operator, other, "add_host", host="host1").status_code == 200


def test_images_cache(nova, operator):
    aggregate = make(operator).json["aggregate"]["id"]
    image = {"id": "70a599e0-31e7-49b7-b260-868f441e862b"}
    path = f"os-aggregates/{aggregate}/images"
    assert operator.post(path, {"cache": [image]}, "2.81").status_code == 202
    assert operator.post(path, {"cache": [image]}, "2.80").status_code == 404
    assert operator.post(path, {"cache": [image, image]}, "2.81").status_code == 400
    assert operator.post(path, {"cache": []}, "2.81").status_code == 400
