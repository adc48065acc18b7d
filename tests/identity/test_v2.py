"""Identity v2.0: its own forms, over the same tables and rules as v3, on two ports."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from onestack.core.clock import Clock
from onestack.identity import public, service
from tests.conftest import Client
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD, Keystone


@dataclass
class Old:
    """Both ports, and tokens of v2.0."""

    public: Client
    admin: Client
    keystone: Keystone
    boss: str = ""
    demo: str = ""

    def login(self, **auth):
        return self.public.post("/v2.0/tokens", as_=None, json={"auth": auth})

    def ask(self, method, path, body=None, as_=None):
        more = {} if body is None else {"json": body}
        return self.admin.request(method, "/v2.0" + path, as_=as_ or self.boss, **more)

    def made(self, path, key, **values):
        answer = self.ask("POST", path, {key: values})
        assert answer.status_code == 200, answer.text
        return answer.json[key]


def credentials(name, password):
    return {"passwordCredentials": {"username": name, "password": password}}


@pytest.fixture
def old(cloud, client_of):
    cloud.clock = Clock()  # a new password and the token made with it must not share a moment
    services = service.build(cloud)
    cloud.db.create_all()
    public.bootstrap(cloud, admin_password=ADMIN_PASSWORD, demo_password=DEMO_PASSWORD)
    keystone = Keystone(client_of(services["identity"]), cloud)
    found = Old(keystone.client, client_of(services["identity-admin"]), keystone)
    keystone.admin = keystone.token("admin", ADMIN_PASSWORD, keystone.on("admin"))
    found.boss = found.login(**credentials("admin", ADMIN_PASSWORD), tenantName="admin").json["access"]["token"]["id"]
    found.demo = found.login(**credentials("demo", DEMO_PASSWORD), tenantName="demo").json["access"]["token"]["id"]
    return found


def test_version_documents(old):
    values = old.public.get("/", as_=None).json["versions"]["values"]
    assert [(value["id"], value["status"]) for value in values] == [("v3.14", "stable"), ("v2.0", "deprecated")]
    document = old.admin.get("/v2.0", as_=None)
    assert document.status_code == 200
    assert document.json["version"]["links"][0]["href"].endswith("/v2.0/")
    assert old.public.get("/v2.0/extensions", as_=None).json["extensions"]["values"][0]["alias"] == "OS-KSCRUD"
    assert old.admin.get("/v2.0/extensions/OS-KSADM", as_=None).json["extension"]["alias"] == "OS-KSADM"
    assert old.admin.get("/v2.0/extensions/OS-NONE", as_=None).status_code == 404
    assert old.public.get("/v2.0/certificates/ca", as_=None).status_code == 410


def test_a_token_and_its_catalog(old):
    access = old.login(**credentials("demo", DEMO_PASSWORD), tenantName="demo").json["access"]
    assert access["token"]["tenant"]["name"] == "demo"
    assert access["token"]["expires"].endswith("Z")
    assert access["user"]["username"] == "demo"
    assert {"name": "member"} in access["user"]["roles"]
    assert access["metadata"]["is_admin"] == 0
    assert len(access["metadata"]["roles"]) == len(access["user"]["roles"])
    catalog = {entry["type"]: entry for entry in access["serviceCatalog"]}
    (identity,) = catalog["identity"]["endpoints"]
    assert identity["publicURL"].endswith(":5000/v2.0")
    assert identity["adminURL"].endswith(":35357/v2.0")
    assert catalog["compute"]["endpoints_links"] == []
    assert access["token"]["tenant"]["id"] in catalog["compute"]["endpoints"][0]["internalURL"]
    assert old.keystone.status(access["token"]["id"]) == 200, "a token of v2.0 is one of v3"


def test_ways_to_log_in(old):
    user_id = old.keystone.find("users", "demo")
    tenant_id = old.keystone.find("projects", "demo")
    by_id = {"passwordCredentials": {"userId": user_id, "password": DEMO_PASSWORD}, "tenantId": tenant_id}
    assert old.login(**by_id).json["access"]["token"]["tenant"]["id"] == tenant_id
    unscoped = old.login(**credentials("demo", DEMO_PASSWORD)).json["access"]
    assert "tenant" not in unscoped["token"]
    assert (unscoped["serviceCatalog"], unscoped["user"]["roles"]) == ([], [])
    again = old.login(token={"id": unscoped["token"]["id"]}, tenantName="demo").json["access"]["token"]
    assert again["audit_ids"][-1] == unscoped["token"]["audit_ids"][0]
    assert again["expires"] == unscoped["token"]["expires"]


@pytest.mark.parametrize(
    ("auth", "status"),
    [
        (credentials("demo", "wrong"), 401),
        (credentials("nobody", "x"), 401),
        (credentials("demo", DEMO_PASSWORD) | {"tenantName": "admin"}, 401),
        (credentials("demo", DEMO_PASSWORD) | {"tenantName": "absent"}, 401),
        (credentials("demo", DEMO_PASSWORD) | {"tenantId": "absent"}, 401),
        (credentials("demo", DEMO_PASSWORD) | {"trust_id": "absent"}, 403),
        ({"token": {"id": "garbage"}}, 401),
        ({}, 400),
        ({"passwordCredentials": []}, 400),
        ({"passwordCredentials": {"username": "demo"}}, 400),
        ({"passwordCredentials": {"password": "x"}}, 400),
        ({"passwordCredentials": {"username": ["demo"], "password": "x"}}, 400),
        (credentials("d" * 65, "x"), 400),
        (credentials("demo", DEMO_PASSWORD) | {"tenantName": {"a": 1}}, 400),
        (credentials("demo", DEMO_PASSWORD) | {"trust_id": 7}, 400),
        ({"token": "x"}, 400),
        ({"token": {"id": 1}}, 400),
    ],
)
def test_log_ins_that_are_refused(old, auth, status):
    answer = old.login(**auth)
    assert answer.status_code == status, answer.text
    assert set(answer.json["error"]) == {"code", "title", "message"}


def test_only_the_default_domain_is_there(old):
    keystone = old.keystone
    domain = keystone.make("domain", name="d")["id"]
    project = keystone.make("project", name="far", domain_id=domain)["id"]
    user = keystone.make("user", name="stranger", password="pw", domain_id=domain)["id"]
    for path in (f"/tenants/{project}", f"/tenants/{domain}", f"/users/{user}", f"/tenants/{project}/users"):
        assert old.ask("GET", path).status_code == 404, path
    assert old.ask("DELETE", f"/users/{user}").status_code == 404
    assert old.ask("DELETE", f"/tenants/{project}").status_code == 404
    assert old.ask("GET", "/users?name=stranger").status_code == 404
    assert "far" not in [tenant["name"] for tenant in old.ask("GET", "/tenants").json["tenants"]]
    assert old.login(passwordCredentials={"userId": user, "password": "pw"}).status_code == 401
    role = keystone.find("roles", "reader")
    keystone.client.put(f"/v3/domains/{domain}/users/{user}/roles/{role}", as_=keystone.admin)
    token = keystone.token("stranger", "pw", {"domain": {"id": domain}}, domain)
    assert old.ask("GET", f"/tokens/{token}").status_code == 401
    assert old.ask("PUT", f"/tenants/{project}/users/{user}/roles/OS-KSADM/{role}").status_code == 404


def test_tokens_are_shown_checked_and_revoked(old):
    shown = old.ask("GET", f"/tokens/{old.demo}").json["access"]
    assert shown["user"]["name"] == "demo"
    tenant = shown["token"]["tenant"]["id"]
    assert old.ask("GET", f"/tokens/{old.demo}?belongsTo={tenant}").status_code == 200
    assert old.ask("GET", f"/tokens/{old.demo}?belongsTo=other").status_code == 401
    head = old.ask("HEAD", f"/tokens/{old.demo}")
    assert (head.status_code, head.text) == (200, "")
    found = old.ask("GET", f"/tokens/{old.demo}/endpoints").json
    assert {"identity", "compute"} <= {endpoint["type"] for endpoint in found["endpoints"]}
    assert found["endpoints_links"] == []
    assert old.ask("GET", "/tokens/revoked").status_code == 410
    for method, path in (("GET", ""), ("HEAD", ""), ("DELETE", ""), ("GET", "/endpoints")):
        assert old.ask(method, f"/tokens/{old.boss}{path}", as_=old.demo).status_code == 403
    assert old.ask("DELETE", f"/tokens/{old.demo}").status_code == 204
    assert old.ask("GET", f"/tokens/{old.demo}").status_code == 404
    assert old.ask("HEAD", f"/tokens/{old.demo}").status_code == 404
    assert old.keystone.status(old.demo) == 401


def test_tenants(old):
    made = old.made("/tenants", "tenant", name="t", description="d")
    assert set(made) == {"id", "name", "description", "enabled"}
    assert old.ask("GET", f"/tenants/{made['id']}").json["tenant"] == made
    assert old.ask("GET", "/tenants?name=t").json["tenant"] == made
    assert old.ask("GET", "/tenants?name=absent").status_code == 404
    assert old.ask("POST", "/tenants", {"tenant": {"name": "t"}}).status_code == 409
    changed = old.ask("POST", f"/tenants/{made['id']}", {"tenant": {"name": "t2", "enabled": False}}).json["tenant"]
    assert (changed["name"], changed["enabled"], changed["description"]) == ("t2", False, "d")
    wrong = ({"name": ""}, {"name": "x" * 65}, {}, [], {"name": "x", "enabled": "y"}, {"name": "x", "is_domain": True})
    for tenant in wrong:
        assert old.ask("POST", "/tenants", {"tenant": tenant}).status_code == 400, tenant
    assert old.ask("POST", "/tenants", {}).status_code == 400
    assert old.ask("DELETE", f"/tenants/{made['id']}").status_code == 204
    assert old.ask("DELETE", f"/tenants/{made['id']}").status_code == 404


def test_whose_tenants_are_listed_depends_on_the_port(old):
    own = old.public.get("/v2.0/tenants", as_=old.demo).json
    assert [tenant["name"] for tenant in own["tenants"]] == ["demo"]
    assert own["tenants_links"] == []
    every = old.ask("GET", "/tenants").json["tenants"]
    assert [tenant["name"] for tenant in every] == ["admin", "demo", "service"]
    assert old.ask("GET", "/tenants", as_=old.demo).status_code == 403
    assert old.admin.get("/v2.0/tenants", as_=None).status_code == 401
    page = old.ask("GET", f"/tenants?marker={every[0]['id']}&limit=1").json["tenants"]
    assert [tenant["name"] for tenant in page] == ["demo"]
    for query in ("marker=absent", "limit=-1", "limit=x", "limit=" + "9" * 30):
        assert old.ask("GET", f"/tenants?{query}").status_code == 400, query
    assert old.public.get("/v2.0/users", as_=old.boss).status_code == 404, "admins' calls are on 35357"


def test_users(old):
    made = old.made("/users", "user", username="ann", password="one", email="ann@example.org", tenantId=None)
    assert set(made) == {"id", "name", "username", "email", "enabled"}
    assert old.ask("GET", f"/users/{made['id']}").json["user"] == made
    assert old.ask("GET", "/users?name=ann").json["user"]["id"] == made["id"]
    assert {"admin", "demo", "ann"} == {user["name"] for user in old.ask("GET", "/users").json["users"]}
    path = f"/users/{made['id']}"
    assert old.ask("PUT", path, {"user": {"name": "ann2", "email": "x"}}).json["user"]["username"] == "ann2"
    assert old.ask("PUT", path + "/OS-KSADM/password", {"user": {"password": "two"}}).status_code == 200
    assert old.login(**credentials("ann2", "one")).status_code == 401
    assert old.login(**credentials("ann2", "two")).status_code == 200
    assert old.ask("PUT", path + "/enabled", {"user": {"enabled": False}}).json["user"]["enabled"] is False
    assert old.login(**credentials("ann2", "two")).status_code == 401
    assert old.ask("PUT", path + "/OS-KSADM/enabled", {"user": {}}).status_code == 400
    assert old.ask("POST", "/users", {"user": {"name": "ann2"}}).status_code == 409
    for user in ({"name": ""}, {"name": "x" * 256}, {"name": "x", "enabled": "yes"}, {}, {"name": 7}):
        assert old.ask("POST", "/users", {"user": user}).status_code == 400, user
    assert old.ask("POST", "/users", {"user": {"name": "x", "tenantId": "absent"}}).status_code == 404
    assert old.ask("GET", "/users?name=x").status_code == 404, "nothing was made"
    assert old.ask("GET", path, as_=old.demo).status_code == 403
    assert old.ask("DELETE", path).status_code == 204
    assert old.ask("GET", path).status_code == 404


def test_a_users_tenant_makes_them_a_member(old):
    first, second = (old.made("/tenants", "tenant", name=name)["id"] for name in ("one", "two"))
    user = old.made("/users", "user", name="ann", password="pw", tenantId=first)
    assert user["tenantId"] == first

    def members(tenant):
        return [member["name"] for member in old.ask("GET", f"/tenants/{tenant}/users").json["users"]]

    assert (members(first), members(second)) == (["ann"], [])
    moved = old.ask("PUT", f"/users/{user['id']}/OS-KSADM/tenant", {"user": {"tenantId": second}})
    assert moved.json["user"]["tenantId"] == second
    assert (members(first), members(second)) == ([], ["ann"])
    roles = old.ask("GET", f"/tenants/{second}/users/{user['id']}/roles").json["roles"]
    assert [role["name"] for role in roles] == ["member", "reader"]
    assert old.ask("PUT", f"/users/{user['id']}", {"user": {"tenantId": "absent"}}).status_code == 404
    assert members(second) == ["ann"]


def test_members_by_groups_are_listed(old):
    keystone = old.keystone
    group = keystone.make("group", name="g", domain_id="default")["id"]
    user = keystone.make("user", name="gail", domain_id="default")["id"]
    tenant = keystone.find("projects", "service")
    keystone.client.put(f"/v3/groups/{group}/users/{user}", as_=keystone.admin)
    role = keystone.find("roles", "reader")
    keystone.client.put(f"/v3/projects/{tenant}/groups/{group}/roles/{role}", as_=keystone.admin)
    assert [member["name"] for member in old.ask("GET", f"/tenants/{tenant}/users").json["users"]] == ["gail"]


def test_own_passwords(old):
    user_id = old.keystone.find("users", "demo")
    path = f"/v2.0/OS-KSCRUD/users/{user_id}"

    def change(as_=old.demo, **user):
        return old.public.patch(path, as_=as_, json={"user": user})

    assert change(password="new", original_password="wrong").status_code == 401
    assert change(password="new").status_code == 400
    assert change(as_=old.boss, password="new", original_password=DEMO_PASSWORD).status_code == 403
    answer = change(password="new", original_password=DEMO_PASSWORD)
    assert answer.status_code == 200, answer.text
    new = answer.json["access"]["token"]
    assert new["tenant"]["name"] == "demo"
    assert old.keystone.status(new["id"]) == 200
    assert old.keystone.status(old.demo) == 401


def test_roles(old):
    role = old.made("/OS-KSADM/roles", "role", name="r")
    assert role == {"id": role["id"], "name": "r"}
    assert old.ask("GET", f"/OS-KSADM/roles/{role['id']}").json["role"] == role
    assert "r" in [found["name"] for found in old.ask("GET", "/OS-KSADM/roles").json["roles"]]
    assert old.ask("POST", "/OS-KSADM/roles", {"role": {"name": "r"}}).status_code == 409
    assert old.ask("POST", "/OS-KSADM/roles", {"role": {"name": ""}}).status_code == 400
    user, tenant = old.keystone.find("users", "demo"), old.keystone.find("projects", "service")
    path = f"/tenants/{tenant}/users/{user}/roles"
    assert old.ask("PUT", f"{path}/OS-KSADM/{role['id']}").json["role"] == role
    again = old.ask("PUT", f"{path}/OS-KSADM/{role['id']}")
    assert again.status_code == 409
    assert again.json["error"]["message"].startswith("Conflict occurred attempting to store role grant - User ")
    assert [found["name"] for found in old.ask("GET", path).json["roles"]] == ["r"]
    refs = old.ask("GET", f"/users/{user}/roleRefs").json["roles"]
    mine = next(ref for ref in refs if ref["roleId"] == role["id"])
    assert old.ask("DELETE", f"/users/{user}/roleRefs/{mine['id']}").status_code == 204
    assert old.ask("DELETE", f"{path}/OS-KSADM/{role['id']}").status_code == 404
    assert old.ask("PUT", f"{path}/OS-KSADM/absent").status_code == 404
    assert old.ask("PUT", f"/tenants/absent/users/{user}/roles/OS-KSADM/{role['id']}").status_code == 404
    for method, suffix in (("GET", ""), ("PUT", f"/OS-KSADM/{role['id']}"), ("DELETE", f"/OS-KSADM/{role['id']}")):
        assert old.ask(method, f"/users/{user}/roles{suffix}").status_code == 501
        assert old.ask(method, f"/users/{user}/roles{suffix}", as_=old.demo).status_code == 403
    assert old.ask("DELETE", f"/OS-KSADM/roles/{role['id']}").status_code == 204
    own = old.keystone.make("role", name="of-domain", domain_id="default")["id"]
    assert old.ask("GET", f"/OS-KSADM/roles/{own}").status_code == 404


def test_services_and_endpoints(old):
    made = old.made("/OS-KSADM/services", "OS-KSADM:service", name="svc", type="thing", description="d")
    service_id = made["id"]
    assert old.ask("GET", f"/OS-KSADM/services/{service_id}").json["OS-KSADM:service"]["description"] == "d"
    names = [found["name"] for found in old.ask("GET", "/OS-KSADM/services").json["OS-KSADM:services"]]
    assert {"svc", "keystone"} <= set(names)
    urls = {"publicurl": "http://p/%(tenant_id)s", "adminurl": "http://a"}
    endpoint = old.made("/endpoints", "endpoint", service_id=service_id, region="North", **urls)
    assert endpoint["internalurl"] is None
    (listed,) = [e for e in old.ask("GET", "/endpoints").json["endpoints"] if e["service_id"] == service_id]
    assert listed == {"id": endpoint["id"], "service_id": service_id, "region": "North", "enabled": True, **urls}
    client, admin = old.keystone.client, old.keystone.admin
    rows = client.get(f"/v3/endpoints?service_id={service_id}", as_=admin).json["endpoints"]
    assert {row["interface"] for row in rows} == {"public", "admin"}
    access = old.login(**credentials("demo", DEMO_PASSWORD), tenantName="demo").json["access"]
    (shown,) = [entry for entry in access["serviceCatalog"] if entry["type"] == "thing"]
    assert shown["endpoints"][0]["publicURL"] == f"http://p/{access['token']['tenant']['id']}"
    assert old.ask("DELETE", f"/endpoints/{endpoint['id']}").status_code == 204
    assert old.ask("DELETE", f"/endpoints/{endpoint['id']}").status_code == 404
    assert client.get(f"/v3/endpoints?service_id={service_id}", as_=admin).json["endpoints"] == []
    own = next(e for e in old.ask("GET", "/endpoints").json["endpoints"])
    assert old.ask("DELETE", f"/endpoints/{own['id']}").status_code == 403
    for body in ({"service_id": service_id}, {"publicurl": "http://x"}, {"service_id": "absent", "publicurl": "http://x"},
                 {"service_id": service_id, "publicurl": "http://%(password)s"},
                 {"service_id": service_id, "publicurl": 7}):  # fmt: skip
        assert old.ask("POST", "/endpoints", {"endpoint": body}).status_code == 400, body
    assert old.ask("DELETE", f"/OS-KSADM/services/{service_id}").status_code == 204


def test_ec2_keys(old):
    user, tenant = old.keystone.find("users", "demo"), old.keystone.find("projects", "demo")
    path = f"/v2.0/users/{user}/credentials/OS-EC2"
    made = old.public.post(path, as_=old.demo, json={"tenant_id": tenant})
    assert made.status_code == 200, made.text
    key = made.json["credential"]
    assert (key["user_id"], key["tenant_id"], "links" in key) == (user, tenant, False)
    assert old.public.get(path, as_=old.demo).json["credentials"] == [key]
    assert old.admin.get(f"{path}/{key['access']}", as_=old.boss).json["credential"] == key
    other = f"/v2.0/users/{old.keystone.find('users', 'admin')}/credentials/OS-EC2"
    assert old.public.get(other, as_=old.demo).status_code == 403
    assert old.public.delete(f"{path}/{key['access']}", as_=old.demo).status_code == 204
    assert old.public.get(path, as_=old.demo).json["credentials"] == []
