"""What extra specs may be since microversion 2.86: the answers are those of Nova 34's own checks."""

from __future__ import annotations

import pytest

from onestack.compute import extra_specs
from onestack.core.errors import BadRequest

UNKNOWN = "extra spec '{}' does not appear to be a valid extra spec."
ALLOWED = [
    ("hw:cpu_policy", "dedicated"), ("hw:cpu_realtime", " YES "), ("hw:cpu_realtime_mask", "^0-1,3,^4-5"),
    ("hw:mem_page_size", "1GiB"), ("hw:numa_cpus.12", "0-3,5"), ("hw:numa_mem.0", "512"), ("hw:numa_cpus:0", "0"),
    ("hw:numa_nodes", " 2 "),
    ("hw:pmem", "a,b,"), ("hw:redirected_usb_ports", "15"), ("hw_rng:rate_bytes", "0"), ("quota:cpu_quota", "-1"),
    ("quota:disk_read_iops_sec", "100"), ("quota:vif_shares_level", "custom"), ("quota:memory_reservation", "-5"),
    ("resources:VCPU", "2"), ("resources1:CUSTOM_GOLD", "1"), ("trait:HW_CPU_X86_AVX2", "required"),
    ("trait_a-b:CUSTOM_X", "forbidden"), ("capabilities:cpu_info:topology:cores", ">= 2"), ("capabilities:vcpus", ""),
    ("aggregate_instance_extra_specs:ssd", "true"), ("pci_passthrough:alias", "gpu:1 , nic:2"),
    ("traits:CUSTOM_X", "required"), ("group_policy", "none"), ("vmware:hw_version", "x"), ("mine:whatever", "x"),
    ("bare", "x"), ("HW:cpu_policy", "x"),
]  # fmt: skip
REFUSED = [
    ("hw:cpu_policy", "both", "'both' is not one of: dedicated, shared, mixed."),
    ("hw:cpu_realtime", "maybe", "'maybe' is not a valid boolean-like value."),
    ("hw:numa_nodes", "0", "'0' is less than the min value of '1'."),
    ("hw:numa_memX0", "0", "'0' is less than the min value of '1'."),
    ("hw:numa_nodes", "1.5", "'1.5' is not a valid integer value."),
    ("hw:redirected_usb_ports", "16", "'16' is greater than the max value of '15'."),
    ("hw:mem_page_size", "1Gx", r"'1Gx' is not of the format '(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)'."),
    ("hw:cpu_dedicated_mask", "0,,1", r"'0,,1' is not of the format '\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*'."),
    ("trait:HW_CPU_X86_AVX2", "no", "'no' is not one of: required, forbidden."),
    ("resources:VCPU", "many", "'many' is not a valid integer value."),
    *((name, "1", UNKNOWN.format(name)) for name in (
        "hw:cpu_polciy", "hw:numa_cpus.x", "hw_rng:speed", "os:boot", "quota:foo", "vmware:x", "trait:HW_NOTHING",
        "trait:CUSTOM_", "resources:BEER", "resources:custom_x", "capabilities:beer",
        "capabilities:stats:", "aggregate_instance_extra_specs:", "accel:x",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), ALLOWED)
def test_allowed(name, value):
    extra_specs.check(name, value)


@pytest.mark.parametrize(("name", "value", "words"), REFUSED)
def test_refused(name, value, words):
    with pytest.raises(BadRequest) as refusal:
        extra_specs.check(name, value)
    assert refusal.value.message == f"Validation failed; {words}"


@pytest.mark.parametrize("name", ["hw:pmem", "hw:numa_cpus.0", "pci_passthrough:alias"])
@pytest.mark.parametrize("piece", ["a", ",1-2", "1,1", ":1,"])
def test_no_value_takes_for_ever(name, piece):
    """Which Nova's own expressions would."""
    with pytest.raises(BadRequest):
        extra_specs.check(name, "1" + piece * (250 // len(piece)) + "!")


def test_they_are_checked_since_2_86_and_before_anything_changes(nova):
    def send(version, method, path, body):
        headers = {"OpenStack-API-Version": f"compute {version}"}
        url = f"/v2.1/flavors/1/os-extra_specs{path}"
        return nova.client.request(method, url, as_="admin", json=body, headers=headers)

    bad, path = {"hw:numa_nodes": "0"}, "/hw:numa_nodes"
    assert send("2.86", "POST", "", {"extra_specs": {"mine": "1", **bad}}).status_code == 400
    answer = send("2.86", "PUT", path, bad)
    assert answer.json["badRequest"]["message"] == "Validation failed; '0' is less than the min value of '1'."
    assert "mine" not in nova.client.get("/v2.1/flavors/1/os-extra_specs", as_="admin").json["extra_specs"]
    assert send("2.85", "PUT", path, bad).status_code == 200
    assert send("2.86", "PUT", path, {"hw:numa_nodes": 2}).json == {"hw:numa_nodes": 2}
    assert nova.client.get("/v2.1/flavors/1/os-extra_specs/hw:numa_nodes").json == {"hw:numa_nodes": "2"}


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "", {"extra_specs": {"a/b": "c"}},
         "Invalid input for field/attribute extra_specs. Value: {'a/b': 'c'}. 'a/b' does not match any of the regexes: "
         "'^[a-zA-Z0-9-_:. ]{1,255}$'"),
        ("PUT", "/m", {"m": True},
         "Invalid input for field/attribute m. Value: True. True is not of type 'string', 'number'"),
        ("POST", "", {"extra_specs": {"a/b": "c", "m": "x" * 256}},
         f"Invalid input for field/attribute m. Value: {'x' * 256}. '{'x' * 256}' is too long"),
        ("PUT", "/m", {"n": "1"}, "Request body and URI mismatch"),
        ("PUT", "/m", {}, "{} should be non-empty"),
        ("PUT", "/m", {"m": "1", "n": "2"}, "{'m': '1', 'n': '2'} has too many properties"),
    ],
)  # fmt: skip
def test_words_of_the_form(nova, method, path, body, words):
    answer = nova.client.request(method, f"/v2.1/flavors/1/os-extra_specs{path}", as_="admin", json=body)
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, words)
