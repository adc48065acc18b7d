"""What `onestack doctor` looks at in the image service: each store, the file of property protections, and the import
plug-ins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from onestack.cli.checks import Check, parent_that_exists
from onestack.config import ImageStore, Settings

_FIXES = {
    "s3": "start it, or repair endpoint, bucket and keys in [image.stores.{}]",
    "swift": "start it, or repair auth_url, project, user and password in [image.stores.{}]",
    "rbd": "start it, or repair ceph_conf, user and pool in [image.stores.{}]",
}
_NO_BINDING = "apt install python3-rados python3-rbd, then `onestack up`"


def stores(settings: Settings) -> list[Check]:
    """One line each. They are asked at the same time: each that is away costs its timeout."""
    every = settings.image.stores.items()
    with ThreadPoolExecutor(len(every)) as pool:
        return list(pool.map(lambda item: _store(settings, *item), every))


def protections(settings: Settings) -> list[Check]:
    """The file of property protections: one that is broken refuses the next start."""
    if not settings.image.property_protection_file:
        return []
    from onestack.config import ConfigError
    from onestack.image.protections import read

    try:
        sections = read(settings)
    except ConfigError as error:
        return [Check("protections", "bad", f"{error} (the server won't start with it)", "correct that file")]
    file = settings.path(settings.image.property_protection_file)
    return [Check("protections", "ok", f"{file}: {len(sections)} sections")]


def plugins(settings: Settings) -> list[Check]:
    """The import plug-ins: those that can't work refuse the next start."""
    names = settings.image.image_import_plugins
    if not names:
        return []
    from onestack.config import ConfigError
    from onestack.image.plugins import check

    try:
        check(settings)
    except ConfigError as error:
        return [Check("plug-ins", "bad", f"{error} (the server won't start with it)", "correct onestack.toml")]
    return [Check("plug-ins", "ok", f"imports run {', '.join(names)}")]


def _store(settings: Settings, name: str, one: ImageStore) -> Check:
    what = f"the image store {name} ({one.type})"
    if one.type == "http":
        return Check("store", "ok", f"{what} is only read")
    if one.type == "file":
        return _files(settings, name, one, what)
    from onestack.image.drivers.base import StoreError
    from onestack.image.drivers.rbd import NoBinding
    from onestack.image.stores import make

    try:
        make(settings, name, one).check()
    except NoBinding as error:
        return Check("store", "bad", f"{what} can't be used: {error}", _NO_BINDING)
    except (StoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        return Check("store", "bad", f"{what} can't be used: {error}", _FIXES[one.type].format(name))
    return Check("store", "ok", f"{what} answers")


def _files(settings: Settings, name: str, one: ImageStore, what: str) -> Check:
    """Nothing is made here: the doctor may be root, and the server is not."""
    if not one.path:
        return Check("store", "ok", f"{what} is in the state directory")
    folder = settings.root / one.path
    if folder.is_dir():
        return Check("store", "ok", f"{what} is {folder}")
    place = parent_that_exists(folder)
    if not place.is_dir():
        fix = f"repair path in [image.stores.{name}]"
        return Check("store", "bad", f"{what} can't be used: {place} is no folder", fix)
    return Check("store", "note", f"{what}: {folder} is not there yet", "none needed where the server may make it")
