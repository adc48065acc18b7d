"""The network service in process, on the fake engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from onestack.core.cloud import Cloud
from onestack.network import public, service, syncer
from onestack.network.drivers.fake import FakeDriver


@pytest.fixture
def engine(cloud: Cloud) -> Iterator[FakeDriver]:
    fake = FakeDriver(hosts=("host1",))
    cloud.drivers["network"] = fake
    yield fake
    fake.close()


@pytest.fixture
def api(cloud: Cloud, engine: FakeDriver, client_of: Callable[[Any], Any]) -> Any:
    """A client of the API. The external network is there."""
    found = service.build(cloud)["network"]
    cloud.db.create_all()
    with cloud.db.write() as session:
        public.ensure_external(session, cloud)
    return client_of(found)


@pytest.fixture
def sync(cloud: Cloud, api: Any) -> Callable[[], None]:
    """Tell the engine everything that is noted."""

    def run() -> None:
        worker = syncer.of(cloud)
        while worker.run_once():
            pass

    return run


class Maker:
    """Objects in one line: `make.network("a")`, `make.subnet(network, "10.0.0.0/24")`; bodies as the API answers."""

    def __init__(self, api: Any) -> None:
        self.api = api

    def post(self, kind: str, path: str, as_: str = "member", status: int = 201, **values: Any) -> dict[str, Any]:
        answer = self.api.post(f"/v2.0/{path}", as_=as_, json={kind: values})
        assert answer.status_code == status, answer.text
        return answer.json[kind]

    def network(self, name: str = "net", **values: Any) -> dict[str, Any]:
        return self.post("network", "networks", name=name, **values)

    def subnet(self, network: dict[str, Any], cidr: str = "10.0.0.0/24", **values: Any) -> dict[str, Any]:
        values.setdefault("ip_version", 6 if ":" in cidr else 4)
        return self.post("subnet", "subnets", network_id=network["id"], cidr=cidr, **values)

    def port(self, network: dict[str, Any], **values: Any) -> dict[str, Any]:
        return self.post("port", "ports", network_id=network["id"], **values)

    def router(self, *subnets: dict[str, Any], external: bool = False, **values: Any) -> dict[str, Any]:
        if external:
            values["external_gateway_info"] = {"network_id": self.public()["id"]}
        found = self.post("router", "routers", **values)
        for subnet in subnets:
            answer = self.api.put(f"/v2.0/routers/{found['id']}/add_router_interface", as_=values.get("as_", "member"),
                                  json={"subnet_id": subnet["id"]})  # fmt: skip
            assert answer.status_code == 200, answer.text
        return found

    def public(self) -> dict[str, Any]:
        return self.api.get("/v2.0/networks?router:external=True", as_="admin").json["networks"][0]


@pytest.fixture
def make(api: Any) -> Maker:
    return Maker(api)
