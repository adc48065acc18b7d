"""A cloud with people and things in it: every service, built as the server builds them, on the fake engine.

Project `alpha` is Ann's; everything in it carries MARK in its name or contents. Bob's project `beta` must never see
that word. `restore()` brings the tables back to what they were, so that tests don't see each other's changes.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from onestack import config
from onestack.core import secret
from onestack.core.clock import FakeClock
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.operations import Workers
from onestack.core.routes import Route
from onestack.identity.models_oauth import AccessToken, RequestToken
from onestack.server import bootstrap, build
from onestack.wire import Answer as HostAnswer
from onestack.wire import Work
from tests.compute.conftest import PlayedAgent
from tests.conftest import Client
from tests.contract import snapshot
from tests.contract.asgi import Answer, Caller

MARK = "quokka"
HOST = "host1"
SERVICES = ("identity", "image", "placement", "network", "compute")
# Second ports of a service: what is served there beside its own routes.
SECOND = {"identity-admin": "identity", "image-registry": "image"}
PASSWORD = "open sesame"
# Who asks. The last four have no valid token.
PERSONAS = (
    "admin", "member", "reader", "other", "norole", "domain", "system", "unscoped", "revoked", "disabled", "garbage",
    "none",
)  # fmt: skip
INVALID = ("revoked", "disabled", "garbage", "none")


def all_routes(*services: str) -> list[tuple[str, Route]]:
    """Every route with its service, without a cloud behind it."""
    found: dict[str, Any] = build.services(build.cloud_of(config.Settings(state="/nonexistent", hypervisor="fake")))
    found["agent"] = found["agent"].service
    return [
        (name, route)
        for name in services or (*SERVICES, *SECOND)
        for route in found[name].routes
        if name not in SECOND or route not in found[SECOND[name]].routes
    ]


def service_of(service: str) -> str:
    """The service that `service`, a port's name, belongs to."""
    return SECOND.get(service, service)


