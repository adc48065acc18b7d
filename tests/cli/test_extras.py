"""What only some clouds need is installed for them alone, and named where it is missing."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from onestack import config
from onestack.cli import extras
from onestack.cli.problems import Problem
from onestack.config import Image, ImageStore
from onestack.engines import packages
from onestack.image import stores

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
S3 = ImageStore(type="s3", endpoint="http://127.0.0.1:9", bucket="b", access_key="a", secret_key="s")


@pytest.fixture
def plain(tmp_path):
    return config.load(str(tmp_path), hypervisor="fake")


@pytest.fixture
def far(plain):
    files = ImageStore(type="file")
    return msgspec.structs.replace(plain, image=Image(stores={"file": files, "far": S3}))


def test_an_ordinary_cloud_needs_none_of_it(plain):
    assert extras.wanted(plain) == extras.missing(plain) == extras.checks(plain) == []
    stores.check_modules(plain)
    every = [extras.POSTGRESQL, *extras.STORES.values()]
    asked = {extra.requirement for extra in every if extra.requirement}
    assert not asked & set(PROJECT["dependencies"])
    assert asked <= set(PROJECT["optional-dependencies"]["dev"])
    assert all(PROJECT["optional-dependencies"][one.name] == [one.requirement] for one in every if one.requirement)


def test_each_is_wanted_by_its_settings(plain):
    swift = ImageStore(type="swift", auth_url="http://127.0.0.1:9/v3", user="u", password="p", project="p")
    rbd = ImageStore(type="rbd", user="glance")
    image = Image(stores={"file": ImageStore(type="file"), "one": S3, "two": S3, "three": swift, "four": rbd})
    both = msgspec.structs.replace(plain, database="postgresql+psycopg://u@127.0.0.1/n", image=image)
    assert [extra.name for extra in extras.wanted(both)] == ["postgresql", "s3", "swift", "rbd"]


def test_what_is_missing_is_named_by_doctor_and_by_the_server(far, monkeypatch):
    assert extras.missing(far) == []
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert [extra.name for extra in extras.missing(far)] == ["s3"]
    (line,) = extras.checks(far)
    assert (line.level, line.words) == ("note", "the settings ask for s3: boto3 is not installed")
    with pytest.raises(config.ConfigError, match=r"image\.stores\.far: Python's boto3 is not installed"):
        stores.check_modules(far)


def test_up_says_what_it_cannot_install(far, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setitem(extras.STORES, "s3", extras.Extra("s3", "no_such_module", "no-such-package-of-onestack>=1"))
    with pytest.raises(Problem, match=r"no-such-package-of-onestack could not be installed\. Fix: .* pip install "):
        extras.ensure(far)


def test_bindings_of_debian_are_linked_one_by_one(tmp_path):
    site, debian = tmp_path / "site", tmp_path / "debian"
    site.mkdir()
    debian.mkdir()
    tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}-x86_64-linux-gnu.so"
    for name in (f"rbd.{tag}", f"rados.{tag}", f"other.{tag}", "rbd_tools.py", "requests.py"):
        (debian / name).write_text("")
    for _ in range(2):
        assert packages.link_binding(site, "rados", "rbd", debian=debian)
    assert sorted(path.name for path in site.iterdir()) == sorted([f"rados.{tag}", f"rbd.{tag}", "rbd_tools.py"])
    (debian / f"rbd.{tag}").rename(debian / "rbd.cpython-27-x86_64-linux-gnu.so")
    assert not packages.link_binding(site, "rados", "rbd", debian=debian)
