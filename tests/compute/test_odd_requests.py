"""Nothing that a client sends is answered with a 500."""

from __future__ import annotations

import random

import pytest

from onestack.compute import routes, server_query

ODD = ["", "x", "-1", "0", "1", "²", "9" * 30, "9" * 5000, "null", "true", "[]", "{}", "%00", "a%27b", "(", "(a+)+$",
       "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "%ED%A0%80",
       "70a599e0-31e7-49b7-b260-868f441e862b"]  # fmt: skip
BODIES = ["", "{", "null", "[]", "{}", '"x"', '{"server": null}', '{"server": {"name": null}}', '{"metadata": null}',
          '{"metadata": {"a": null}}', '{"meta": []}', '{"tags": [1]}', '{"tags": "x"}', '{"reboot": null}',
          '{"reboot": {"type": 1}}', '{"rebuild": {}}', '{"os-start": 5}', '{"lock": []}', '{"os-resetState": {}}',
          '{"os-getConsoleOutput": {"length": {}}}', '{"addSecurityGroup": {"name": null}}', '{"flavor": {"name": {}}}',
          '{"interfaceAttachment": {"fixed_ips": [{}]}}', '{"interfaceAttachment": 1}', '{"keypair": {"name": []}}',
          '{"changePassword": {}}', '{"addTenantAccess": null}', '{"extra_specs": {"a": {}}}',
          '{"a": 1, "b": 2}']  # fmt: skip


@pytest.mark.parametrize("version", ["2.1", "2.53", "latest"])
def test_bodies(nova, version):
    server_id = nova.boot()
    headers = {"OpenStack-API-Version": f"compute {version}"}
    for route in routes.ROUTES:
        if route.method in ("POST", "PUT"):
            path = "/v2.1" + route.path.replace("{server_id}", server_id)
            path = path.replace("{flavor_id}", "1").replace("{", "").replace("}", "")
            for body in BODIES:
                answer = nova.client.request(route.method, path, as_="admin", body=body, headers=headers)
                assert answer.status_code < 500 or answer.status_code in (501, 503), (route, body, answer.text)


def test_queries(nova):
    nova.boot()
    chance = random.Random(7)
    names = sorted(server_query.KNOWN)
    for path in ("/v2.1/servers", "/v2.1/servers/detail", "/v2.1/flavors/detail", "/v2.1/os-keypairs"):
        for version in ("2.1", "latest"):
            for _ in range(100):
                query = "&".join(f"{chance.choice(names)}={chance.choice(ODD)}" for _ in range(chance.randint(1, 3)))
                answer = nova.client.get(
                    f"{path}?{query}", as_="admin", headers={"OpenStack-API-Version": f"compute {version}"}
                )
                assert answer.status_code < 500, (path, query, answer.text)


def test_paths(nova):
    for odd in ODD[1:]:
        for path in (f"/v2.1/servers/{odd}", f"/v2.1/flavors/{odd}", f"/v2.1/os-keypairs/{odd}", f"/v2.1/{odd}"):
            assert nova.client.get(path, as_="admin").status_code in (400, 404, 200), path
