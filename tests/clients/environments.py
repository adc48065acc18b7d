"""Old and new clients, each in a virtual environment of its own: what they depend on differs by ten years.

They are made when they are first wanted, below ONESTACK_CLIENTS_VENV or ~/.cache/onestack/clients, and kept.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

# The newest that still has the program, or that still speaks the version that a line of the sheet wants.
REQUIREMENTS = {
    "keystone": "python-keystoneclient==2.3.2",
    "keystoneclient": "python-keystoneclient==6.0.0",
    "glance": "python-glanceclient==4.13.0",
    "nova-3.4": "python-novaclient==3.4.0",
    "nova-2.30": "python-novaclient==2.30.3",
    "nova": "python-novaclient==18.13.1",
    "neutron": "python-neutronclient==9.0.0",
    "openstack": "python-openstackclient==10.5.0",
}
# Clients of that time import pkg_resources, which newer ones of these no longer bring.
TOOLS = "setuptools<80"


def place() -> Path:
    return Path(os.environ.get("ONESTACK_CLIENTS_VENV") or Path.home() / ".cache" / "onestack" / "clients")


def program(client: str, name: str) -> str:
    """The path of a client's program, or of its `python`. `system` is the machine's own."""
    if client == "system":
        found = shutil.which(name)
        assert found, f"{name} is not installed"
        return found
    return str(ensure(client) / "bin" / name)


def ensure(client: str) -> Path:
    venv = place() / client
    venv.parent.mkdir(parents=True, exist_ok=True)
    stamp = venv / "onestack-client.txt"
    wanted = f"{REQUIREMENTS[client]} {sys.version_info.major}.{sys.version_info.minor}\n"
    with open(f"{venv}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
            pip = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, TOOLS, REQUIREMENTS[client]], check=True)
            stamp.write_text(wanted, encoding="utf-8")
    return venv
