"""noVNC's files over HTTP."""

from __future__ import annotations

import pytest

from onestack.compute.console.pages import page


@pytest.fixture
def folders(tmp_path):
    root = tmp_path / "novnc"
    (root / "core").mkdir(parents=True)
    (root / "vnc_lite.html").write_text("<title>noVNC</title>")
    (root / "core" / "rfb.js").write_text("export default 1;")
    (root / "outside").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("s")
    return (tmp_path / "missing", root)


@pytest.mark.parametrize("path", ["/", "/vnc_lite.html", "/vnc_auto.html"])
def test_the_page(folders, path):
    found = page("GET", path, folders)
    assert (found.status, found.body) == (200, b"<title>noVNC</title>")
    headers = dict(found.headers)
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert headers[b"content-length"] == b"20"
    assert headers[b"referrer-policy"] == b"no-referrer"


def test_modules_are_javascript(folders):
    assert dict(page("GET", "/core/rfb.js", folders).headers)[b"content-type"] == b"text/javascript"


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/core", "/../secret", "/core/../../secret", "//etc/passwd", "/outside", "/\0", "/" + "x" * 5000],
)
def test_nothing_else_is_served(folders, path):
    assert page("GET", path, folders).status == 404


def test_without_the_package(tmp_path):
    found = page("GET", "/", (tmp_path / "missing",))
    assert found.status == 503
    assert b"noVNC is not installed" in found.body


def test_only_get(folders):
    assert page("POST", "/", folders).status == 405
    assert page("HEAD", "/", folders).status == 200
