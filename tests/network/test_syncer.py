"""The loop between tables and engine: it follows, survives failures, repairs drift."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa

from onestack.network import public, syncer
from onestack.network.drivers import base
from onestack.network.models import Change
from tests.conftest import PERSONAS


def pending(cloud):
    with cloud.db.read() as session:
        return {(kind, id) for kind, id in session.execute(sa.select(Change.kind, Change.id))}


def test_the_engine_is_told_what_changed_and_what_is_gone(api, make, sync, engine, cloud):
    net = make.network("a")
    port = make.port(net)
    sync()
    assert engine.objects["network", net["id"]].name == "a"
    assert pending(cloud) == set()
    api.put(f"/v2.0/networks/{net['id']}", json={"network": {"name": "b"}})
    api.delete(f"/v2.0/ports/{port['id']}")
    sync()
    assert engine.objects["network", net["id"]].name == "b"
    assert ("port", port["id"]) not in engine.objects


def test_a_routers_whole_neighbourhood(make, sync, engine, cloud):
    syncer.of(cloud)._look_for_chassis()
    net = make.network()
    sub = make.subnet(net, dns_nameservers=["9.9.9.9"])
    router = make.router(sub, external=True)
    port = make.port(net)
    fip = make.post("floatingip", "floatingips", floating_network_id=make.public()["id"], port_id=port["id"])
    sync()
    found = engine.objects["router", router["id"]]
    assert [interface.addresses for interface in found.interfaces] == [("10.0.0.1/24",)]
    assert found.gateway.nexthops == ("172.24.4.1",)
    assert found.gateway.chassis == ("host1",)
    described = engine.objects["subnet", sub["id"]]
    assert described.dns_nameservers == ("9.9.9.9",)
    assert described.network.metadata.fixed_ips[0].address == "10.0.0.2"
    assert engine.objects["floating_ip", fip["id"]].fixed_ip_address == port["fixed_ips"][0]["ip_address"]


def test_an_engine_that_is_away_loses_nothing(make, sync, engine, cloud):
    engine.disconnect("cable cut")
    net = make.network()
    with pytest.raises(base.EngineUnavailable):
        sync()
    assert ("network", net["id"]) in pending(cloud)
    engine.heal()
    sync()
    assert pending(cloud) == set()


def test_one_bad_object_holds_up_only_itself(make, sync, engine, cloud):
    net = make.network()
    bad, good = make.port(net), make.port(net)
    engine.fail(f"port:{bad['id']}")
    with pytest.raises(base.ObjectsFailed):
        sync()
    assert ("port", good["id"]) in engine.objects
    assert pending(cloud) == {("port", bad["id"])}
    engine.heal()
    sync()
    assert ("port", bad["id"]) in engine.objects


def test_what_changes_while_it_is_applied_is_applied_again(api, make, sync, engine, cloud):
    net = make.network("a")
    apply = engine.apply

    def slow(changes):
        engine.apply = apply
        api.put(f"/v2.0/networks/{net['id']}", json={"network": {"name": "b"}})
        apply(changes)

    engine.apply = slow
    sync()
    assert ("network", net["id"]) in pending(cloud)
    sync()
    assert engine.objects["network", net["id"]].name == "b"


def test_a_refused_request_leaves_no_note(api, make, sync, cloud):
    net = make.network()
    sync()
    api.post("/v2.0/ports", json={"ports": [{"network_id": net["id"]}, {"network_id": "0" * 32}]})
    assert pending(cloud) == set()


def test_reconcile_repairs_drift(make, sync, engine, cloud):
    net = make.network()
    sync()
    del engine.objects["network", net["id"]]
    engine.objects["network", "alien"] = base.Network(id="alien")
    report = syncer.of(cloud).reconcile()
    assert len(report.repairs) == 2
    assert ("network", net["id"]) in engine.objects
    assert ("network", "alien") not in engine.objects


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_bound_ports_become_active(api, make, engine, cloud):
    net = make.network()
    make.subnet(net)
    worker = syncer.of(cloud)
    worker.start()
    try:
        with cloud.db.write() as session:
            nic = public.allocate(
                session, cloud, PERSONAS["member"], "s1", [public.NicRequest(network_id=net["id"])], hostname="vm"
            )[0]
            public.bind(session, cloud, "s1", "host1")
        wait_for(lambda: api.get(f"/v2.0/ports/{nic.port_id}").json["port"]["status"] == "ACTIVE")
        assert public.health(cloud).ok
        engine.disconnect("cable cut")
        make.network()
        assert not public.health(cloud).ok
        engine.heal()
        wait_for(lambda: not pending(cloud))
        with cloud.db.write() as session:
            public.unbind(session, cloud, "s1")
        wait_for(lambda: not pending(cloud))
        assert api.get(f"/v2.0/ports/{nic.port_id}").json["port"]["status"] == "DOWN"
    finally:
        worker.stop()
