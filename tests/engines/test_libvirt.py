"""What is made ready before libvirt starts."""

from __future__ import annotations

import os

import pytest

from onestack.engines import libvirt


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")
def test_a_device_that_only_root_may_open_is_given_to_its_group(tmp_path, monkeypatch):
    group = os.stat("/").st_gid
    monkeypatch.setattr(libvirt.grp, "getgrnam", lambda name: type("Group", (), {"gr_gid": group}))
    device = tmp_path / "kvm"
    device.touch(mode=0o600)
    libvirt.ensure_kvm_permissions(str(device))
    assert device.stat().st_mode & 0o777 == 0o660
    device.chmod(0o666)
    libvirt.ensure_kvm_permissions(str(device))
    assert device.stat().st_mode & 0o777 == 0o666


def test_no_device_is_no_error(tmp_path):
    libvirt.ensure_kvm_permissions(str(tmp_path / "none"))
