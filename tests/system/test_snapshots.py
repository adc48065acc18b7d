"""An image of a running server: what its guest wrote is in a server that is made from it, when nothing else is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system import leftovers
from tests.system.tenants import IMAGE, Guest, Tenant
from tests.system.waiting import until


@pytest.fixture
def base(shared: Tenant) -> Iterator[Any]:
    """The tenant's own copy of the small image."""
    image = shared.conn.image
    public = image.find_image(IMAGE, ignore_missing=False)
    made = image.create_image(
        name="own", data=image.download_image(public).content, disk_format=public.disk_format,
        container_format="bare", visibility="private", wait=True,
    )  # fmt: skip
    yield made
    image.delete_image(made, ignore_missing=True)


def snapshot(guest: Guest, name: str) -> Any:
    """The image once it is active, and nothing is under way any more."""
    made = guest.conn.compute.create_server_image(guest.id, name)
    find = guest.conn.image.get_image

    def active() -> Any:
        found = find(made.id)
        assert found.status in ("queued", "saving", "active")
        return found if found.status == "active" else None

    image = until(active, 120, f"image {name} is active")
    guest.wait("ACTIVE")
    return image


def test_what_was_written_is_in_a_server_of_the_image(shared: Tenant, base: Any) -> None:
    first = shared.boot("first", networks=["net"], image=base.id).reach()
    boot, pid = first.ssh.boot_id(), first.qemu
    first.ssh("echo written > /home/cirros/found; sync")
    image = snapshot(first, "shot")
    assert (first.ssh.boot_id(), first.qemu) == (boot, pid)
    assert first.ssh("cat /home/cirros/found") == "written"
    assert (image.disk_format, image.visibility) == ("qcow2", "private")
    assert (image.properties["image_type"], image.instance_uuid) == ("snapshot", first.id)
    assert image.properties["base_image_ref"] == base.id
    ports = [port.id for port in first.ports()]
    first.delete()
    leftovers.wait_for_none(shared.cloud, first.id, ports)
    shared.conn.image.delete_image(base)
    second = shared.boot("second", networks=["net"], image=image.id).reach()
    assert second.ssh("cat /home/cirros/found") == "written"
    assert second.ssh("hostname") == "second"
    second.delete()
    shared.conn.image.delete_image(image)
    assert not list((shared.cloud.state / "images" / "staging").iterdir())
