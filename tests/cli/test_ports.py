"""Who holds a port."""

from __future__ import annotations

import os
import socket

from onestack import config
from onestack.cli import checks, ports


def test_the_holder_of_a_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        assert ports.in_use("127.0.0.1", number)
        assert f"(pid {os.getpid()})" in ports.owner(number)
    assert not ports.in_use("127.0.0.1", number)


def test_a_connection_is_not_a_listener():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        assert ports.listening_inodes(client.getsockname()[1]) == set()


def test_the_check_names_port_service_and_holder(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setitem(config.PORTS, "image", listener.getsockname()[1])
        found = checks.port(config.load(str(tmp_path), hypervisor="fake"))
    bad = [check for check in found if check.level == "bad" and "(image)" in check.words]
    assert len(bad) == 1
    assert f"(pid {os.getpid()})" in bad[0].words


def test_a_connection_on_a_port_of_ours_is_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
        number = client.getsockname()[1]
        assert ports.in_use("127.0.0.1", number, patience=0)
        assert "connection" in ports.owner(number)
        peer.close()
        client.close()
    assert not ports.in_use("127.0.0.1", number)
