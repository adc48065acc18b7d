"""The first things in a cloud, made through its own APIs: image, flavors, the project `demo` with a network, a VM.

Everything here looks first and makes only what is absent, so it can be repeated and interrupted.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onestack.cli import layout
from onestack.cli.client import Api, ApiError
from onestack.cli.problems import Problem
from onestack.config import Settings

IMAGE = "onestack-mini"
LOGIN = "cirros"
KEY = "demo-key"
FLAVOR = "m1.nano"
# name: (vCPUs, MiB, GiB)
FLAVORS = {
    "m1.nano": (1, 128, 1),
    "m1.tiny": (1, 512, 1),
    "m1.small": (1, 2048, 20),
    "m1.medium": (2, 4096, 40),
    "m1.large": (4, 8192, 80),
}
SUBNET = "10.10.0.0/24"
Report = Callable[[float | None, str], None]


@dataclass(frozen=True)
class Vm:
    """A demo VM, as the user wants to hear of it. `address` is its floating IP."""

    id: str
    name: str
    address: str
    console: str
    reachable: bool


def admin(settings: Settings) -> Api:
    return Api(settings, "admin", layout.read_secret(settings, "admin-password"), "admin")


def demo(settings: Settings) -> Api:
    return Api(settings, "demo", layout.read_secret(settings, "demo-password"), "demo")


def first(api: Api, service: str, path: str, collection: str) -> Any:
    """The first object of a list, or None."""
    found = api.get(service, path)[collection]
    return found[0] if found else None


def ensure_flavors(api: Api) -> None:
    have = {flavor["name"] for flavor in api.get("compute", "/flavors")["flavors"]}
    for name, (vcpus, ram, disk) in FLAVORS.items():
        if name not in have:
            api.post("compute", "/flavors", {"flavor": {"name": name, "vcpus": vcpus, "ram": ram, "disk": disk}})


def ensure_user(api: Api, settings: Settings) -> None:
    """The project and user `demo` with the role `member`, where the bootstrap has not made them."""
    project = first(api, "identity", "/projects?name=demo&domain_id=default", "projects")
    if not project:
        project = api.post("identity", "/projects", {"project": {"name": "demo", "domain_id": "default"}})["project"]
    user = first(api, "identity", "/users?name=demo&domain_id=default", "users")
    if not user:
        body = {"name": "demo", "domain_id": "default", "password": layout.read_secret(settings, "demo-password")}
        user = api.post("identity", "/users", {"user": body})["user"]
    role = first(api, "identity", "/roles?name=member", "roles")
    if role:
        api.call("identity", "PUT", f"/projects/{project['id']}/users/{user['id']}/roles/{role['id']}")


def ensure_external(api: Api, settings: Settings) -> str:
    """The network `public`, where the bootstrap has not made it; its id."""
    import ipaddress

    network = first(api, "network", "/networks?name=public&router:external=true", "networks")
    if not network:
        body = {"name": "public", "router:external": True, "provider:network_type": "flat",
                "provider:physical_network": "public", "mtu": settings.network.mtu}  # fmt: skip
        network = api.post("network", "/networks", {"network": body})["network"]
    if not network["subnets"]:
        cidr = ipaddress.ip_network(settings.network.external_cidr)
        pool = {"start": str(cidr[2]), "end": str(cidr[-2])}
        subnet = {"name": "public-subnet", "network_id": network["id"], "cidr": str(cidr), "ip_version": cidr.version,
                  "gateway_ip": str(cidr[1]), "enable_dhcp": False, "allocation_pools": [pool]}  # fmt: skip
        api.post("network", "/subnets", {"subnet": subnet})
    return str(network["id"])


def ensure_network(api: Api, public: str) -> str:
    """`demo-net`, its subnet and its router to the outside; the network's id."""
    network = first(api, "network", "/networks?name=demo-net", "networks")
    if not network:
        network = api.post("network", "/networks", {"network": {"name": "demo-net"}})["network"]
    subnet = first(api, "network", f"/subnets?network_id={network['id']}", "subnets")
    if not subnet:
        body = {"name": "demo-subnet", "network_id": network["id"], "cidr": SUBNET, "ip_version": 4}
        subnet = api.post("network", "/subnets", {"subnet": body})["subnet"]
    router = first(api, "network", "/routers?name=demo-router", "routers")
    if not router:
        router = api.post("network", "/routers", {"router": {"name": "demo-router"}})["router"]
    if not router.get("external_gateway_info"):
        body = {"router": {"external_gateway_info": {"network_id": public}}}
        api.call("network", "PUT", f"/routers/{router['id']}", body)
    if not first(api, "network", f"/ports?device_id={router['id']}&network_id={network['id']}", "ports"):
        api.call("network", "PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    return str(network["id"])


def ensure_rules(api: Api) -> None:
    """SSH and ping into the project's default security group."""
    group = first(api, "network", "/security-groups?name=default", "security_groups")
    if not group:
        raise Problem("the project demo has no default security group")
    for more in ({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, {"protocol": "icmp"}):
        rule = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4",
                "remote_ip_prefix": "0.0.0.0/0", **more}  # fmt: skip
        try:
            api.post("network", "/security-group-rules", {"security_group_rule": rule})
        except ApiError as error:
            if error.status != 409:  # it exists
                raise


def key_file(settings: Settings) -> Path:
    return settings.path("demo_key")


def ensure_keypair(api: Api, settings: Settings) -> None:
    """An Ed25519 key made here; the cloud only ever sees the public half."""
    path = key_file(settings)
    public = path.with_name("demo_key.pub")
    if not (path.exists() and public.exists()):
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        layout.write_private(path, private.decode())
        layout.write_private(public, line.decode() + " onestack-demo\n")
    text = public.read_text(encoding="ascii").strip()
    try:
        known = api.get("compute", f"/os-keypairs/{KEY}")["keypair"]["public_key"].strip()
        if known == text:
            return
        api.call("compute", "DELETE", f"/os-keypairs/{KEY}")
    except ApiError as error:
        if error.status != 404:
            raise
    api.post("compute", "/os-keypairs", {"keypair": {"name": KEY, "public_key": text, "type": "ssh"}})


def ensure_image(api: Api, file: Callable[[], Path], report: Report, *, disk_format: str = "qcow2") -> str:
    """The public image `onestack-mini`; `file` is asked for its data only when it has to be uploaded. Its id."""
    for image in api.get("image", f"/images?name={IMAGE}&visibility=public")["images"]:
        if image["status"] == "active":
            return str(image["id"])
        api.call("image", "DELETE", f"/images/{image['id']}")  # an upload that was interrupted
    path = file()
    body = {"name": IMAGE, "disk_format": disk_format, "container_format": "bare", "visibility": "public",
            "min_ram": 96, "os_type": "linux", "os_distro": "onestack", "os_admin_user": LOGIN}  # fmt: skip
    image = api.post("image", "/images", body)
    api.upload(image["id"], path, lambda share: report(share, "uploading"))
    return str(image["id"])


def ensure_resources(settings: Settings) -> str:
    """All but image and VM; the id of `demo-net`."""
    operator, tenant = admin(settings), demo(settings)
    ensure_flavors(operator)
    ensure_user(operator, settings)
    public = ensure_external(operator, settings)
    network = ensure_network(tenant, public)
    ensure_rules(tenant)
    ensure_keypair(tenant, settings)
    return network


def wait_for_host(settings: Settings, report: Report, seconds: float = 60.0) -> None:
    """Until a compute host is up. Raises Problem."""
    api, deadline = admin(settings), time.monotonic() + seconds
    while True:
        services = api.get("compute", "/os-services?binary=nova-compute")["services"]
        if any(service["state"] == "up" for service in services):
            return
        if time.monotonic() > deadline:
            raise Problem("no compute host is up", f"see {settings.path('log', 'agent.log')}")
        report(None, "waiting for the agent")
        time.sleep(0.2)


def free_name(api: Api) -> str:
    """hello, hello-2, hello-3 …: the first that no server has."""
    taken = {server["name"] for server in api.get("compute", "/servers")["servers"]}
    number = 1
    while (name := "hello" if number == 1 else f"hello-{number}") in taken:
        number += 1
    return name


def ensure_vm(settings: Settings, name: str, network: str, report: Report, *, wait: bool = True) -> Vm:
    """A VM of that name with a floating IP; with `wait`, until it answers SSH. Raises Problem."""
    api = demo(settings)
    server = next((one for one in api.get("compute", "/servers")["servers"] if one["name"] == name), None)
    if not server:
        image = first(api, "image", f"/images?name={IMAGE}&status=active", "images")
        flavor = next(one for one in api.get("compute", "/flavors")["flavors"] if one["name"] == FLAVOR)
        if not image:
            raise Problem(f"there is no image {IMAGE}", "onestack up")
        body = {"name": name, "imageRef": image["id"], "flavorRef": flavor["id"], "key_name": KEY,
                "networks": [{"uuid": network}]}  # fmt: skip
        server = api.post("compute", "/servers", {"server": body})["server"]
    server = wait_for_active(api, server["id"], report)
    address = ensure_floating_ip(api, server["id"])
    reachable = wait_for_ssh(api, server["id"], address, report) if wait else False
    return Vm(server["id"], name, address, console_url(api, server["id"]), reachable)


def wait_for_active(api: Api, server_id: str, report: Report, seconds: float = 300.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        server = api.get("compute", f"/servers/{server_id}")["server"]
        if server["status"] == "ERROR":
            fault = server.get("fault", {}).get("message", "no reason given")
            raise Problem(f"the server {server['name']} is in ERROR: {fault}")
        if server["status"] != "BUILD":
            if server["status"] == "SHUTOFF":
                api.post("compute", f"/servers/{server_id}/action", {"os-start": None})
            return server
        if time.monotonic() > deadline:
            raise Problem(f"the server {server['name']} is not active after {seconds:.0f} s", "onestack logs agent")
        report(None, server.get("OS-EXT-STS:task_state") or "building")
        time.sleep(0.2)


def ensure_floating_ip(api: Api, server_id: str) -> str:
    port = first(api, "network", f"/ports?device_id={server_id}", "ports")
    if not port:
        raise Problem(f"the server {server_id} has no port")
    have = first(api, "network", f"/floatingips?port_id={port['id']}", "floatingips")
    if not have:
        free = [one for one in api.get("network", "/floatingips")["floatingips"] if not one["port_id"]]
        if free:
            body = {"floatingip": {"port_id": port["id"]}}
            have = api.call("network", "PUT", f"/floatingips/{free[0]['id']}", body)["floatingip"]
        else:
            public = first(api, "network", "/networks?router:external=true&name=public", "networks")
            body = {"floatingip": {"floating_network_id": public["id"], "port_id": port["id"]}}
            have = api.post("network", "/floatingips", body)["floatingip"]
    return str(have["floating_ip_address"])


def wait_for_ssh(api: Api, server_id: str, address: str, report: Report, seconds: float = 300.0) -> bool:
    """Until an SSH server greets, and the guest has its keys; False when none greets in time.

    The SSH server is there some seconds before the keys are. The guest's console says when it has them; a guest that
    never says so (its log was cut) is believed after half a minute.
    """
    deadline = time.monotonic() + seconds
    looked = greeted = 0.0
    while time.monotonic() < deadline:
        greeted = greeted or (time.monotonic() if greets(address) else 0.0)
        if greeted and (booted(api, server_id) or time.monotonic() - greeted > 30):
            return True
        if time.monotonic() - looked > 2:
            looked = time.monotonic()
            report(None, last_console_line(api, server_id) or "booting")
        time.sleep(0.3)
    return False


def greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def booted(api: Api, server_id: str) -> bool:
    return "boot done" in console_output(api, server_id, 40)


def console_output(api: Api, server_id: str, length: int) -> str:
    try:
        body = {"os-getConsoleOutput": {"length": length}}
        return str(api.post("compute", f"/servers/{server_id}/action", body)["output"])
    except ApiError:
        return ""


def last_console_line(api: Api, server_id: str) -> str:
    lines = [line.strip() for line in console_output(api, server_id, 5).splitlines() if line.strip()]
    return "".join(character for character in lines[-1] if character.isprintable()) if lines else ""


def console_url(api: Api, server_id: str) -> str:
    """A console for a browser; the token in it is good for ten minutes. Empty when there is none."""
    body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    try:
        return str(api.post("compute", f"/servers/{server_id}/remote-consoles", body)["remote_console"]["url"])
    except ApiError:
        return ""
