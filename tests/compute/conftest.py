"""Compute's two applications on a fake clock, with an agent that does what it is told, when it is told."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from onestack.compute import public, service
from onestack.core.operations import Workers
from onestack.image.models import Image
from onestack.network import service as network_service
from onestack.network.drivers.fake import FakeDriver
from onestack.wire import Fault, HostReport, ServerStatus, StatusReport, StepEvent, Work

TOKEN = "agent-token"
IMAGE = "70a599e0-31e7-49b7-b260-868f441e862b"
OTHER_IMAGE = "99999999-31e7-49b7-b260-868f441e862b"

_POWER = {"running": "running", "stopped": "shutdown", "paused": "paused", "suspended": "suspended", "absent": "absent"}


class PlayedAgent:
    """An agent in the test's hands. `run()` takes what there is and reports that it was done."""

    def __init__(self, client, hostname="host1", token=TOKEN, **figures):
        self.client, self.hostname, self.token = client, hostname, token
        self.figures = {"vcpus": 64, "memory_mb": 262144, "disk_gb": 8192, **figures}
        self.revision = 0
        self.power = {}
        self.failing = {}  # action → message
        self.specs = {}

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def post(self, path, body):
        return self.client.post(path, as_=None, headers=self.headers, body=msgspec.json.encode(body))

    def hello(self, **more):
        found = [server for server, power in self.power.items() if power not in ("absent", "pending")]
        report = HostReport(
            hostname=self.hostname, hypervisor_type="fake", virt_type="fake", hypervisor_version=1000000,
            servers=found, **{**self.figures, **more},
        )  # fmt: skip
        return self.post("/v1/hello", report)

    def work(self, after=None):
        after = self.revision if after is None else after
        answer = self.client.get(f"/v1/work?after={after}&wait=0", as_=None, headers=self.headers)
        assert answer.status_code == 200, answer.text
        work = msgspec.json.decode(answer.content, type=Work)
        self.revision = work.revision
        return work

    def report(self, *statuses):
        answer = self.post("/v1/status", StatusReport(servers=list(statuses)))
        assert answer.status_code == 200, answer.text

    def does(self, spec, power=None, **more):
        """The status that answers a spec."""
        operation = spec.operation
        power = power or (_POWER[spec.desired] if operation or spec.desired == "absent" else self.power.get(spec.id))
        state, fault = "done", None
        if operation and operation.action in self.failing:
            state, fault = "failed", Fault(message=self.failing[operation.action], details="more")
            power = "absent" if operation.action == "create" else self.power.get(spec.id, "shutdown")
        self.power[spec.id] = power or "pending"
        step = StepEvent(event="define", start=1.0, finish=2.0, result="Success")
        return ServerStatus(
            id=spec.id, revision=spec.revision, power=self.power[spec.id], fault=fault,
            operation_id=operation.id if operation else None, operation_state=state if operation else None,
            steps=[step] if operation else [], **more,
        )  # fmt: skip

    def run(self):
        work = self.work()
        self.specs.update({spec.id: spec for spec in work.servers})
        self.report(*[self.does(spec) for spec in work.servers])
        return work


@dataclasses.dataclass
class Nova:
    """A small cloud: `client` is 8774, `agent` the one host, `schedule()` runs the server's own work."""

    cloud: object
    client: object
    agent: PlayedAgent
    agents: object
    workers: Workers

    def schedule(self):
        while self.workers.run_one():
            pass

    def settle(self):
        """Until nothing is left to do."""
        for _ in range(3):
            self.schedule()
            self.agent.run()

    def create(self, version="2.37", as_="member", name="one", networks="none", **more):
        body = {"server": {"name": name, "flavorRef": "1", "imageRef": IMAGE, **more}}
        if networks is not None:
            body["server"]["networks"] = networks
        return self.client.post(
            "/v2.1/servers", as_=as_, json=body, headers={"OpenStack-API-Version": f"compute {version}"}
        )

    def boot(self, **more):
        """A server that is ACTIVE: its id."""
        answer = self.create(**more)
        assert answer.status_code == 202, answer.text
        self.settle()
        return answer.json["server"]["id"]

    def act(self, server_id, name, argument=None, version="2.1", as_="member"):
        return self.client.post(
            f"/v2.1/servers/{server_id}/action", as_=as_, json={name: argument},
            headers={"OpenStack-API-Version": f"compute {version}"},
        )  # fmt: skip

    def show(self, server_id, version="2.1", as_="member"):
        answer = self.client.get(
            f"/v2.1/servers/{server_id}", as_=as_, headers={"OpenStack-API-Version": f"compute {version}"}
        )
        assert answer.status_code == 200, answer.text
        return answer.json["server"]

    def states(self, server_id):
        shown = self.show(server_id, as_="admin")
        return (shown["status"], shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:task_state"],
                shown["OS-EXT-STS:power_state"])  # fmt: skip


def add_image(session, cloud, image_id, **more):
    """An image that servers can be made from; its data is never read here."""
    now = cloud.clock.now()
    session.add(
        Image(
            id=image_id, name="tiny", status="active", visibility="public", disk_format="qcow2",
            container_format="bare", boot_format="qcow2", created_at=now, updated_at=now,
            **{"size": 1000, "virtual_size": 1000, **more},
        )
    )  # fmt: skip


@pytest.fixture
def built(cloud):
    cloud.drivers["network"] = FakeDriver()
    network_service.build(cloud)
    found = service.build(cloud)
    cloud.db.create_all()
    with cloud.db.write() as session:
        for image_id in (IMAGE, OTHER_IMAGE):
            add_image(session, cloud, image_id)
        public.bootstrap(session, cloud)
        public.register_host_token(session, cloud, "host1", TOKEN)
    return found


@pytest.fixture
def compute(built, client_of):
    """A client of 8774 on a cloud that has the default flavors."""
    return client_of(built["compute"])


@pytest.fixture
def nova(cloud, built, compute, client_of):
    agents = client_of(built["agent"])
    agent = PlayedAgent(agents)
    assert agent.hello().status_code == 200
    return Nova(cloud, compute, agent, agents, Workers(cloud, cloud.runners))