class World:
    """`callers[service].request(...)`, `tokens[persona]`, `ids[name]`: what templates mean by `$name`."""

    def __init__(self, directory: Path, database: str = "") -> None:
        for name in ("db", "run"):
            (directory / name).mkdir()
        (directory / "onestack.toml").write_text(f'host = "{HOST}"\n' + (f'database = "{database}"\n' * bool(database)))
        self.cloud: Cloud = build.cloud_of(config.load(str(directory), hypervisor="fake"))
        self.cloud.clock = FakeClock()
        self.applications: dict[str, Any] = build.services(self.cloud)
        bootstrap.run(self.cloud)
        self.pool = ThreadPoolExecutor(4)
        self.callers = {
            name: Caller(app.app(self.pool)) for name, app in self.applications.items() if name != "console"
        }
        self.tokens: dict[str, str | None] = {"garbage": "gAAAAABnotatoken", "none": None}
        self.ids: dict[str, str] = {}
        self.agent_token = secret.ensure(self.cloud.settings, "agent.token")
        self._populate()
        self._tables = snapshot.take(self.cloud.db)
        images = self.cloud.settings.path("images")
        self._files = {name: (images / name).read_bytes() for name in self.files()}
        self._hypervisor = _Hypervisor(self)

    def close(self) -> None:
        self._hypervisor.stop()
        self._tables.close()
        self.cloud.drivers["network"].close()
        for caller in self.callers.values():
            caller.loop.close()
        self.pool.shutdown()
        self.cloud.db.close()

    # Looking

    def context(self, persona: str) -> Context | None:
        token = self.tokens[persona]
        return self.cloud.authenticate(token) if token else None

    def touched(self) -> bool:
        """Whether anything was committed since `restore`."""
        return self._tables.touched()

    def differences(self) -> dict[str, list[Any]]:
        """What is not as it was, by table; an empty dict when nothing was committed or all of it was taken back."""
        return self._tables.differences()

    def restore(self) -> None:
        """The tables as they were."""
        if not self.touched():
            return
        self._tables.restore()
        images = self.cloud.settings.path("images")
        for name in self.files() - self._files.keys():
            (images / name).unlink()
        for name in self._files.keys() - self.files():
            (images / name).write_bytes(self._files[name])

    def new_files(self) -> set[str]:
        """Files of images that weren't there at first."""
        return self.files() - self._files.keys()

    def files(self) -> set[str]:
        """Glance's files."""
        images = self.cloud.settings.path("images")
        return {str(file.relative_to(images)) for file in images.rglob("*") if file.is_file()}

    # Making

    def ask(self, service: str, method: str, target: str, body: Any = None, as_: str = "admin", **more: Any) -> Any:
        """A request of the set-up, which must succeed: its JSON."""
        answer: Answer = self.callers[service].request(method, target, self.tokens[as_], json_body=body, **more)
        assert answer.status < 300, (method, target, answer.status, answer.text)
        return answer.json if answer.body else None

    def token(self, user: str, password: str, scope: Any = None) -> str:
        who = {"name": user, "password": password, "domain": {"id": "default"}}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        if scope is not None:
            auth["scope"] = scope
        answer = self.callers["identity"].request("POST", "/v3/auth/tokens", json_body={"auth": auth})
        assert answer.status == 201, answer.text
        return answer.headers["x-subject-token"]

    def _populate(self) -> None:
        admin = secret.ensure(self.cloud.settings, "admin-password")
        self.tokens["admin"] = self.token("admin", admin, _project("admin"))
        self.tokens["system"] = self.token("admin", admin, {"system": {"all": True}})
        self.tokens["domain"] = self.token("admin", admin, {"domain": {"id": "default"}})
        self._people()
        self._identity()
        self._around_the_catalog()
        self._networks()
        self._image()
        self._compute()
        self._placement()

    def _make(self, kind: str, plural: str = "", **values: Any) -> str:
        body = self.ask("identity", "POST", f"/v3/{plural or kind + 's'}", {kind: values})
        return str(body[kind]["id"])

    def _people(self) -> None:
        roles = {role["name"]: role["id"] for role in self.ask("identity", "GET", "/v3/roles")["roles"]}
        self.ids["role_id"] = self._make("role", name=f"{MARK}-role")
        self.ids["implied_role_id"] = self._make("role", name=f"{MARK}-implied")
        for project in ("alpha", "beta"):
            self.ids[project] = self._make("project", name=project, domain_id="default", tags=["t"])
        grants = {
            "ann": ("alpha", roles["member"]), "rob": ("alpha", roles["reader"]), "ned": ("alpha", self.ids["role_id"]),
            "bob": ("beta", roles["member"]), "dan": ("alpha", roles["member"]), "roy": ("alpha", roles["member"]),
        }  # fmt: skip
        for user, (project, role) in grants.items():
            self.ids[user] = self._make("user", name=user, password=PASSWORD, domain_id="default")
            self.ask("identity", "PUT", f"/v3/projects/{self.ids[project]}/users/{self.ids[user]}/roles/{role}")
        for persona, user in (("member", "ann"), ("reader", "rob"), ("norole", "ned"), ("other", "bob"),
                              ("disabled", "dan"), ("revoked", "roy")):  # fmt: skip
            self.tokens[persona] = self.token(user, PASSWORD, _project(grants[user][0]))
        self.tokens["unscoped"] = self.token("bob", PASSWORD)
        self.ask("identity", "DELETE", "/v3/auth/tokens", headers={"X-Subject-Token": self.tokens["revoked"] or ""})
        self.ask("identity", "PATCH", f"/v3/users/{self.ids['dan']}", {"user": {"enabled": False}})
        self.ids["token"] = self.tokens["member"] or ""
        self.ids["alias"] = "OS-KSCRUD"
        self.ids |= {"project_id": self.ids["alpha"], "user_id": self.ids["ann"], "member_role": roles["member"]}

    def _identity(self) -> None:
        ids, user = self.ids, f"/v3/users/{self.ids['ann']}"
        ids["domain_id"] = self._make("domain", name=f"{MARK}-domain", enabled=False)
        ids["group_id"] = self._make("group", name=f"{MARK}-group", domain_id="default")
        ids["region_id"] = self._make("region", id="There")
        ids["service_id"] = self._make("service", type="thing", name="thing")
        ids["endpoint_id"] = self._make(
            "endpoint", service_id=ids["service_id"], interface="public", url="http://h/%(project_id)s"
        )
        for path in (f"/v3/groups/{ids['group_id']}/users/{ids['ann']}",
                     f"/v3/roles/{ids['role_id']}/implies/{ids['implied_role_id']}"):  # fmt: skip
            self.ask("identity", "PUT", path)
        blob = {"type": "cert", "blob": MARK, "user_id": ids["ann"]}
        ids["credential_id"] = self._make("credential", **blob)
        made = self.ask("identity", "POST", f"{user}/application_credentials", as_="member",
                        body={"application_credential": {"name": MARK, "access_rules": [
                            {"service": "compute", "method": "GET", "path": f"/{MARK}"}]}})  # fmt: skip
        ids["application_credential_id"] = made["application_credential"]["id"]
        ids["access_rule_id"] = made["application_credential"]["access_rules"][0]["id"]
        consumer = self.ask("identity", "POST", "/v3/OS-OAUTH1/consumers", {"consumer": {"description": MARK}})
        ids["consumer_id"] = consumer["consumer"]["id"]
        granted = {"consumer_id": ids["consumer_id"], "project_id": ids["alpha"], "encrypted_secret": "x",
                   "expires_at": self.cloud.clock.now() + datetime.timedelta(hours=1)}  # fmt: skip
        ids["request_token_id"], ids["access_token_id"] = "a" * 32, "b" * 32
        with self.cloud.db.write() as session:
            session.add(RequestToken(id=ids["request_token_id"], **granted))
            session.add(
                AccessToken(id=ids["access_token_id"], user_id=ids["ann"], role_ids=[ids["role_id"]], **granted)
            )
        made = self.ask("identity", "POST", f"{user}/credentials/OS-EC2", {"tenant_id": ids["alpha"]}, "member")
        ids["access"] = made["credential"]["access"]
        for name, text in (("ec2_signature", b"SignatureVersion1"), ("s3_signature", b"text")):
            digest = hmac.new(made["credential"]["secret"].encode(), text, hashlib.sha1).digest()
            ids[name] = base64.b64encode(digest).decode()
        trust = {"trustor_user_id": ids["ann"], "trustee_user_id": ids["rob"], "project_id": ids["alpha"],
                 "impersonation": True, "roles": [{"id": ids["member_role"]}], "note": MARK}  # fmt: skip
        ids["role_ref"] = f"roleId={ids['member_role']}&tenantId={ids['alpha']}"
        ids["trust_id"] = self.ask("identity", "POST", "/v3/OS-TRUST/trusts", {"trust": trust}, "member")["trust"]["id"]

    def _around_the_catalog(self) -> None:
        ids = self.ids
        nova = self.ask("identity", "GET", "/v3/services?type=compute")["services"][0]["id"]
        limits = [{"service_id": nova, "resource_name": name, "default_limit": 5} for name in ("cores", "disks")]
        made = self.ask("identity", "POST", "/v3/registered_limits", {"registered_limits": limits})
        ids["registered_limit_id"] = made["registered_limits"][1]["id"]
        limit = {"service_id": nova, "resource_name": "cores", "resource_limit": 3, "project_id": ids["alpha"]}
        made = self.ask("identity", "POST", "/v3/limits", {"limits": [limit | {"description": MARK}]})
        ids["limit_id"], ids["limited_service_id"] = made["limits"][0]["id"], nova
        options = {"config": {"ldap": {"url": f"ldap://{MARK}", "password": MARK}}}
        self.ask("identity", "PUT", f"/v3/domains/{ids['domain_id']}/config", options)
        filters = {"service_id": ids["service_id"]}
        ids["endpoint_group_id"] = self._make(
            "endpoint_group", "OS-EP-FILTER/endpoint_groups", name=MARK, filters=filters
        )  # fmt: skip
        ids["policy_id"] = self._make("policy", "policies", type="text/plain", blob=MARK)
        association = f"/v3/policies/{ids['policy_id']}/OS-ENDPOINT-POLICY"
        for path in (
            f"/v3/OS-EP-FILTER/endpoint_groups/{ids['endpoint_group_id']}/projects/{ids['alpha']}",
            f"/v3/OS-EP-FILTER/projects/{ids['alpha']}/endpoints/{ids['endpoint_id']}",
            f"{association}/endpoints/{ids['endpoint_id']}",
            f"{association}/services/{ids['service_id']}",
            f"{association}/services/{ids['service_id']}/regions/{ids['region_id']}",
        ):
            self.ask("identity", "PUT", path)

    def _neutron(self, kind: str, plural: str = "", as_: str = "member", **values: Any) -> dict[str, Any]:
        body = self.ask("network", "POST", f"/v2.0/{plural or kind + 's'}", {kind: values}, as_)
        found: dict[str, Any] = body[kind]
        return found

    def _networks(self) -> None:
        ids = self.ids
        ids["network_id"] = self._neutron("network", name=MARK)["id"]
        ids["public"] = self.ask("network", "GET", "/v2.0/networks?router:external=True")["networks"][0]["id"]
        subnet: dict[str, Any] = {"network_id": ids["network_id"], "cidr": "10.0.0.0/24", "ip_version": 4, "name": MARK}
        ids["subnet_id"] = self._neutron("subnet", **subnet)["id"]
        ids["port_id"] = self._neutron("port", network_id=ids["network_id"], name=MARK)["id"]
        gateway = {"network_id": ids["public"]}
        ids["router_id"] = self._neutron("router", name=MARK, external_gateway_info=gateway)["id"]
        interface = {"subnet_id": ids["subnet_id"]}
        self.ask("network", "PUT", f"/v2.0/routers/{ids['router_id']}/add_router_interface", interface, "member")
        floating = self._neutron("floatingip", floating_network_id=ids["public"], port_id=ids["port_id"],
                                 description=MARK)  # fmt: skip
        ids["floatingip_id"] = ids["floating_id"] = floating["id"]
        ids["floating_address"] = floating["floating_ip_address"]
        group = self._neutron("security_group", "security-groups", name=MARK)
        ids["security_group_id"] = group["id"]
        rule = self._neutron(
            "security_group_rule", "security-group-rules", security_group_id=group["id"], direction="ingress",
            protocol="tcp", port_range_min=22, port_range_max=22, description=MARK,
        )  # fmt: skip
        ids["rule_id"] = rule["id"]
        for persona in ("admin", "other"):  # a project's default group is made when its groups are first asked for
            self.ask("network", "GET", "/v2.0/security-groups", as_=persona)
        for noun in ("network", "subnet", "port", "router", "floatingip", "security-group"):
            self.ask("network", "PUT", f"/v2.0/{noun}s/{ids[noun.replace('-', '_') + '_id']}/tags/t", as_="member")

    def _image(self) -> None:
        image = {"name": f"{MARK}-image", "disk_format": "raw", "container_format": "bare", "tags": ["t"], "k": MARK}
        binary = {"Content-Type": "application/octet-stream"}
        for name, body, persona in (
            ("image_id", image, "member"), ("queued_image_id", image, "member"), ("shared_image_id", image, "member"),
            ("public_image_id", image | {"name": "tiny", "visibility": "public", "k": ""}, "admin"),
        ):  # fmt: skip
            self.ids[name] = self.ask("image", "POST", "/v2/images", body, persona)["id"]
            if name != "queued_image_id":
                answer = self.callers["image"].request(
                    "PUT", f"/v2/images/{self.ids[name]}/file", self.tokens[persona],
                    body=f"{MARK} " .encode() * 100 if persona == "member" else b"tiny " * 100, headers=binary,
                )  # fmt: skip
                assert answer.status == 204, answer.text
        shared = f"/v2/images/{self.ids['image_id']}"
        self.ask("image", "PATCH", shared, [{"op": "replace", "path": "/visibility", "value": "shared"}], "member",
                 headers={"Content-Type": "application/openstack-images-v2.1-json-patch"})  # fmt: skip
        self.ask("image", "POST", f"{shared}/members", {"member": self.ids["project_id"]}, "member")
        self.ids["member_id"] = self.ids["project_id"]
        shape = {"title": "T", "type": "string", "description": MARK}
        namespace = {
            "namespace": f"{MARK}-definitions", "owner": self.ids["alpha"], "description": MARK,
            "resource_type_associations": [{"name": "OS::Own::Type", "prefix": "p:"}], "tags": [{"name": "own-tag"}],
            "objects": [{"name": "own-object", "description": MARK, "properties": {"q": shape}}],
            "properties": {"own-property": shape},
        }  # fmt: skip
        self.ask("image", "POST", "/v2/metadefs/namespaces", namespace, "admin")
        self.ids["namespace"] = namespace["namespace"]

    def _compute(self) -> None:
        ids, latest = self.ids, {"OpenStack-API-Version": "compute latest"}
        agent = PlayedAgent(Client(self.applications["agent"].app(self.pool)), HOST, self.agent_token)
        assert agent.hello().status_code == 200
        self.ask("compute", "POST", "/v2.1/os-keypairs", {"keypair": {"name": MARK, "public_key": KEY}}, "member")
        server = {"name": MARK, "flavorRef": "1", "imageRef": ids["public_image_id"], "key_name": MARK,
                  "networks": [{"uuid": ids["network_id"]}], "metadata": {"k": MARK}, "tags": ["t"]}  # fmt: skip
        made = self.ask("compute", "POST", "/v2.1/servers", {"server": server}, "member", headers=latest)
        ids["server_id"] = made["server"]["id"]
        workers = Workers(self.cloud, self.cloud.runners)
        for _ in range(3):
            while workers.run_one():
                pass
            agent.run()
        shown = self.ask("compute", "GET", f"/v2.1/servers/{ids['server_id']}")["server"]
        assert shown["status"] == "ACTIVE", shown
        actions = self.ask("compute", "GET", f"/v2.1/servers/{ids['server_id']}/os-instance-actions")
        ids["request_id"] = actions["instanceActions"][0]["request_id"]
        ids["nic_id"] = self.ask("network", "GET", f"/v2.0/ports?device_id={ids['server_id']}")["ports"][0]["id"]
        group = {"server_group": {"name": MARK, "policy": "affinity"}}
        made = self.ask("compute", "POST", "/v2.1/os-server-groups", group, "member", headers=latest)
        ids["group_id_of_servers"] = made["server_group"]["id"]
        made = self.ask("compute", "POST", "/v2.1/os-aggregates", {"aggregate": {"name": "rack"}})
        ids["aggregate_id"] = str(made["aggregate"]["id"])
        flavor = {"name": "own", "ram": 64, "vcpus": 1, "disk": 1, "id": "own", "os-flavor-access:is_public": False}
        self.ask("compute", "POST", "/v2.1/flavors", {"flavor": flavor})
        self.ask("compute", "POST", "/v2.1/flavors/own/os-extra_specs", {"extra_specs": {"hw:k": "v"}})
        console = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        made = self.ask("compute", "POST", f"/v2.1/servers/{ids['server_id']}/remote-consoles", console, "member",
                        headers=latest)  # fmt: skip
        ids["console_token"] = made["remote_console"]["url"][-36:]  # the token, a UUID
        found = self.ask("compute", "GET", "/v2.1/os-hypervisors", headers=latest)["hypervisors"]
        ids["hypervisor_id"] = found[0]["id"]
        found = self.ask("compute", "GET", "/v2.1/os-services?binary=nova-compute", headers=latest)["services"]
        ids["nova_service_id"] = found[0]["id"]

    def _placement(self) -> None:
        latest = {"OpenStack-API-Version": "placement latest"}
        found = self.ask("placement", "GET", "/resource_providers", headers=latest)
        self.ids["provider"] = found["resource_providers"][0]["uuid"]
        self.ask("placement", "PUT", "/traits/CUSTOM_T", headers=latest)
        self.ask("placement", "PUT", "/resource_classes/CUSTOM_C", headers=latest)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfmXUyDaTJkzTiZVqSCaE6GFf1nBcJ2yhQDvkEvW2Qd ann@example.org"


def _project(name: str) -> dict[str, Any]:
    return {"project": {"name": name, "domain": {"id": "default"}}}


class _Hypervisor:
    """The host's agent, as far as it answers what users ask while they wait."""

    def __init__(self, world: World) -> None:
        self._caller = Caller(world.applications["agent"].app(world.pool))
        self._headers = {"Authorization": f"Bearer {world.agent_token}"}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._caller.loop.close()

    def _run(self) -> None:
        seen = 0
        while not self._stop.is_set():
            answer = self._caller.request("GET", f"/v1/work?after={seen}&wait=1", headers=self._headers)
            if answer.status != 200:
                continue
            work = msgspec.json.decode(answer.body, type=Work)
            seen = work.revision
            for question in work.questions:
                body = msgspec.json.encode(HostAnswer(ok=True, body={"output": MARK}))
                with contextlib.suppress(json.JSONDecodeError):
                    self._caller.request("POST", f"/v1/answers/{question.id}", body=body, headers=self._headers)
