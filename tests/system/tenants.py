"""Projects with a user, their networks and servers, through openstacksdk."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from openstack.connection import Connection

from tests.system.cloud import SystemCloud
from tests.system.ssh import Key, Ssh
from tests.system.waiting import until

IMAGE, FLAVOR = "onestack-mini", "m1.nano"
PATIENCE = 120.0


class Tenant:
    def __init__(self, cloud: SystemCloud, name: str, key: Key) -> None:
        self.cloud, self.key = cloud, key
        self.name = f"{name}-{secrets.token_hex(3)}"
        self.password = secrets.token_urlsafe(12)
        self.admin = cloud.connect("onestack")
        self.project = self.admin.identity.create_project(name=self.name, domain_id="default")
        self.user = self.admin.identity.create_user(
            name=self.name, password=self.password, default_project_id=self.project.id, domain_id="default"
        )
        role = self.admin.identity.find_role("member")
        self.admin.identity.assign_project_role_to_user(self.project, self.user, role)
        self.conn: Connection = cloud.connect_as(self.name, self.password, self.name)
        self.conn.compute.create_keypair(name="key", public_key=key.public, type="ssh")

    def environment(self) -> dict[str, str]:
        """What the `openstack` command needs in its environment."""
        return {
            "OS_AUTH_URL": self.cloud.settings.url("identity") + "/v3",
            "OS_IDENTITY_API_VERSION": "3",
            "OS_USERNAME": self.name,
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": self.name,
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": self.cloud.settings.region,
        }

    # -- networks -----------------------------------------------------------------------------------------

    def network(self, name: str, cidr: str, *, outside: bool = False) -> Any:
        """A network with one subnet; with `outside`, a router to `public`."""
        network = self.conn.network.create_network(name=name)
        subnet = self.conn.network.create_subnet(name=name, network_id=network.id, cidr=cidr, ip_version=4)
        if outside:
            public = self.conn.network.find_network("public", ignore_missing=False)
            router = self.conn.network.create_router(name=name, external_gateway_info={"network_id": public.id})
            self.conn.network.add_interface_to_router(router, subnet_id=subnet.id)
        return network

    def default_group(self) -> Any:
        return next(iter(self.conn.network.security_groups(name="default", project_id=self.project.id)))

    def rule(self, group: str, protocol: str | None, **more: Any) -> Any:
        """Let something in, over IPv4."""
        return self.conn.network.create_security_group_rule(
            security_group_id=group, direction="ingress", ethertype="IPv4", protocol=protocol, **more
        )

    def allow_login(self) -> None:
        group = self.default_group().id
        self.rule(group, "tcp", port_range_min=22, port_range_max=22)
        self.rule(group, "icmp")

    # -- servers ------------------------------------------------------------------------------------------

    def create(self, name: str, *, networks: list[Any] | str, user_data: str = "", image: str = "", **more: Any) -> Any:
        """Ask for a server, by names of networks or dicts as the API takes them, and the id of an image; not waited
        for."""
        if isinstance(networks, list):
            networks = [
                {"uuid": self.conn.network.find_network(one, ignore_missing=False).id} if isinstance(one, str) else one
                for one in networks
            ]
        if user_data:
            more["user_data"] = base64.b64encode(user_data.encode()).decode()
        image = image or self.conn.image.find_image(IMAGE, ignore_missing=False).id
        flavor = self.conn.compute.find_flavor(FLAVOR, ignore_missing=False)
        return self.conn.compute.create_server(
            name=name, image_id=image, flavor_id=flavor.id, networks=networks, key_name="key", **more
        )

    def boot(self, name: str, *, networks: list[Any] | str, **more: Any) -> Guest:
        """A server that is ACTIVE; its guest may still boot."""
        return Guest(self, self.create(name, networks=networks, **more).id).wait("ACTIVE")

    # -- usage --------------------------------------------------------------------------------------------

    def used(self) -> dict[str, int]:
        """What the quotas say that the tenant uses of what servers use."""
        limits = self.conn.compute.get_limits().absolute
        quota = self.admin.network.get_quota(self.project.id, details=True)
        return {
            "instances": limits.instances_used,
            "cores": limits.total_cores_used,
            "ram": limits.total_ram_used,
            "ports": quota.ports["used"],
        }

    def remove(self) -> None:
        """Everything that the project has, then the project."""
        network, compute = self.conn.network, self.conn.compute
        for server in compute.servers():
            compute.delete_server(server)
        until(lambda: not list(compute.servers()), 60, f"no server of {self.name} is left")
        for address in network.ips(project_id=self.project.id):
            network.delete_ip(address)
        for router in network.routers(project_id=self.project.id):
            for port in network.ports(device_id=router.id, device_owner="network:router_interface"):
                network.remove_interface_from_router(router, port_id=port.id)
            network.delete_router(router)
        for port in network.ports(project_id=self.project.id, device_owner=""):
            network.delete_port(port)
        for one in network.networks(project_id=self.project.id):
            network.delete_network(one)
        for group in network.security_groups(project_id=self.project.id):
            if group.name != "default":
                network.delete_security_group(group)
        self.admin.identity.delete_user(self.user)
        self.admin.identity.delete_project(self.project)


class Guest:
    """A server of a tenant, and its guest once `reach` gave it a floating IP."""

    def __init__(self, tenant: Tenant, server_id: str) -> None:
        self.tenant, self.id = tenant, server_id
        self.conn = tenant.conn
        self._ssh: Ssh | None = None

    @property
    def ssh(self) -> Ssh:
        assert self._ssh is not None, "call reach() first"
        return self._ssh

    @property
    def qemu(self) -> int:
        return self.tenant.cloud.qemu_pid(self.id)

    def show(self) -> Any:
        return self.conn.compute.get_server(self.id)

    def wait(self, status: str, seconds: float = PATIENCE) -> Guest:
        """Until the status is reached and nothing is under way. ERROR ends the waiting, unless it is asked for."""

        def there() -> bool:
            server = self.show()
            if server.status == "ERROR" and status != "ERROR":
                raise RuntimeError(f"server {self.id} is in ERROR: {server.fault}")
            return server.status == status and server.task_state is None

        until(there, seconds, f"server {self.id} is {status}")
        return self

    def ports(self) -> list[Any]:
        return list(self.conn.network.ports(device_id=self.id))

    def address(self, number: int = 0) -> str:
        """The fixed address of one of its ports."""
        return str(self.ports()[number].fixed_ips[0]["ip_address"])

    def reach(self, seconds: float = PATIENCE) -> Guest:
        """Give it a floating IP, and wait until it can be logged in to."""
        public = self.conn.network.find_network("public", ignore_missing=False)
        floating = self.conn.network.create_ip(floating_network_id=public.id, port_id=self.ports()[0].id)
        self._ssh = Ssh(floating.floating_ip_address, self.tenant.key).wait(seconds)
        return self

    def console(self) -> str:
        return str(self.conn.compute.get_server_console_output(self.id)["output"])

    def wait_for_boot(self, seconds: float = PATIENCE) -> Guest:
        """Until its console says that it has booted; needs no way to it."""
        until(lambda: "boot done" in self.console(), seconds, f"server {self.id} has booted", 1.0)
        return self

    def delete(self, seconds: float = PATIENCE) -> None:
        self.conn.compute.delete_server(self.id)
        until(lambda: self.conn.compute.find_server(self.id) is None, seconds, f"server {self.id} is gone")
