"""The state directory: what is in it, whose it is, the settings and secrets that a new cloud starts with.

With root's cloud the server is the user `onestack` and owns exactly what it writes; everything that root starts,
signals or reads as instructions stays root's.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

from onestack import config
from onestack.cli.problems import Problem
from onestack.config import Settings

USER = "onestack"
LONGEST_SOCKET = 107  # bytes of a unix socket's path

# name: (mode, whether the unprivileged user owns it)
DIRECTORIES: dict[str, tuple[int, bool]] = {
    "db": (0o700, True),
    "keys": (0o700, True),
    "images": (0o700, True),
    "secrets": (0o700, True),
    "engines": (0o750, True),
    "log": (0o755, False),
    "supervisor": (0o755, False),
    "instances": (0o711, False),
    "cache": (0o711, False),
}
SECRETS = ("admin-password", "demo-password", "agent.token")


def service_user(real: bool) -> str:
    """Who the server runs as: `onestack` in front of a real hypervisor, else whoever ran `up` (empty).

    The fake one is for tests of clients, often as root in a container with a Python that only root may read.
    """
    return USER if real and os.geteuid() == 0 else ""


def ensure_user() -> None:
    try:
        pwd.getpwnam(USER)
        return
    except KeyError:
        pass
    argv = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/var/lib/onestack"]
    done = subprocess.run(
        [*argv, "--shell", "/usr/sbin/nologin", USER],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        check=False,
    )
    if done.returncode not in (0, 9):  # 9: somebody made it in this moment
        raise Problem(f"cannot create the user {USER}: {done.stderr.strip()}")


def ids(user: str) -> tuple[int, int]:
    """(uid, gid); -1, which chown takes as "leave it", for nobody in particular."""
    return (pwd.getpwnam(user).pw_uid, grp.getgrnam(user).gr_gid) if user else (-1, -1)


def ensure_directories(settings: Settings, user: str) -> None:
    """Make all of it with the right owners and modes; changes nothing that is right already."""
    longest = str(settings.path("run", "ovnnb_db.sock"))
    if len(os.fsencode(longest)) > LONGEST_SOCKET:
        raise Problem(f"the state directory's name is too long for sockets: {settings.state}", "a shorter --state")
    uid, gid = ids(user)
    try:
        settings.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        if settings.root.stat().st_mode & 0o777 != 0o755:
            settings.root.chmod(0o755)
        for name, (mode, theirs) in DIRECTORIES.items():
            ensure_directory(settings.path(name), mode, (uid, gid) if theirs else (0 if user else -1, -1))
        # The server makes its socket here, but must not be able to replace what is root's: sticky.
        ensure_directory(settings.path("run"), 0o1775 if user else 0o755, (0, gid) if user else (-1, -1))
        for name in ("agent.lock", "up.lock"):
            os.close(os.open(settings.path("run", name), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        log = settings.path("log", "server.log")
        os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o640))
        if user:
            os.chown(log, uid, gid)
    except PermissionError as error:
        raise Problem(
            f"cannot write {error.filename}", "run it as the user who made this cloud, or with sudo"
        ) from error
    except OSError as error:
        raise Problem(f"cannot make {error.filename}: {error.strerror}") from error


def ensure_directory(path: Path, mode: int, owner: tuple[int, int]) -> None:
    path.mkdir(exist_ok=True)
    if path.is_symlink():
        raise Problem(f"{path} is a symbolic link, and must be a directory")
    status = path.stat()
    uid, gid = (
        wanted if wanted >= 0 else has for wanted, has in zip(owner, (status.st_uid, status.st_gid), strict=True)
    )
    if (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(path, uid, gid)
    if status.st_mode & 0o7777 != mode:
        path.chmod(mode)


def ensure_secrets(settings: Settings, user: str) -> None:
    """Made up once; the server's own start would do the same, only later."""
    for name in SECRETS:
        path = settings.path("secrets", name)
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24) + "\n", user)


def read_secret(settings: Settings, name: str) -> str:
    path = settings.path("secrets", name)
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise Problem(f"there is no cloud in {settings.state}", "onestack up") from error
    except PermissionError as error:
        raise Problem(f"{path} is not yours to read", "run it with sudo") from error


def write_private(path: Path, text: str, user: str = "") -> None:
    """Replace a file that only its owner may read, in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        if user:
            os.fchown(handle.fileno(), *ids(user))
        handle.write(text)
    temporary.replace(path)


def ensure_settings(settings: Settings, hypervisor: str, user: str) -> Settings:
    """Write what `up` chose into onestack.toml; the settings as they are from now on.

    To a file of the operator's only what every later command must know is added, at its top, when it doesn't say it.
    """
    path = settings.path("onestack.toml")
    chosen = {"port_offset": str(settings.port_offset), "hypervisor": f'"{hypervisor}"'}
    if path.exists():
        said = config.named(settings.state)
        lines = [f"{name} = {value}" for name, value in chosen.items() if name not in said]
        if lines:
            add_at_the_top(path, ["# Chosen by the first `onestack up`:", *lines, ""])
    else:
        lines = ["# Chosen by the first `onestack up`; docs/operations.md lists every setting.", ""]
        lines += [f"{name} = {value}" for name, value in chosen.items()]
        network = free_network(settings) if hypervisor != "fake" else ""
        if network and network != settings.network.external_cidr:
            lines += ["", "[network]", f'external_cidr = "{network}"']
        write_private(path, "\n".join(lines) + "\n")
        # It may hold the password of a database: the server reads it, the world does not.
        path.chmod(0o640 if user else 0o600)
        if user:
            os.chown(path, 0, ids(user)[1])
    return config.load(settings.state, port_offset=settings.port_offset, hypervisor=hypervisor)


def add_at_the_top(path: Path, lines: list[str]) -> None:
    """In one step, with the owner and the mode that the file has."""
    status = path.stat()
    write_private(path, "\n".join(lines) + "\n" + path.read_text(encoding="utf-8"))
    os.chown(path, status.st_uid, status.st_gid)
    path.chmod(status.st_mode & 0o7777)


def free_network(settings: Settings) -> str:
    """The default external network, or the next one like it that no interface of this machine has."""
    import ipaddress

    from onestack.engines import external

    wanted = ipaddress.ip_network(settings.network.external_cidr)
    for step in range(64):
        start = int(wanted.network_address) + step * wanted.num_addresses
        network = ipaddress.ip_network((start, wanted.prefixlen))
        if not external.conflict(network, except_for=settings.external_bridge):
            return str(network)
    return str(wanted)


def busy(state: str) -> bool:
    """Whether an `up` or a `down` of the cloud in that directory is under way."""
    try:
        descriptor = os.open(Path(state, "run", "up.lock"), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """One `up` or `down` at a time for a cloud. Raises Problem when another one runs."""
    path = settings.path("run", "up.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            raise Problem(f"another onestack command (pid {holder}) is working on {settings.state}") from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)
