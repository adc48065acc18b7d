"""How much longer a server takes to be ACTIVE than libvirt and QEMU take by themselves for the same domain.

    eval "$(./onestack openrc)"; sudo -E python benchmarks/boot.py [--image NAME] [--runs 5]

Each run makes a server without a network, waits until it is ACTIVE, ends its guest, and then defines and starts its
domain under another name and UUID, and without the cloud's mark, straight through libvirt. The disk is the same, so
what the cloud's figure has on top is everything else: API, scheduling, disk, agent, status. Needs root,
libvirt-python and a cloud on this machine with a real hypervisor. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import uuid
from typing import Any
from xml.etree import ElementTree

import libvirt
from client import Cloud


def wait_for(cloud: Cloud, server_id: str, status: str) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        server = cloud.call("GET", "compute", f"/servers/{server_id}")["server"]
        if server["status"] == status:
            return
        if server["status"] == "ERROR":
            raise SystemExit(f"the server is in ERROR: {server.get('fault', {}).get('message')}")
        time.sleep(0.01)
    raise SystemExit(f"the server did not get {status} in time")


def gone(cloud: Cloud, server_id: str) -> None:
    cloud.call("DELETE", "compute", f"/servers/{server_id}")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        servers = cloud.call("GET", "compute", "/servers")["servers"]
        if all(server["id"] != server_id for server in servers):
            return
        time.sleep(0.05)


def alone(connection: Any, server_id: str) -> float:
    """Seconds that libvirt takes to define and start the domain of a stopped server."""
    root = ElementTree.fromstring(connection.lookupByUUIDString(server_id).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    fresh = str(uuid.uuid4())
    for path, text in (("name", f"bench-{fresh[:8]}"), ("uuid", fresh), ("sysinfo/system/entry[@name='uuid']", fresh)):
        element = root.find(path)
        if element is not None:
            element.text = text
    for metadata in root.findall("metadata"):
        root.remove(metadata)  # the agent knows its own by it, and leaves others alone
    text = ElementTree.tostring(root, encoding="unicode")
    begin = time.perf_counter()
    domain = connection.defineXML(text)
    try:
        domain.create()
        seconds = time.perf_counter() - begin
        domain.destroy()
    finally:
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    return seconds


def once(cloud: Cloud, connection: Any, image: str, flavor: str) -> tuple[float, float]:
    """(seconds from the request to ACTIVE, seconds of libvirt alone)."""
    body = {"name": "bench-boot", "imageRef": image, "flavorRef": flavor, "networks": "none"}
    begin = time.perf_counter()
    headers = {"OpenStack-API-Version": "compute 2.37"}
    server_id = cloud.call("POST", "compute", "/servers", {"server": body}, **headers)["server"]["id"]
    try:
        wait_for(cloud, server_id, "ACTIVE")
        active = time.perf_counter() - begin
        # A guest that has only begun to boot doesn't hear a shutdown; pulling its plug is as good here.
        connection.lookupByUUIDString(server_id).destroy()
        wait_for(cloud, server_id, "SHUTOFF")
        return active, alone(connection, server_id)
    finally:
        gone(cloud, server_id)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", help="name of an image; without it the first of the list")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    cloud = Cloud()
    connection = libvirt.open("qemu:///system")
    query = f"?name={given.image}" if given.image else "?limit=1"
    image = cloud.call("GET", "image", f"/images{query}")["images"][0]["id"]
    flavors = cloud.call("GET", "compute", "/flavors/detail")["flavors"]
    flavor = min(flavors, key=lambda one: (one["ram"], one["disk"]))["id"]
    once(cloud, connection, image, flavor)  # the image gets to the host with the first one
    runs = [once(cloud, connection, image, flavor) for _ in range(given.runs)]
    results = {
        "active_s": round(statistics.median(active for active, _ in runs), 2),
        "libvirt_alone_s": round(statistics.median(seconds for _, seconds in runs), 2),
        "on_top_s": round(statistics.median(active - seconds for active, seconds in runs), 2),
        "on_top_best_s": round(min(active - seconds for active, seconds in runs), 2),
        "load": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
