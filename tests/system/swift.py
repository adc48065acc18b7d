"""A small real Swift of Debian's packages: an account, a container and an object server, one copy of everything.

Two proxies: one signs users in at a cloud's own Identity (keystonemiddleware), the other has Swift's old v1 sign-in
(tempauth, which wants memcached). All lives in a folder, whose file system must have extended attributes, and on
127.0.0.1.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from onestack.cli import demo
from onestack.config import ImageStore, Settings
from tests.system.programs import Programs, answers, free_ports

PACKAGES = (
    "memcached", "python3-keystonemiddleware", "swift-account", "swift-container", "swift-object", "swift-proxy",
)  # fmt: skip
_PYTHON = "/usr/bin/python3"
# The programs read /etc/swift/swift.conf and nothing else, unless they are told in Python.
_ELSEWHERE = """
import runpy, sys
from swift.common.utils import set_swift_dir
set_swift_dir(sys.argv[1])
program = sys.argv[2]
del sys.argv[1:3]
sys.argv[0] = program
runpy.run_path(program, run_name="__main__")
"""
_COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
disable_fallocate = true
user = {user}
workers = 0
log_address = {folder}/no-syslog
"""
_PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache {auth} bulk slo dlo proxy-logging proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
min_segment_size = 1
[filter:dlo]
use = egg:swift#dlo
[filter:tempauth]
use = egg:swift#tempauth
user_images_images = {password} .admin
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {identity}
auth_url = {identity}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = images
username = images
password = {password}
delay_auth_decision = true
"""


def missing() -> str:
    """Why there can't be one here; empty when there can."""
    names = ("swift-ring-builder", "swift-proxy-server", "swift-object-server", "memcached")
    absent = [name for name in names if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt install {' '.join(PACKAGES)})"
    probe = subprocess.run([_PYTHON, "-c", "import swift, keystonemiddleware"], capture_output=True, check=False)
    return "python3-keystonemiddleware is not installed" if probe.returncode else ""


class Swift:
    """`store` signs in at Identity v3, `old_store` at tempauth."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings, self.programs = folder, settings, Programs(folder)
        self.password = secrets.token_hex(8)
        self.region = settings.region
        ports = free_ports(6)
        self.account, self.container, self.object, self.proxy, self.old_proxy, self.memcached = ports
        self.store = ImageStore(
            type="swift", auth_url=settings.url("identity") + "/v3", user="images", password=self.password,
            project="images",
        )  # fmt: skip
        self.old_store = ImageStore(
            type="swift", auth_url=f"http://127.0.0.1:{self.old_proxy}/auth/v1.0", user="images",
            password=self.password, project="images",
        )  # fmt: skip

    def start(self) -> None:
        self._user_and_endpoint()
        (self.folder / "devices" / "d1").mkdir(parents=True)
        (self.folder / "swift.conf").write_text(f"[swift-hash]\nswift_hash_path_suffix = {secrets.token_hex(8)}\n")
        self.programs.start("memcached", ["memcached", "-l", "127.0.0.1", "-p", str(self.memcached), "-u", "nobody"])
        for kind in ("account", "container", "object"):
            port = getattr(self, kind)
            self._ring(kind, port)
            app = f"{kind}-server"
            rest = f"[pipeline:main]\npipeline = {app}\n[app:{app}]\nuse = egg:swift#{kind}\n"
            self._serve(kind, kind, port, rest)
        identity = self.settings.url("identity") + "/v3"
        for name, port, auth in (
            ("proxy", self.proxy, "authtoken keystoneauth"), ("old-proxy", self.old_proxy, "tempauth"),
        ):  # fmt: skip
            values = {"auth": auth, "memcached": self.memcached, "password": self.password, "identity": identity}
            self._serve("proxy", name, port, _PROXY.format(**values))
        for port in (self.account, self.container, self.object, self.proxy, self.old_proxy, self.memcached):
            self.programs.until(lambda port=port: answers(port), f"port {port} answers")

    def stop(self) -> None:
        self.programs.stop()

    def _serve(self, kind: str, name: str, port: int, rest: str) -> None:
        conf = self.folder / f"{name}.conf"
        user = "root" if os.geteuid() == 0 else os.environ["USER"]
        conf.write_text(_COMMON.format(port=port, folder=self.folder, user=user) + rest)
        program = shutil.which(f"swift-{kind}-server") or ""
        self.programs.start(name, [_PYTHON, "-c", _ELSEWHERE, self.folder, program, conf, "-v"])

    def _ring(self, kind: str, port: int) -> None:
        builder = self.folder / f"{kind}.builder"
        for words in (("create", "4", "1", "0"), ("add", f"r1z1-127.0.0.1:{port}/d1", "1"), ("rebalance",)):
            command = ["swift-ring-builder", str(builder), *words]
            subprocess.run(command, check=True, capture_output=True, timeout=60)

    def _user_and_endpoint(self) -> None:
        api = demo.admin(self.settings)
        project = api.post("identity", "/projects", {"project": {"name": "images"}})["project"]["id"]
        body = {"user": {"name": "images", "password": self.password, "default_project_id": project}}
        user = api.post("identity", "/users", body)["user"]["id"]
        (role,) = api.get("identity", "/roles?name=admin")["roles"]  # who checks others' tokens has it
        api.call("identity", "PUT", f"/projects/{project}/users/{user}/roles/{role['id']}")
        service = api.post("identity", "/services", {"service": {"type": "object-store", "name": "swift"}})["service"]
        url = f"http://127.0.0.1:{self.proxy}/v1/AUTH_$(project_id)s"
        endpoint = {"service_id": service["id"], "interface": "public", "region": self.region, "url": url}
        api.post("identity", "/endpoints", {"endpoint": endpoint})


@contextlib.contextmanager
def swift(settings: Settings) -> Iterator[Swift]:
    """`settings` are those of a running cloud, whose Identity it uses."""
    with tempfile.TemporaryDirectory(prefix="swift", dir="/var/tmp") as directory:  # /tmp may be a tmpfs
        made = Swift(Path(directory), settings)
        try:
            made.start()
            yield made
        finally:
            made.stop()
