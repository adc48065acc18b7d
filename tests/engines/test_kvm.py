"""The probe guest runs to its end where it can, and its absence is never an exception."""

from __future__ import annotations

import json
import shutil

import pytest

from onestack.engines import kvm

qemu = pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="needs QEMU")


@qemu
def test_under_emulation_the_guest_gets_through_every_stage():
    answer = kvm.probe("tcg", timeout=30)
    assert answer.works, answer.reason
    assert answer.stages == kvm.ALL_STAGES


@qemu
def test_a_guest_that_stops_early_does_not_count(monkeypatch, tmp_path):
    broken = bytearray(kvm.PAYLOAD.read_bytes())
    place = broken.index(b"\xb0\x37\xe6\xe9")  # where stage 7 is reported
    broken[place : place + 4] = b"\xfa\xf4\xeb\xfd"  # cli; hlt; and again
    (tmp_path / "broken.bin").write_bytes(broken)
    monkeypatch.setattr(kvm, "PAYLOAD", tmp_path / "broken.bin")
    answer = kvm.probe("tcg", timeout=2)
    assert not answer.works
    assert answer.stages == "123456"
    assert "system calls" in answer.reason


def test_no_device(tmp_path):
    assert "there is no" in kvm.device_problem(str(tmp_path / "kvm"))


def test_a_device_that_is_not_kvm():
    assert "does not answer as KVM does" in kvm.device_problem("/dev/null")


def test_no_qemu():
    answer = kvm.probe("tcg", qemu="no-such-qemu")
    assert not answer.works
    assert "no-such-qemu" in answer.reason


def test_the_answer_is_kept_for_one_boot(monkeypatch, tmp_path):
    cache, asked = tmp_path / "kvm.json", []

    def probe():
        asked.append(1)
        return kvm.Answer(True, "yes")

    monkeypatch.setattr(kvm, "probe", probe)
    assert kvm.cached_probe(cache).works
    assert kvm.cached_probe(cache).works
    assert len(asked) == 1
    monkeypatch.setattr(kvm, "boot_id", lambda: "the next boot")
    kvm.cached_probe(cache)
    assert len(asked) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"identity": None})])
def test_a_broken_cache_is_asked_again(monkeypatch, tmp_path, text):
    (tmp_path / "kvm.json").write_text(text)
    monkeypatch.setattr(kvm, "probe", lambda: kvm.Answer(False, "no"))
    assert not kvm.cached_probe(tmp_path / "kvm.json").works
