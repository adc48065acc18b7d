"""Bad input on the wire: each service refuses it in the real service's own way, and nothing is left half done."""

from __future__ import annotations

import errno
import json

import pytest

from onestack.image import store
from tests.contract import bodies, checks
from tests.contract.world import MARK, SERVICES

ABSENT = "8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e"
JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}
CREATE = {
    "identity": ("/v3/projects", {"project": {"name": "p", "domain_id": "default"}}, "admin"),
    "image": ("/v2/images", {"name": "i"}, "member"),
    "placement": ("/resource_providers", {"name": "p"}, "admin"),
    "network": ("/v2.0/networks", {"network": {"name": "n"}}, "member"),
    "compute": (
        "/v2.1/servers", {"server": {"name": "s", "flavorRef": "1", "imageRef": "$public_image_id"}}, "member",
    ),
}  # fmt: skip

UNKNOWN_PATHS = ["/nothing", "/v2.1/nothing", "/v3/nothing", "/v2/nothing/x", "/v2.0/%00", "/x/../y"]


@pytest.fixture
def refused(world):
    """`refused(service, status, method, path, …)` → the answer, after what is true of each refusal was checked."""

    def ask(service, status, method, path, body=None, as_="member", raw=None, headers=None, **more):
        before, files = world.differences(), world.files()
        path = "/".join(bodies.filled(part, world.ids) for part in path.split("/"))
        data = json.dumps(bodies.filled(body, world.ids)).encode() if body is not None else b""
        answer = world.callers[service].request(
            method, path, world.tokens[as_], body=data if raw is None else raw, headers=JSON | (headers or {}), **more
        )
        assert answer.status == status, (method, path, body, answer.status, answer.text)
        checks.check_answer(service, method, answer)
        assert world.differences() == before
        assert world.files() == files
        return answer

    return ask


