"""`onestack explain` and `onestack keystone-manage` on a cloud's state directory, without a server."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

import pytest

from onestack import config
from onestack.cli import credentials
from onestack.cli.main import main
from onestack.core.cloud import Cloud
from onestack.server import bootstrap, build


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `onestack up` leaves behind."""
    for name in ("ONESTACK_STATE", "ONESTACK_PORT_OFFSET", "ONESTACK_HYPERVISOR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "onestack.toml").write_text('hypervisor = "fake"\n')
    for name in ("db", "run", "supervisor", "keys"):
        (tmp_path / name).mkdir(mode=0o700)
    cloud = opened(tmp_path)
    bootstrap.run(cloud)
    cloud.db.close()
    return tmp_path


def opened(state: Path) -> Cloud:
    cloud = build.cloud_of(config.load(str(state)))
    build.services(cloud)
    return cloud


@pytest.fixture
def onestack(state: Path, capsys: pytest.CaptureFixture[str]):
    """`onestack("explain", "x")` → (status, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(["--state", str(state), *arguments])
        except SystemExit as left:
            status = int(left.code or 0)
        return (status, *capsys.readouterr())

    return run


def test_a_rule(onestack) -> None:
    status, text, _ = onestack("explain", "identity:create_user")
    assert status == 0
    assert "POST /v3/users" in text
    assert "role:admin or is_admin:1   [default]" in text
    rows = {name: rest for name, *rest in (re.split(" {2,}", line.strip()) for line in text.splitlines())}
    assert rows["domain manager"] == ["yes", "no"]
    assert rows["project member"] == ["no", "no"]
    assert rows["system admin"] == ["yes", "yes"]


@pytest.mark.parametrize("rule", ["os_compute_api:servers:delete", "identity:create_user", "add_image"])
def test_columns_are_aligned_whatever_the_length_of_names(onestack, rule) -> None:
    _, *lines = onestack("explain", rule)[1].splitlines()
    middle = next(number for number, line in enumerate(lines) if re.match("  who ", line))
    for table in (lines[:middle], lines[middle:]):
        rows = [[cell.start() for cell in re.finditer(r"(?<=  )\S", line)][:3] for line in table]
        seconds = {row[1] for row in rows}
        assert len(seconds) == 1, table
        assert seconds == {4 + max(len(re.split(" {2,}", line.strip())[0]) for line in table)}
    assert len({row[2] for row in rows}) == 1, "whose it is"


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (("POST", "/v3/users"), "identity:create_user"),
        (("get", "/v3/users/abc?x=1"), "identity:get_user"),
        (("DELETE", "/v2.1/servers/abc"), "os_compute_api:servers:delete"),
        (("GET", "/v2.0/networks"), "get_network"),
        (("GET", "/v2/images"), "get_images"),
        (("GET", "/resource_providers"), "placement:resource_providers:list"),
        (("POST", "/v2.0/users"), "admin_required"),
        (("GET", "/v3/auth/tokens"), "identity:validate_token"),
    ],
)
def test_a_request_of_any_service(onestack, request_, rule) -> None:
    status, text, _ = onestack("explain", *request_)
    assert (status, rule in text) == (0, True), text


def test_requests_without_a_rule(onestack) -> None:
    assert "no token is needed" in onestack("explain", "POST", "/v3/auth/tokens")[1]


def test_somebody(onestack) -> None:
    status, text, _ = onestack("explain", "POST", "/v3/users", "--user", "demo", "--project", "demo")
    assert (status, "demo on demo: member, reader" in text) == (3, True)
    status, text, _ = onestack("explain", "POST", "/v3/users", "--user", "admin", "--system")
    assert (status, "yes for their own, yes for another's" in text) == (0, True)
    delete = ("explain", "os_compute_api:servers:delete", "--user", "demo", "--project", "demo")
    status, text, _ = onestack(*delete)
    assert (status, "yes for their own, no for another's" in text) == (0, True)
    assert onestack(*delete, "--target", "project_id=somebody")[0] == 3
    status, text, _ = onestack("explain", "identity:get_user", "--user", "demo", "--project", "admin")
    assert (status, "no role at all" in text) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("identity:creat_user",), "`identity:create_user`"),
        (("POST", "/v3/user"), "`POST /v3/users`"),
        (("a", "b", "c"), "one rule, or a method and a path"),
        (("identity:get_user", "--user", "nobody"), "there is no user 'nobody'"),
        (("identity:get_user", "--user", "demo", "--project", "none"), "there is no project 'none'"),
        (("identity:get_user", "--project", "demo"), "--user"),
        (("identity:get_user", "--user", "demo", "--target", "x"), "KEY=VALUE"),
        (("identity:get_user", "--service", "none"), "there is no service 'none'"),
    ],
)
def test_what_cannot_be_explained(onestack, arguments, words) -> None:
    status, _, error = onestack("explain", *arguments)
    assert (status, words in error) == (1, True), error


def test_the_operators_file(onestack, state) -> None:
    (state / "policy").mkdir()
    file = state / "policy" / "identity.json"
    file.write_text(json.dumps({"admin_required": [["role:admin"], ["role:member"]]}))
    status, text, _ = onestack("explain", "POST", "/v3/users", "--user", "demo", "--project", "demo")
    assert (status, f"role:admin or role:member   [{file}]" in text) == (0, True)
    assert f"ok   policy       {file}: 1 rules" in onestack("doctor")[1]
    file.write_text("{")
    status, _, error = onestack("explain", "identity:get_user")
    assert (status, str(file) in error) == (1, True)
    status, text, _ = onestack("doctor")
    assert (status, f"BAD  policy       {file}" in text) == (3, True)
    file.rename(state / "policy" / "keystone.json")
    assert "is no service's" in onestack("doctor")[1]


# keystone-manage


def test_tables(onestack) -> None:
    assert onestack("keystone-manage", "-vvv", "db_sync")[0] == 0
    assert onestack("keystone-manage", "db_sync", "--expand")[0] == 0
    assert onestack("keystone-manage", "db_sync", "--check")[0] == 0
    assert onestack("keystone-manage", "db_version")[1].strip().isdigit()
    assert onestack("keystone-manage", "db_sync", "0001")[0] == 1


def test_tables_that_are_older(onestack, state) -> None:
    cloud = opened(state)
    with cloud.db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    cloud.db.close()
    status, text, _ = onestack("keystone-manage", "db_sync", "--check")
    assert (status, "not up to date" in text) == (2, True)
    status, text, _ = onestack("keystone-manage", "doctor")
    assert (status, "BAD  tables" in text) == (2, True)


def test_the_first_admin_again_and_again(onestack, state) -> None:
    words = ("keystone-manage", "bootstrap", "--bootstrap-username", "boss", "--bootstrap-password", "pw",
             "--bootstrap-project-name", "hq", "--bootstrap-role-name", "chief", "--bootstrap-region-id", "North",
             "--bootstrap-public-url", "http://x:5000/v3/")  # fmt: skip
    status, text, _ = onestack(*words)
    assert status == 0
    for line in ("user boss was made", "project hq was made", "role chief was made", "region North was made",
                 "public endpoint of North is http://x:5000/v3/"):  # fmt: skip
        assert line in text
    assert onestack(*words)[1] == "everything was there\n"
    changed = [*words[:5], "pw2", *words[6:]]
    assert onestack(*changed)[1] == "user boss got the password\n"
    here = [*changed[:-3], "RegionOne", *changed[-2:]]
    assert "public endpoint stays http://127.0.0.1:5000/v3" in onestack(*here)[1]
    status, text, _ = onestack("explain", "identity:get_user", "--user", "boss", "--project", "hq")
    assert "boss on hq: chief" in text
    status, _, error = onestack("keystone-manage", "bootstrap")
    assert (status, "--bootstrap-password" in error) == (1, True)


def test_keys(onestack, state) -> None:
    def primary(kind: str) -> int:
        return max(int(name) for name in os.listdir(state / "keys" / kind) if name.isdigit())

    for kind in ("fernet", "receipt", "credential"):
        assert onestack("keystone-manage", f"{kind}_setup", "--keystone-user", "x", "--keystone-group", "y")[0] == 0
        before = primary(kind)
        assert onestack("keystone-manage", f"{kind}_rotate")[0] == 0
        assert primary(kind) == before + 1
    assert "0 secrets" in onestack("keystone-manage", "credential_migrate")[1]
    assert onestack("keystone-manage", "create_jws_keypair")[0] == 0
    assert (state / "keys" / "jws").is_dir()
    text = onestack("keystone-manage", "doctor")[1]
    assert "ok   fernet" in text
    (state / "keys" / "fernet" / "0").chmod(0o644)
    status, text, _ = onestack("keystone-manage", "doctor")
    assert (status, "can be read by others: 0" in text) == (2, True)


@pytest.mark.parametrize("command", ["token_flush", "trust_flush", "reset_last_active"])
def test_words_that_find_nothing_to_do(onestack, command) -> None:
    assert onestack("keystone-manage", command)[0] == 0


@pytest.mark.parametrize(
    "command",
    [("mapping_engine",), ("mapping_purge", "--all"), ("mapping_populate", "--domain-name", "d"),
     ("domain_config_upload", "--all"), ("saml_idp_metadata",), ("trust_flush", "--date", "yesterday")],
)  # fmt: skip
def test_words_that_cannot_work(onestack, command) -> None:
    status, _, error = onestack("keystone-manage", *command)
    assert (status, error.startswith("onestack: ")) == (1, True)


def test_help(onestack) -> None:
    status, text, _ = onestack("keystone-manage", "--help")
    assert (status, "fernet_rotate" in text) == (0, True)
    assert onestack("keystone-manage", "nothing")[0] == 2
    assert "examples:" in onestack("explain", "--help")[1]


def test_openrc_for_old_clients(state, onestack) -> None:
    with contextlib.suppress(FileExistsError):
        (state / "secrets").mkdir()
    status, text, _ = onestack("openrc", "--v2", "demo")
    assert status == 0
    assert f"export OS_AUTH_URL={config.load(str(state)).url('identity-admin')}/v2.0" in text
    assert "export OS_TENANT_NAME=demo" in text
    assert "OS_USER_DOMAIN_ID=" not in text
    assert "OS_PROJECT_DOMAIN_ID" in text.splitlines()[0], "what v3's form left is unset"
    assert set(credentials.variables_v2(config.load(str(state)), "admin")) >= {"OS_USERNAME", "OS_PASSWORD"}
