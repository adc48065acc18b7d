"""The doctor's lines about image stores."""

from __future__ import annotations

import pytest
from tests.image.stores import s3_server

from onestack.cli import image_checks
from onestack.config import Image, ImageStore, Settings

AWAY = {
    "s3": {"endpoint": "http://127.0.0.1:9", "bucket": "b", "access_key": "a", "secret_key": "very-secret"},
    "swift": {"auth_url": "http://127.0.0.1:9/v3", "user": "u", "password": "very-secret", "project": "p"},
    "rbd": {"user": "u", "pool": "p", "ceph_conf": "/nowhere/ceph.conf"},
}


def checked(tmp_path, **stores):
    image = Image(default_store=next(iter(stores)), stores=stores)
    found = image_checks.stores(Settings(state=str(tmp_path / "state"), image=image))
    assert not (tmp_path / "state").exists()
    return found


@pytest.mark.parametrize("kind", AWAY)
def test_a_store_that_is_away_is_one_line_with_its_fix(tmp_path, kind):
    (found,) = checked(tmp_path, far=ImageStore(type=kind, **AWAY[kind]))
    assert (found.name, found.level) == ("store", "bad")
    assert f"the image store far ({kind}) can't be used: " in found.words
    assert "\n" not in found.words + found.fix
    assert "very-secret" not in found.words + found.fix
    assert found.fix.endswith("[image.stores.far]") or found.fix.startswith("apt install python3-rados")


def test_property_protections(tmp_path):
    def found(text: str | None = None, **values):
        if text is not None:
            (tmp_path / "file").write_text(text)
        return image_checks.protections(Settings(state=str(tmp_path), image=Image(**values)))

    assert found() == []
    rules = "[.*]\ncreate = @\nread = @\nupdate = @\n"
    (bad,) = found(rules, property_protection_file="file")
    assert (bad.level, f"{tmp_path / 'file'}: [.*] has no delete" in bad.words) == ("bad", True)
    (good,) = found(rules + "delete = !\n", property_protection_file="file")
    assert (good.level, good.words) == ("ok", f"{tmp_path / 'file'}: 1 sections")


def test_import_plugins(tmp_path, monkeypatch):
    def found(*names):
        return image_checks.plugins(Settings(state=str(tmp_path), image=Image(image_import_plugins=list(names))))

    assert found() == []
    (good,) = found("image_decompression", "inject_image_metadata")
    assert (good.level, good.words) == ("ok", "imports run image_decompression, inject_image_metadata")
    monkeypatch.setenv("PATH", "/nowhere")
    (bad,) = found("image_conversion")
    assert (bad.level, "needs qemu-img" in bad.words) == ("bad", True)


def test_stores_that_can_be_used(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "file").write_text("")
    with s3_server() as far:
        found = checked(
            tmp_path, own=ImageStore(type="file"), disk=ImageStore(type="file", path=str(tmp_path / "disk")),
            none=ImageStore(type="file", path=str(tmp_path / "none")),
            wrong=ImageStore(type="file", path=str(tmp_path / "file" / "x")), far=far, web=ImageStore(type="http"),
        )  # fmt: skip
    assert [check.level for check in found] == ["ok", "ok", "note", "bad", "ok", "ok"]
