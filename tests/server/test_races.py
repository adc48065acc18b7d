"""What happens at the same time in several threads, each with a connection of its own, ends as if it had happened in
turn. On SQLite writers are alone; the rules are PostgreSQL's to keep: `pytest --database postgresql`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from onestack.core import operations, revision, secret
from onestack.core.leader import Leader
from onestack.core.notify import Bridge
from onestack.placement import public as placement
from onestack.server import bootstrap, build
from tests.contract.asgi import Caller

MANY = 6


@pytest.fixture
def built(settings):
    cloud = build.cloud_of(settings)
    cloud.applications = build.services(cloud)
    bootstrap.run(cloud)
    yield cloud
    cloud.drivers["network"].close()
    cloud.db.close()


def at_once(function, count=MANY):
    """What `count` calls return that begin together."""
    gate = threading.Barrier(count)

    def call(number):
        gate.wait()
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


class Admin:
    """Requests from several threads: each has its own loop, all go through the same application."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.pool = ThreadPoolExecutor(MANY)
        self.apps = {name: app.app(self.pool) for name, app in cloud.applications.items()}
        user = {
            "name": "admin",
            "domain": {"id": "default"},
            "password": secret.ensure(cloud.settings, "admin-password"),
        }
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        answer = self.call("identity", "POST", "/v3/auth/tokens", {"auth": auth}, token=None)
        self.token = answer.headers["x-subject-token"]
        self.project_id = answer.json["token"]["project"]["id"]

    def call(self, service, method, path, body=None, token=""):
        caller = Caller(self.apps[service])
        try:
            return caller.request(method, path, self.token if token == "" else token, json_body=body)
        finally:
            caller.loop.close()


@pytest.fixture
def admin(built):
    made = Admin(built)
    yield made
    made.pool.shutdown()


@pytest.mark.parametrize(("kind", "values"), [
    ("project", {"domain_id": "default"}), ("user", {"domain_id": "default"}), ("role", {}), ("domain", {}),
    ("group", {"domain_id": "default"}),
])  # fmt: skip
def test_of_several_creates_of_a_name_one_succeeds(admin, kind, values):
    body = {kind: {"name": "the same", **values}}
    answers = at_once(lambda _: admin.call("identity", "POST", f"/v3/{kind}s", body))
    assert sorted(answer.status for answer in answers) == [201] + [409] * (MANY - 1)


def test_a_quota_is_never_passed(admin):
    admin.call("network", "PUT", f"/v2.0/quotas/{admin.project_id}", {"quota": {"network": 3}})
    answers = at_once(
        lambda number: admin.call("network", "POST", "/v2.0/networks", {"network": {"name": f"n{number}"}})
    )
    assert sorted(answer.status for answer in answers) == [201] * 3 + [409] * (MANY - 3)


def test_an_address_is_given_once(admin):
    network = admin.call("network", "POST", "/v2.0/networks", {"network": {}}).json["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.0.0.0/29", "ip_version": 4, "enable_dhcp": False}
    assert admin.call("network", "POST", "/v2.0/subnets", {"subnet": subnet}).status == 201
    answers = at_once(lambda _: admin.call("network", "POST", "/v2.0/ports", {"port": {"network_id": network}}))
    made = [answer.json["port"]["fixed_ips"][0]["ip_address"] for answer in answers if answer.status == 201]
    assert len(made) == len(set(made)) == 5  # .1 is the gateway's
    assert [answer.status for answer in answers if answer.status != 201] == [409]


def test_claims_never_overbook(built):
    with built.db.write() as session:
        placement.ensure_provider(session, built, "p" * 36, "host")
        placement.set_inventory(session, "p" * 36, {"VCPU": {"total": 4}})

    def claim(number):
        with built.db.write() as session:
            return placement.claim(session, f"{number:036}", "p", "u", "p" * 36, {"VCPU": 1})

    assert sorted(at_once(claim)) == [False] * (MANY - 4) + [True] * 4


def test_a_feed_that_many_begin_counts_each(built):
    def advance(_):
        with built.db.write() as session:
            return revision.advance(session, "new")

    assert sorted(at_once(advance)) == list(range(1, MANY + 1))


def test_an_operation_is_claimed_by_one(built):
    ran = []
    built.runners[("thing", "do")] = operations.Runner(
        lambda cloud, operation_id: ran.append(operation_id), lambda *_: None
    )
    with built.db.write() as session:
        owed = operations.enqueue(session, built, action="do", object_type="thing", object_id="t")
    workers = [operations.Workers(built, built.runners) for _ in range(MANY)]
    assert sum(at_once(lambda number: workers[number].run_one())) == 1
    assert ran == [owed.id]


def test_one_of_two_servers_leads_and_the_other_takes_over(settings, built):
    other = build.cloud_of(settings)
    first, second = Leader(built, "test"), Leader(other, "test")
    assert first.leads()
    assert not second.leads()
    assert first.leads()
    first.release()
    assert second.leads()
    assert not first.leads()
    second.release()
    other.db.close()


def test_a_wake_up_reaches_the_other_server(settings, built):
    if built.db.sqlite:
        pytest.skip("SQLite's other processes look again by themselves")
    other = build.cloud_of(settings)
    bridges = [Bridge(built), Bridge(other)]
    for bridge in bridges:
        bridge.start()
        assert bridge.connected.wait(10)
    seen = other.wakeups.seen("topic")
    own = built.wakeups.seen("topic")
    built.wakeups.notify("topic")
    assert other.wakeups.wait("topic", seen, 10)
    assert built.wakeups.seen("topic") == own + 1
    for bridge in bridges:
        bridge.stop()
    other.db.close()


def test_a_lost_connection_of_wake_ups_is_made_again(settings, built):
    if built.db.sqlite:
        pytest.skip("SQLite has none")
    bridge = Bridge(built)
    bridge.start()
    assert bridge.connected.wait(10)
    lost = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN onestack'"
    with built.db.engine.connect() as connection:
        assert connection.exec_driver_sql(lost).scalar()
    other = build.cloud_of(settings)
    second = Bridge(other)
    second.start()
    seen = built.wakeups.seen("topic")
    for _ in range(40):
        other.wakeups.notify("topic")
        if built.wakeups.wait("topic", seen, 0.25):
            break
    assert built.wakeups.seen("topic") > seen
    for one in (bridge, second):
        one.stop()
    other.db.close()
