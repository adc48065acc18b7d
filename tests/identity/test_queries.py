"""How much of the database a request touches."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from onestack.core.cloud import Cloud


class Counter:
    def __init__(self, cloud: Cloud) -> None:
        self.statements: list[str] = []
        sa.event.listen(cloud.db.engine, "before_cursor_execute", self._seen)

    def _seen(self, _connection, _cursor, statement, *_more) -> None:
        if not statement.startswith("BEGIN"):
            self.statements.append(statement)


@pytest.mark.parametrize("plural", ["users", "projects", "groups", "roles", "domains", "services", "role_assignments"])
def test_a_list_costs_the_same_however_long_it_is(keystone, plural):
    path = f"/v3/{plural}?include_names&effective"
    keystone.client.get(path, as_=keystone.admin)
    counter = Counter(keystone.cloud)
    keystone.client.get(path, as_=keystone.admin)
    few = len(counter.statements)
    kind = {"role_assignments": "project"}.get(plural, plural[:-1])
    made = [keystone.make(kind, **{"name": f"n{i}", "type": "t"}) for i in range(20)]
    if plural == "role_assignments":
        user, role = keystone.find("users", "demo"), keystone.find("roles", "member")
        for project in made:
            keystone.client.put(f"/v3/projects/{project['id']}/users/{user}/roles/{role}", as_=keystone.admin)
    keystone.client.get("/v3/regions", as_=keystone.admin)
    counter.statements.clear()
    assert len(keystone.client.get(path, as_=keystone.admin).json[plural]) >= 20
    assert 0 < len(counter.statements) <= few


def test_a_token_that_is_known_costs_no_query_of_its_own(keystone):
    keystone.cloud.authenticate(keystone.demo)
    counter = Counter(keystone.cloud)
    assert keystone.cloud.authenticate(keystone.demo) is not None
    assert counter.statements == []


def test_application_credentials_cost_the_same_however_many_there_are(keystone):
    path = f"/v3/users/{keystone.find('users', 'demo')}/application_credentials"

    def make(name):
        rules = [{"service": "compute", "method": "GET", "path": f"/{name}"}]
        body = {"application_credential": {"name": name, "access_rules": rules}}
        assert keystone.client.post(path, as_=keystone.demo, json=body).status_code == 201

    make("first")
    keystone.client.get(path, as_=keystone.demo)
    counter = Counter(keystone.cloud)
    keystone.client.get(path, as_=keystone.demo)
    few = len(counter.statements)
    for name in ("second", "third", "fourth"):
        make(name)
    counter.statements.clear()
    assert len(keystone.client.get(path, as_=keystone.demo).json["application_credentials"]) == 4
    assert 0 < len(counter.statements) <= few
