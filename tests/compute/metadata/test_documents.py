"""The documents, as pure functions of facts."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest

from onestack.compute.metadata import drive, lookup, openstack
from onestack.compute.metadata.facts import Facts, Key
from onestack.compute.metadata.network_data import network_data
from onestack.network.public import Nic, NicAddress

SERVER = "11111111-2222-4333-8444-555555555555"
PORT = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
SEED = b"s" * openstack.SEED_BYTES


def address(text="10.0.0.7", **more):
    given = {
        "version": 6 if ":" in text else 4, "subnet_id": "sub", "cidr": "10.0.0.0/24", "gateway": "10.0.0.1",
        "dns": ("9.9.9.9",), **more,
    }  # fmt: skip
    return NicAddress(address=text, **given)


def nic(*addresses, **more):
    given = {"network_name": "n", "mtu": 1442, "status": "ACTIVE", **more}
    return Nic(port_id=PORT, mac="fa:16:3e:00:00:01", network_id="net", fixed_ips=addresses, **given)


def facts(**more):
    given = {
        "key": Key(name="mine", type="ssh", data="ssh-rsa AAAA me"), "user_data": b"#!/bin/sh\n\xff",
        "meta": {"role": "web"}, "interfaces": [nic(address(), floating_ips=(("172.24.4.9", "10.0.0.7"),))],
        "disks": {"root": "/dev/vda", "swap": "/dev/vdb"}, "security_groups": ["default", "web"],
        "availability_zone": "nova", "reservation_id": "r-abc", "image_id": "70a599e0-31e7-49b7-b260-868f441e862b",
        "admin_password": "s3cret", "files": [("/etc/motd", b"hello")], **more,
    }  # fmt: skip
    return Facts(
        id=SERVER, number=26, project_id="p" * 32, name="One", hostname="one.novalocal", flavor_name="m1.tiny", **given
    )


def read(path, given=None):
    document = lookup.lookup(given or facts(), path, SEED)
    assert document is not None, path
    return document.content


def text(path, given=None):
    return read(path, given).decode()


def test_the_root_lists_the_versions_of_ec2():
    assert text("/").split("\n") == [
        "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
        "2009-04-04", "latest",
    ]  # fmt: skip


def test_openstack_versions_and_their_files():
    assert text("/openstack").split("\n") == [*openstack.VERSIONS, "latest"]
    assert text("/openstack/2012-08-10/").split("\n") == ["meta_data.json", "user_data"]
    assert text("/openstack/latest").split("\n") == [
        "meta_data.json", "user_data", "password", "vendor_data.json", "network_data.json", "vendor_data2.json",
    ]  # fmt: skip
    assert "user_data" not in text("/openstack/latest", facts(user_data=None))


def test_meta_data_json_of_the_latest_version():
    body = json.loads(read("/openstack/latest/meta_data.json"))
    assert body == {
        "uuid": SERVER, "meta": {"role": "web"}, "public_keys": {"mine": "ssh-rsa AAAA me"},
        "keys": [{"name": "mine", "type": "ssh", "data": "ssh-rsa AAAA me"}], "hostname": "one.novalocal",
        "name": "One", "launch_index": 0, "availability_zone": "nova",
        "random_seed": base64.b64encode(SEED).decode(), "project_id": "p" * 32, "devices": [], "dedicated_cpus": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        ("2012-08-10", {"random_seed", "project_id", "devices", "dedicated_cpus"}),
        ("2013-10-17", {"project_id", "devices", "dedicated_cpus"}),
        ("2015-10-15", {"devices", "dedicated_cpus"}),
        ("2018-08-27", {"dedicated_cpus"}),
        ("2025-04-04", set()),
    ],
)
def test_each_version_keeps_its_fields(version, absent):
    body = json.loads(read(f"/openstack/{version}/meta_data.json"))
    assert {"random_seed", "project_id", "devices", "dedicated_cpus"} - set(body) == absent


def test_a_tagged_interface_is_a_device():
    given = facts(interfaces=[nic(address(), tag="public"), nic(address())])
    (device,) = json.loads(read("/openstack/latest/meta_data.json", given))["devices"]
    assert device == {
        "type": "nic", "mac": "fa:16:3e:00:00:01", "bus": "none", "address": "none", "tags": ["public"],
        "vf_trusted": False,
    }  # fmt: skip


def test_a_server_without_key_and_metadata_says_nothing_of_them():
    body = json.loads(read("/openstack/latest/meta_data.json", facts(key=None, meta={})))
    assert not {"keys", "public_keys", "meta"} & set(body)


def test_the_network_never_serves_the_password_or_the_files():
    given = facts()
    for version in (*openstack.VERSIONS, "latest"):
        body = json.loads(read(f"/openstack/{version}/meta_data.json", given))
        assert not {"admin_pass", "files"} & set(body)
    assert lookup.lookup(given, "/openstack/content/0000", SEED) is None


def test_user_data_is_served_as_it_was_given():
    assert read("/openstack/latest/user_data") == b"#!/bin/sh\n\xff"
    assert read("/latest/user-data") == b"#!/bin/sh\n\xff"


def test_vendor_data():
    assert json.loads(read("/openstack/latest/vendor_data.json")) == {}
    assert json.loads(read("/openstack/latest/vendor_data2.json")) == {"static": {}}


@pytest.mark.parametrize(
    "path",
    [
        "/openstack/1999-01-01", "/openstack/latest/nothing", "/openstack/2012-08-10/vendor_data.json",
        "/openstack/2012-08-10/password", "/openstack/latest/meta_data.json/more", "/2010-01-01", "/latest/nothing",
        "/latest/meta-data/hostname/more", "/latest/meta-data/public-keys/1", "/latest/meta-data/public-keys/0/_name",
        "/latest/meta-data/security-groups/default", "/openstack/../../etc/passwd",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(path):
    assert lookup.lookup(facts(), path, SEED) is None


def test_the_tree_of_ec2():
    assert text("/latest").split("\n") == ["meta-data/", "user-data"]
    assert text("/latest/meta-data/").split("\n") == [
        "ami-id", "ami-launch-index", "ami-manifest-path", "block-device-mapping/", "hostname", "instance-action",
        "instance-id", "instance-type", "local-hostname", "local-ipv4", "placement/", "public-hostname",
        "public-ipv4", "public-keys/", "reservation-id", "security-groups",
    ]  # fmt: skip
    assert text("/1.0/meta-data").split("\n") == [
        "ami-id", "ami-launch-index", "ami-manifest-path", "hostname", "instance-id", "local-ipv4", "public-keys/",
        "reservation-id", "security-groups",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("instance-id", "i-0000001a"), ("hostname", "one.novalocal"), ("local-ipv4", "10.0.0.7"),
        ("public-ipv4", "172.24.4.9"), ("instance-type", "m1.tiny"), ("ami-launch-index", "0"),
        ("ami-id", "ami-70a599e0"), ("reservation-id", "r-abc"), ("security-groups", "default\nweb"),
        ("placement/", "availability-zone"), ("placement/availability-zone", "nova"), ("public-keys", "0=mine"),
        ("public-keys/0", "openssh-key"), ("public-keys/0/openssh-key", "ssh-rsa AAAA me"),
        ("block-device-mapping", "ami\nroot\nswap"), ("block-device-mapping/ami", "vda"),
        ("block-device-mapping/root", "/dev/vda"), ("block-device-mapping/swap", "/dev/vdb"),
    ],
)  # fmt: skip
def test_values_of_ec2(path, value):
    assert text(f"/2009-04-04/meta-data/{path}") == value


def test_a_server_without_a_key_has_no_public_keys():
    assert "public-keys/" not in text("/latest/meta-data", facts(key=None)).split("\n")


def test_network_data_of_a_network_with_dhcp():
    assert network_data([nic(address())]) == {
        "links": [
            {"id": "tapaaaaaaaa-bb", "vif_id": PORT, "type": "ovs", "mtu": 1442,
             "ethernet_mac_address": "fa:16:3e:00:00:01"}
        ],
        "networks": [{"id": "network0", "type": "ipv4_dhcp", "link": "tapaaaaaaaa-bb", "network_id": "net"}],
        "services": [{"type": "dns", "address": "9.9.9.9"}],
    }  # fmt: skip


def test_network_data_of_static_addresses():
    routes = (("192.168.7.0/24", "10.0.0.254"),)
    (network,) = network_data([nic(address(dhcp=False, routes=routes))])["networks"]
    assert network == {
        "id": "network0", "type": "ipv4", "link": "tapaaaaaaaa-bb", "network_id": "net", "ip_address": "10.0.0.7",
        "netmask": "255.255.255.0", "services": [{"type": "dns", "address": "9.9.9.9"}],
        "routes": [
            {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
            {"network": "192.168.7.0", "netmask": "255.255.255.0", "gateway": "10.0.0.254"},
        ],
    }  # fmt: skip


def test_network_data_of_ipv6():
    six = address(
        "fd00::7", cidr="fd00::/64", gateway="fd00::1", dns=(), ipv6_address_mode="slaac", dhcp=True, subnet_id="s6"
    )
    first, second = network_data([nic(six, address())])["networks"]
    assert (first["id"], first["type"]) == ("network0", "ipv4_dhcp")
    assert second == {
        "id": "network1", "type": "ipv6_slaac", "link": "tapaaaaaaaa-bb", "network_id": "net", "services": [],
        "ip_address": "fd00::7", "netmask": "ffff:ffff:ffff:ffff::",
        "routes": [{"network": "::", "netmask": "::", "gateway": "fd00::1"}],
    }  # fmt: skip


def test_network_data_leaves_out_what_has_no_address():
    assert network_data([]) == {}
    assert network_data([nic()]) == {"links": [], "networks": [], "services": []}
    assert network_data([nic(address(dhcp=False, gateway=None))])["networks"][0]["routes"] == []


def test_the_config_drive_holds_every_version_and_what_only_it_may_hold():
    files = {file.path: file.content for file in drive.files(facts(), SEED)}
    folders = [*openstack.VERSIONS, "latest"]
    for name, since in (
        ("meta_data.json", "2012-08-10"), ("user_data", "2012-08-10"), ("vendor_data.json", "2013-10-17"),
        ("network_data.json", "2015-10-15"), ("vendor_data2.json", "2016-10-06"),
    ):  # fmt: skip
        assert [folder for folder in folders if f"openstack/{folder}/{name}" in files] == [
            folder for folder in folders if folder >= since
        ]
    assert not any("password" in path for path in files)
    body = json.loads(files["openstack/latest/meta_data.json"])
    assert body["admin_pass"] == "s3cret"
    assert body["files"] == [{"path": "/etc/motd", "content_path": "/content/0000"}]
    assert files["openstack/content/0000"] == b"hello"
    assert files["ec2/latest/user-data"] == b"#!/bin/sh\n\xff"
    ec2 = json.loads(files["ec2/2009-04-04/meta-data.json"])
    assert ec2["public-keys"] == {"0": {"openssh-key": "ssh-rsa AAAA me"}}
    assert ec2["instance-id"] == "i-0000001a"
    assert [path for path in files if path.startswith("ec2/1.0")] == []


def test_the_documents_are_plain_json_values():
    for path in ("meta_data.json", "network_data.json"):
        assert isinstance(msgspec.json.decode(read(f"/openstack/latest/{path}")), dict)