@pytest.mark.parametrize("service", SERVICES)
class TestEveryService:
    def test_what_is_good_is_taken(self, world, service):
        path, body, as_ = CREATE[service]
        world.ask(service, "POST", path, bodies.filled(body, world.ids), as_)
        assert world.differences()

    @pytest.mark.parametrize("path", UNKNOWN_PATHS)
    def test_unknown_paths(self, refused, service, path):
        # Glance and Nova answer what begins with no version of theirs with the choice of versions.
        known = {"image": ("/v1", "/v2"), "compute": ("/v2/", "/v2.1/")}.get(service, ("/",))
        refused(service, 404 if path.startswith(known) else 300, "GET", path)

    def test_methods_that_are_not_there(self, refused, service):
        path, body, as_ = CREATE[service]
        # To Nova a method that a path doesn't have is a path that isn't there.
        answer = refused(service, 404 if service == "compute" else 405, "PATCH", path, body, as_)
        assert service == "compute" or "POST" in answer.headers["allow"]

    @pytest.mark.parametrize(
        "raw", [b"", b"{", b"[1", b"\xff", b'{"a": nan}', b"[" * 100000, b'{"a": "\\ud800"}', b"1e999", b"{} {}"]
    )
    def test_malformed_json(self, refused, service, raw):
        path, _body, as_ = CREATE[service]
        refused(service, 400, "POST", path, as_=as_, raw=raw)

    @pytest.mark.parametrize("body", [[], "x", 1, False, {"x": {}}, {"server": [], "network": [], "project": []}])
    def test_documents_of_another_kind(self, refused, service, body):
        path, _body, as_ = CREATE[service]
        refused(service, 400, "POST", path, body, as_)

    def test_oversize_bodies(self, refused, world, service):
        """Announced or not, more than the service reads is refused before it is parsed."""
        path, _body, as_ = CREATE[service]
        limit = world.applications[service].dialect.max_body
        assert limit <= 16 << 20
        refused(service, 413, "POST", path, as_=as_, raw=b" " * (limit + 1))
        refused(service, 413, "POST", path, as_=as_, raw=[b" " * 65536] * (limit // 65536 + 2))
        refused(service, 413, "POST", path, as_=as_, raw=b"{}", headers={"Content-Length": str(limit + 1)})

    def test_names_that_are_too_long(self, refused, service):
        path, body, as_ = CREATE[service]
        text = json.dumps(body).replace('"name": "', '"name": "' + "x" * 256)
        refused(service, 400, "POST", path, json.loads(text), as_)

    def test_tokens_that_are_no_good(self, refused, service):
        path, body, _as = CREATE[service]
        for persona in ("none", "garbage", "revoked", "disabled"):
            answer = refused(service, 401, "POST", path, body, persona)
            if service == "image":
                assert "This server could not verify that you are authorized" in answer.text
            else:
                assert answer.json["error"]["message"] == "The request you have made requires authentication."


NUMBERS = [-1, 2**31, 2**63, -(2**70), 10**400, 1.5, "1x", None, True, [], {}]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_huge_and_negative_numbers(refused, number):
    flavor = {"name": "f", "ram": number, "vcpus": 1, "disk": 1}
    port = {"security_group_id": "$security_group_id", "direction": "ingress", "protocol": "tcp",
            "port_range_min": number, "port_range_max": 70000}  # fmt: skip
    inventory = {"resource_provider_generation": 0, "total": number}
    refused("compute", 400, "POST", "/v2.1/flavors", {"flavor": flavor}, "admin")
    refused("network", 400, "POST", "/v2.0/security-group-rules", {"security_group_rule": port})
    refused("image", 400, "POST", "/v2/images", {"name": "i", "min_ram": [number]})
    refused("image", 400, "POST", "/v2/images", {"name": "i", "min_disk": number if number != 1.5 else 2**31})
    refused("placement", 400, "PUT", "/resource_providers/$provider/inventories/VCPU", inventory, "admin")
    refused("identity", 400, "POST", "/v3/projects", {"project": {"name": "p", "enabled": [number]}}, "admin")


@pytest.mark.parametrize("version", ["2.9999", "3.0", "0.1", "1.99"])
def test_unknown_microversions(refused, version):
    answer = refused("compute", 406, "GET", "/v2.1/servers", headers={"OpenStack-API-Version": f"compute {version}"})
    fault = answer.json["computeFault"]
    assert fault["code"] == 406
    assert f"Version {version} is not supported by the API." in fault["message"]
    answer = refused(
        "placement", 406, "GET", "/resource_providers", as_="admin",
        headers={"OpenStack-API-Version": f"placement {version}"},
    )  # fmt: skip
    (error,) = answer.json["errors"]
    assert (error["status"], error["min_version"], error["max_version"]) == (406, "1.0", "1.39")


@pytest.mark.parametrize("version", ["x", "2", "2.01", "2.1.1", "-2.1", "²"])
def test_microversions_that_are_none(refused, version):
    sent = f"compute {version}".encode().decode("latin-1")
    refused("compute", 400, "GET", "/v2.1/servers", headers={"OpenStack-API-Version": sent})
    sent = sent.replace("compute", "placement")
    status = 406 if version in ("2.01", "-2.1") else 400  # two numbers are a version, however they are written
    refused("placement", status, "GET", "/resource_providers", as_="admin", headers={"OpenStack-API-Version": sent})


def test_a_microversion_of_another_service_is_nobodys_business(world):
    answer = world.callers["compute"].request(
        "GET", "/v2.1/servers", world.tokens["member"], headers={"OpenStack-API-Version": "volume 99.9"}
    )
    assert answer.status == 200


UNKNOWN = [
    ("compute", 404, "GET", f"/v2.1/servers/{ABSENT}", None), ("compute", 404, "GET", "/v2.1/servers/x", None),
    ("compute", 404, "GET", "/v2.1/flavors/nope", None), ("compute", 404, "GET", "/v2.1/os-keypairs/nope", None),
    ("compute", 400, "POST", "/v2.1/servers", {"server": {"name": "s", "flavorRef": "nope", "imageRef": ABSENT}}),
    ("compute", 400, "POST", "/v2.1/servers", {"server": {"name": "s", "flavorRef": "1", "imageRef": ABSENT}}),
    ("compute", 400, "POST", "/v2.1/servers", {"server": {
        "name": "s", "flavorRef": "1", "imageRef": "$public_image_id", "key_name": "nope"}}),
    ("compute", 400, "POST", "/v2.1/servers", {"server": {
        "name": "s", "flavorRef": "1", "imageRef": "$public_image_id", "availability_zone": "nowhere"}}),
    ("compute", 400, "POST", "/v2.1/servers", {"server": {
        "name": "s", "flavorRef": "1", "imageRef": "$public_image_id", "networks": [{"uuid": ABSENT}]}}),
    ("compute", 400, "POST", "/v2.1/servers", {"server": {
        "name": "s", "flavorRef": "1", "imageRef": "$public_image_id", "networks": [{"port": ABSENT}]}}),
    ("compute", 400, "POST", "/v2.1/servers", {"server": {
        "name": "s", "flavorRef": "1", "imageRef": "$public_image_id", "security_groups": [{"name": "nope"}],
        "networks": [{"uuid": "$network_id"}]}}),
    ("compute", 400, "POST", "/v2.1/servers/$server_id/action", {"fly": None}),
    ("network", 404, "GET", f"/v2.0/networks/{ABSENT}", None), ("network", 404, "GET", "/v2.0/ports/nope", None),
    ("network", 404, "POST", "/v2.0/subnets", {"subnet": {
        "network_id": ABSENT, "cidr": "10.0.0.0/24", "ip_version": 4}}),
    ("network", 404, "POST", "/v2.0/ports", {"port": {"network_id": ABSENT}}),
    ("network", 404, "POST", "/v2.0/ports", {"port": {"network_id": "$network_id", "security_groups": [ABSENT]}}),
    ("network", 404, "POST", "/v2.0/floatingips", {"floatingip": {"floating_network_id": ABSENT}}),
    ("network", 400, "POST", "/v2.0/networks", {"network": {"name": "n", "colour": "blue"}}),
    ("image", 404, "GET", f"/v2/images/{ABSENT}", None), ("image", 404, "DELETE", "/v2/images/nope", None),
    ("identity", 403, "GET", "/v3/users/nope", None),
]  # fmt: skip


@pytest.mark.parametrize(("service", "status", "method", "path", "body"), UNKNOWN)
def test_unknown_names(refused, service, status, method, path, body):
    refused(service, status, method, path, body)


def test_unknown_names_for_the_admin(refused):
    for plural in (
        "projects",
        "users",
        "roles",
        "domains",
        "groups",
        "services",
        "endpoints",
        "regions",
        "credentials",
    ):
        refused("identity", 404, "GET", f"/v3/{plural}/nope", as_="admin")
    refused("placement", 404, "GET", f"/resource_providers/{ABSENT}", as_="admin")
    refused("placement", 404, "DELETE", "/resource_classes/CUSTOM_NOPE", as_="admin",
            headers={"OpenStack-API-Version": "placement 1.2"})  # fmt: skip


BAD_SUBNETS = [
    {"cidr": "10.9.0.0/33"}, {"cidr": "10.9.0.0"}, {"cidr": "x"}, {"cidr": "300.0.0.0/8"}, {"cidr": ""}, {"cidr": None},
    {"cidr": "fd00::/64"}, {"cidr": "10.9.0.0/24", "ip_version": 6}, {"cidr": "10.9.0.0/24", "ip_version": 5},
    {"cidr": "10.9.0.0/24", "gateway_ip": "x"}, {"cidr": "10.9.0.0/24", "gateway_ip": "fd00::1"},
    {"cidr": "10.9.0.0/24", "gateway_ip": "10.9.0.255"},
    {"cidr": "10.9.0.0/24", "allocation_pools": [{"start": "10.9.0.9", "end": "10.9.0.5"}]},
    {"cidr": "10.9.0.0/24", "allocation_pools": [{"start": "10.8.0.9", "end": "10.8.0.19"}]},
    {"cidr": "10.9.0.0/24", "allocation_pools": [{"start": "10.9.0.5"}]},
    {"cidr": "10.9.0.0/24", "dns_nameservers": ["nope nope"]},
    {"cidr": "10.9.0.0/24", "host_routes": [{"destination": "x", "nexthop": "y"}]},
    {"cidr": "10.0.0.128/25"}, {"cidr": "10.0.0.0/16"},
]  # fmt: skip


@pytest.mark.parametrize("values", BAD_SUBNETS, ids=str)
def test_bad_cidrs(refused, values):
    subnet = {"network_id": "$network_id", "ip_version": 4} | values
    refused("network", 400, "POST", "/v2.0/subnets", {"subnet": subnet})


def test_overlapping_pools(refused):
    pools = [{"start": "10.9.0.10", "end": "10.9.0.20"}, {"start": "10.9.0.15", "end": "10.9.0.30"}]
    subnet = {"network_id": "$network_id", "ip_version": 4, "cidr": "10.9.0.0/24", "allocation_pools": pools}
    answer = refused("network", 409, "POST", "/v2.0/subnets", {"subnet": subnet})
    assert answer.json["NeutronError"]["type"] == "OverlappingAllocationPools"


def test_a_bulk_create_is_all_or_nothing(refused):
    port = {"network_id": "$network_id"}
    refused("network", 404, "POST", "/v2.0/ports", {"ports": [port, port, {"network_id": ABSENT}]})


def test_other_tenants_ids(refused):
    for service, path in (
        ("compute", "/v2.1/servers/$server_id"), ("compute", "/v2.1/os-server-groups/$group_id_of_servers"),
        ("network", "/v2.0/networks/$network_id"), ("network", "/v2.0/subnets/$subnet_id"),
        ("network", "/v2.0/ports/$port_id"), ("network", "/v2.0/routers/$router_id"),
        ("network", "/v2.0/floatingips/$floatingip_id"), ("network", "/v2.0/security-groups/$security_group_id"),
        ("network", "/v2.0/security-group-rules/$rule_id"), ("image", "/v2/images/$image_id"),
    ):  # fmt: skip
        for method in ("GET", "DELETE"):
            assert MARK not in refused(service, 404, method, path, as_="other").text


class TestUploads:
    """An upload that fails leaves an image that can be given its data again."""

    PATH = "/v2/images/$queued_image_id/file"

    @pytest.fixture
    def upload(self, world):
        files = world.files()

        def put(status, data, **more):
            path = f"/v2/images/{world.ids['queued_image_id']}/file"
            answer = world.callers["image"].request(
                "PUT", path, world.tokens["member"], body=data, headers=BYTES | more.pop("headers", {}), **more
            )
            assert answer.status == status, answer.text
            if status >= 400:
                checks.check_answer("image", "PUT", answer)
                shown = world.ask("image", "GET", path.removesuffix("/file"), as_="member")
                assert (shown["status"], shown["size"], shown["checksum"]) == ("queued", None, None)
                assert world.files() == files
            return answer

        return put

    def test_truncated(self, upload):
        upload(400, [b"x" * 999], headers={"Content-Length": "1000"}, gone=True)
        upload(400, [b"x" * 999], gone=True)
        upload(204, b"now")

    def test_a_full_disk(self, upload, monkeypatch):
        written = store.Staging.write

        def full(staging, data):
            if staging.size > 2 << 20:
                raise OSError(errno.ENOSPC, "No space left on device")
            written(staging, data)

        with monkeypatch.context() as patch:
            patch.setattr(store.Staging, "write", full)
            answer = upload(413, [b"x" * (1 << 20)] * 9)
        assert "not enough disk space" in answer.text
        upload(204, b"now")

    def test_data_that_lies_about_its_format(self, world, refused):
        made = world.ask("image", "POST", "/v2/images",
                         {"name": "q", "disk_format": "qcow2", "container_format": "bare"}, "member")  # fmt: skip
        refused("image", 415, "PUT", f"/v2/images/{made['id']}/stage", raw=b"x" * 1024, headers=JSON)
        answer = world.callers["image"].request(
            "PUT", f"/v2/images/{made['id']}/file", world.tokens["member"], body=b"not qcow2 " * 512, headers=BYTES
        )
        assert answer.status == 415, answer.text
        assert world.ask("image", "GET", f"/v2/images/{made['id']}", as_="member")["status"] == "queued"
        assert not world.new_files()
