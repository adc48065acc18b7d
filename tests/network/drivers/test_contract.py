"""What every driver must keep to, on all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from onestack.network.drivers import base
from onestack.network.drivers.fake import FakeDriver

from . import worlds
from .worlds import NET, VM1, changes, vm1, world


@pytest.fixture(params=["fake", "ovn"])
def engine(request: pytest.FixtureRequest) -> Iterator[base.Driver]:
    driver: base.Driver = FakeDriver() if request.param == "fake" else request.getfixturevalue("driver")
    yield driver
    driver.close()


def test_apply_is_idempotent_and_reconcile_agrees(engine: base.Driver) -> None:
    for _ in range(2):
        engine.apply(changes())
    report = engine.reconcile(lambda: world)
    assert (report.objects, report.repairs, report.failed) == (13, (), {})


def test_reconcile_makes_a_world_from_nothing_and_takes_it_down(engine: base.Driver) -> None:
    engine.reconcile(lambda: base.World())
    assert engine.reconcile(lambda: world).repairs
    assert not engine.reconcile(lambda: world).repairs
    assert engine.reconcile(lambda: base.World()).repairs
    assert not engine.reconcile(lambda: base.World()).repairs


def test_what_is_gone_may_be_said_twice(engine: base.Driver) -> None:
    engine.apply(changes())
    for _ in range(2):
        engine.apply(base.Changes(gone=frozenset({("port", VM1), ("floating_ip", worlds.FLOATING)})))
    left = replace(world, ports=world.ports[1:], floating_ips=())
    assert engine.reconcile(lambda: left).repairs == ()


@pytest.mark.parametrize(
    ("key", "orphans"),
    [
        (f"port:{VM1}", base.Changes(ports=(replace(vm1, network_id=worlds.id_of("nowhere")),))),
        (f"port:{VM1}", base.Changes(ports=(replace(vm1, security_group_ids=(worlds.id_of("nobody"),)),))),
        (
            f"port:{VM1}",
            base.Changes(
                ports=(replace(vm1, fixed_ips=(base.FixedIp(subnet_id=worlds.PUBLIC_SUBNET, address="1.2.3.4"),)),)
            ),
        ),
        (
            f"floating_ip:{worlds.FLOATING}",
            base.Changes(floating_ips=(replace(worlds.floating, router_id=worlds.id_of("nowhere")),)),
        ),
    ],
)
def test_an_object_without_its_parents_fails_alone(engine: base.Driver, key: str, orphans: base.Changes) -> None:
    engine.apply(changes())
    with pytest.raises(base.ObjectsFailed) as caught:
        engine.apply(replace(orphans, networks=(replace(worlds.network, name="new"),)))
    assert set(caught.value.failed) == {key}
    renamed = replace(world, networks=(replace(worlds.network, name="new"), worlds.public))
    assert engine.reconcile(lambda: renamed).repairs == ()


def test_ports_without_effect_need_nothing(engine: base.Driver) -> None:
    engine.apply(changes())
    nothing = replace(vm1, id=worlds.id_of("floating-port"), device_owner="network:floatingip", network_id=NET)
    engine.apply(
        base.Changes(ports=(nothing, replace(nothing, id=worlds.METADATA, device_owner="network:distributed")))
    )
    assert engine.look().ok
