"""The fake engine keeps the contract."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from onestack.network.drivers import base
from onestack.network.drivers.fake import FakeDriver

from .worlds import NET, VM1, VM2, changes, vm1, world


@pytest.fixture
def fake() -> Iterator[FakeDriver]:
    fake = FakeDriver()
    yield fake
    fake.close()


def test_what_is_applied_is_held_until_it_is_gone(fake: FakeDriver) -> None:
    fake.apply(changes())
    assert fake.reconcile(lambda: world).repairs == ()
    fake.apply(base.Changes(gone=frozenset({("port", VM1)})))
    assert fake.reconcile(lambda: world).repairs == (f"port {VM1} is missing",)
    report = fake.reconcile(lambda: base.World(networks=(replace(world.networks[0], name="new"),)))
    assert f"network {NET} differs" in report.repairs
    assert list(fake.objects) == [("network", NET)]


def test_bound_ports_are_up_at_once(fake: FakeDriver) -> None:
    events: queue.Queue[tuple[Any, ...]] = queue.Queue()
    fake.apply(changes(replace(world, ports=(vm1,))))
    fake.watch(lambda *event: events.put(event))
    assert events.get(timeout=5) == (VM1, True, "host1")
    fake.apply(changes())
    assert events.get(timeout=5) == (VM2, True, "host1")
    fake.apply(base.Changes(ports=(replace(vm1, host="host2"),)))
    assert events.get(timeout=5) == (VM1, True, "host2")
    fake.apply(base.Changes(ports=(replace(vm1, host=""),), gone=frozenset({("port", VM2)})))
    assert {events.get(timeout=5), events.get(timeout=5)} == {(VM1, False, None), (VM2, False, None)}
    fake.close()
    assert events.empty()


def test_it_fails_as_told(fake: FakeDriver) -> None:
    fake.fail(f"port:{VM1}", "no room")
    with pytest.raises(base.ObjectsFailed) as caught:
        fake.apply(changes())
    assert caught.value.failed == {f"port:{VM1}": "no room"}
    assert ("port", VM2) in fake.objects
    fake.disconnect("gone fishing")
    assert fake.look() == base.Health(ok=False, reason="gone fishing")
    with pytest.raises(base.EngineUnavailable):
        fake.apply(changes())
    fake.heal()
    fake.apply(changes())
    assert fake.look().ok


def test_hosts_are_chassis(fake: FakeDriver) -> None:
    fake.hosts = ("one",)
    fake.apply(changes())
    assert [chassis.name for chassis in fake.chassis()] == ["host1", "one"]
