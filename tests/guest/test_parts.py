"""The parts that a guest image is made of, without building one."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from onestack.guest import __main__ as command
from onestack.guest import cpio, disk, kernel, mini, rootfs, tools


def module(*depends: str, alias: tuple[str, ...] = ()) -> bytes:
    """A stand-in for a module: what matters is its .modinfo."""
    fields = [f"alias={name}" for name in alias] + [f"depends={','.join(depends)}", "name=x"]
    return b"\x7fELF...\0license=GPL\0" + b"".join(field.encode() + b"\0" for field in fields)


@pytest.mark.skipif(not shutil.which("cpio") and not shutil.which("busybox"), reason="needs a cpio")
def test_cpio_is_read_back_by_cpio(tmp_path: Path) -> None:
    data = os.urandom(1001)
    entries = [
        cpio.directory("a"),
        cpio.file("a/file", data, 0o755),
        cpio.symlink("a/link", "file"),
        cpio.file("e", b""),
    ]
    reader = ["cpio"] if shutil.which("cpio") else ["busybox", "cpio"]
    subprocess.run([*reader, "-idm"], input=cpio.archive(entries), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a/file").read_bytes() == data
    assert stat.S_IMODE((tmp_path / "a/file").stat().st_mode) == 0o755
    assert os.readlink(tmp_path / "a/link") == "file"
    assert (tmp_path / "e").read_bytes() == b""


def test_cpio_is_reproducible_and_aligned() -> None:
    entries = [cpio.file("name", b"12345")]
    assert cpio.archive(entries) == cpio.archive(entries)
    assert len(cpio.archive(entries)) % 4 == 0


def test_dependencies_and_aliases_come_from_modinfo() -> None:
    data = module("virtio_ring", "net-failover", alias=("virtio:d00000001v*", "two"))
    assert kernel.dependencies(data) == ["virtio_ring", "net_failover"]
    assert kernel.aliases(data) == ["virtio:d00000001v*", "two"]
    assert kernel.dependencies(module()) == []
    assert kernel.dependencies(b"not a module") == []


def test_every_module_stands_after_what_it_needs() -> None:
    needs = {"d": ["b", "c"], "b": ["a"], "c": ["a", "b"], "a": [], "alone": []}
    order = kernel.load_order(["d", "built-in", "b"], needs)
    assert order == ["a", "b", "c", "d"]


def test_a_circle_of_modules_ends_with_a_reason() -> None:
    with pytest.raises(tools.GuestError, match="circle"):
        kernel.load_order(["a"], {"a": ["b"], "b": ["a"]})


def test_modules_dep_holds_the_whole_closure() -> None:
    modules = {"a": module(), "b": module("a"), "c": module("b"), "d": module("c", "a", alias=("x:*",))}
    files = rootfs.module_files(modules)
    assert files["modules.dep"].decode().splitlines() == [
        "a.ko:", "b.ko: a.ko", "c.ko: b.ko a.ko", "d.ko: c.ko b.ko a.ko",
    ]  # fmt: skip
    assert files["modules.alias"] == b"alias x:* d\n"
    assert files["c.ko"] == modules["c"]


def test_partition_table() -> None:
    table = disk.partition_table(20, 44, b"code", b"\1\2\3\4")
    assert len(table) == 512
    assert table[:4] == b"code"
    assert table[440:444] == b"\1\2\3\4"
    assert table[510:] == b"\x55\xaa"
    boot = struct.unpack("<B3xB3xII", table[446:462])
    root = struct.unpack("<B3xB3xII", table[462:478])
    assert boot == (0x80, 0x06, 2048, 20 * 2048)
    assert root == (0, 0x83, 2048 + 20 * 2048, 44 * 2048)
    assert not any(table[478:510])


def test_boot_code_that_would_reach_into_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="440"):
        disk.partition_table(1, 1, bytes(441), bytes(4))


def test_partitions_land_where_the_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_boot_code", lambda: b"code")
    boot, root, raw = tmp_path / "boot", tmp_path / "root", tmp_path / "raw"
    boot.write_bytes(b"B" + bytes(disk.MIB - 2) + b"b")
    root.write_bytes(b"R" + bytes(2 * disk.MIB - 2) + b"r")
    disk.assemble(boot, root, raw)
    data = raw.read_bytes()
    assert data[disk.MIB : 2 * disk.MIB] == boot.read_bytes()
    assert data[2 * disk.MIB :] == root.read_bytes()


def test_the_cached_kernel_is_the_newest_and_nothing_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "run", lambda *words, **options: pytest.fail(f"ran {words}"))
    for name in ("6.1.0-9-cloud-amd64_6.1.27-1", "6.1.0-56-cloud-amd64_6.1.192-2", "cloud-amd64_6.1.192-2"):
        (tmp_path / f"linux-image-{name}_amd64.deb").touch()
    assert kernel.ensure_package(tmp_path).name.startswith("linux-image-6.1.0-56-")


def test_missing_programs_are_named_by_package() -> None:
    with pytest.raises(tools.GuestError, match="apt-get install no-such-package"):
        tools.require({"sh": "dash", "no-such-program": "no-such-package"})


def test_a_failing_program_says_why() -> None:
    with pytest.raises(tools.GuestError, match="such"):
        tools.run("ls", "/no/such/directory")


def test_workshop_clears_what_a_killed_build_left_and_keeps_others_out(tmp_path: Path) -> None:
    output = tmp_path / "new" / "image.qcow2"
    (output.parent / ".image.qcow2.build" / "old").mkdir(parents=True)
    with tools.workshop(output) as work:
        assert list(work.iterdir()) == []
        with pytest.raises(tools.GuestError, match="another process"), tools.workshop(output):
            pass
        assert work.exists()
    assert list(output.parent.iterdir()) == []


def test_workshop_of_a_dead_builder_is_free(tmp_path: Path) -> None:
    (tmp_path / ".image.lock").touch()
    with tools.workshop(tmp_path / "image") as work, (tmp_path / ".image.lock").open() as lock:
        with pytest.raises(OSError, match="unavailable"):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert work.is_dir()


def test_a_full_disk_is_an_error_for_the_user(tmp_path: Path) -> None:
    with pytest.raises(tools.GuestError, match=r"image: .*No space"), tools.workshop(tmp_path / "image"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_packages_are_debian_names() -> None:
    assert {"busybox-static", "dropbear-bin", "syslinux", "syslinux-common", "mtools"} <= set(mini.PACKAGES)


def test_command_reports_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise tools.GuestError("missing Debian packages: x")

    monkeypatch.setattr(mini, "build", fail)
    assert command.main(["mini", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "error: missing Debian packages: x\n"


def test_every_guest_script_is_a_shell_program() -> None:
    scripts = [path for path in rootfs.FILES.rglob("*") if path.is_file() and path.read_bytes()[:2] == b"#!"]
    assert len(scripts) > 8
    for path in scripts:
        subprocess.run(["sh", "-n", path], check=True)
