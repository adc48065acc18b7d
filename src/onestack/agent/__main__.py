"""`python -m onestack.agent --state DIR`: the agent of this host, in the foreground; logs go to standard error."""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import logging
import os
import signal
import sys
import threading
from typing import IO

from onestack import config
from onestack.agent import drivers, names
from onestack.agent.app import Agent
from onestack.agent.client import Client
from onestack.agent.logs import configure

log = logging.getLogger("onestack.agent")


def lean_memory() -> None:
    """glibc gives each thread an arena of its own, which never shrinks: two are enough for us. Elsewhere: nothing."""
    try:
        ctypes.CDLL(None).mallopt(-8, 2)  # M_ARENA_MAX
    except (OSError, AttributeError):
        return


def lock(settings: config.Settings) -> IO[str]:
    """One agent for each state directory. Raises BlockingIOError."""
    file = settings.path("run", "agent.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = file.open("w")
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def stop_when_asked(agent: Agent) -> None:
    """SIGTERM and SIGINT stop the agent.

    A thread that waits for them does it: what Python itself runs for a signal runs in the midst of whatever the main
    thread does, with its locks held, where even the start of a thread may wait for ever.
    """
    heard, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        os.read(heard, 1)
        agent.stop()

    threading.Thread(target=wait, name="signals", daemon=True).start()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="onestack agent", description="Runs the servers that are bound to this host.")
    parser.add_argument("--state", help="the state directory of the cloud")
    parser.add_argument("--hypervisor", choices=["auto", "kvm", "qemu", "fake"])
    parser.add_argument("--ovsdb", help="Open vSwitch's database, as unix:PATH")
    parser.add_argument("--libvirt-uri", default="qemu:///system")
    parser.add_argument("--workers", type=int, default=8, help="servers that are worked on at once")
    options = parser.parse_args(arguments)
    try:
        settings = config.load(options.state, hypervisor=options.hypervisor)
    except config.ConfigError as error:
        print(f"onestack agent: {error}", file=sys.stderr)
        return 2
    configure(settings.log_level, settings.log_format)
    lean_memory()
    try:
        held = lock(settings)
    except BlockingIOError:
        print(f"onestack agent: another agent already works for {settings.state}", file=sys.stderr)
        return 1
    client = Client(settings.root)
    cloud_id = names.cloud_id(settings.root)
    driver = drivers.load(settings, client, cloud_id, libvirt_uri=options.libvirt_uri, ovsdb=options.ovsdb)
    agent = Agent(driver, client, workers=options.workers)
    stop_when_asked(agent)
    log.info("agent of %s, hypervisor %s", settings.state, settings.hypervisor)
    agent.run()
    held.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
