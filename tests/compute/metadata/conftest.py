"""A cloud with a network, on which servers get an address, a key and user data."""

from __future__ import annotations

import base64

import pytest

from onestack.network import service as network_service

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO3V2Y8bY0Jb4Z5m1oQF8w0n2h6lC0v0n1yJ4sX8h7Qp ann"


@pytest.fixture
def metadata(nova, built, client_of):
    """A client of 8775."""
    return client_of(built["metadata"])


@pytest.fixture
def network(nova, cloud, client_of):
    """A tenant network with one subnet: its id."""
    client = client_of(network_service.build(cloud)["network"])
    answer = client.post("/v2.0/networks", json={"network": {"name": "private"}})
    assert answer.status_code == 201, answer.text
    network_id = answer.json["network"]["id"]
    subnet = {"network_id": network_id, "cidr": "10.0.0.0/24", "ip_version": 4, "dns_nameservers": ["9.9.9.9"]}
    answer = client.post("/v2.0/subnets", json={"subnet": subnet})
    assert answer.status_code == 201, answer.text
    return network_id


@pytest.fixture
def server(nova, network):
    """An ACTIVE server on that network: its id."""
    answer = nova.client.post("/v2.1/os-keypairs", json={"keypair": {"name": "mine", "public_key": KEY}})
    assert answer.status_code == 200, answer.text
    return nova.boot(
        networks=[{"uuid": network}], key_name="mine", user_data=base64.b64encode(b"#!/bin/sh\n").decode(),
        metadata={"role": "web"}, config_drive=True,
    )  # fmt: skip


@pytest.fixture
def address(nova, server):
    (entry,) = nova.show(server)["addresses"]["private"]
    return entry["addr"]
