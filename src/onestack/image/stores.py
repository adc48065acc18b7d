"""The stores of `[image.stores]`, by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from onestack.config import STORE_MODULES, ConfigError, ImageStore, Settings
from onestack.core.cloud import Cloud
from onestack.image.drivers.base import Store
from onestack.image.drivers.file import FileStore

_DRIVER = "image-stores"  # in cloud.drivers


class Stores:
    """Every configured store, in the order of the file; `default` is where data goes that names no store."""

    def __init__(self, settings: Settings) -> None:
        self._all = {name: make(settings, name, one) for name, one in settings.image.stores.items()}
        self.default = self._all[settings.image.default_store]

    def __iter__(self) -> Iterator[Store]:
        return iter(self._all.values())

    @property
    def names(self) -> list[str]:
        return list(self._all)

    def writable(self) -> list[str]:
        return [store.name for store in self if not store.read_only]

    def find(self, name: str | None) -> Store | None:
        return self._all.get(name or "")

    def of_url(self, url: str) -> tuple[Store, str] | None:
        """The store and key behind a URL that a user gave. Nobody names a file of ours by URL."""
        for store in self:
            if store.external and url.partition("://")[0] in store.schemes:
                key = store.key_of(url)
                if key is not None:
                    return store, key
        return None


def check_modules(settings: Settings) -> None:
    """Raises ConfigError for a store whose driver stands on what isn't installed."""
    for name, one in settings.image.stores.items():
        module = STORE_MODULES.get(one.type)
        if module and importlib.util.find_spec(module) is None:
            raise ConfigError(f"image.stores.{name}: Python's {module} is not installed; `onestack up` installs it")


def make(settings: Settings, name: str, one: ImageStore) -> Store:
    """Drivers are imported when they are wanted: most clouds have files and nothing else."""
    if one.type == "file":
        return FileStore(name, one, settings.path(one.path or "images"))
    if one.type == "s3":
        from onestack.image.drivers.s3 import S3Store

        return S3Store(name, one)
    if one.type == "swift":
        from onestack.image.drivers.swift import SwiftStore

        return SwiftStore(name, one)
    if one.type == "rbd":
        from onestack.image.drivers.rbd import RbdStore

        return RbdStore(name, one)
    from onestack.image.drivers.http import HttpStore

    return HttpStore(name, one, settings.image.import_filter)


def stores(cloud: Cloud) -> Stores:
    found: Stores | None = cloud.drivers.get(_DRIVER)
    if found is None:
        found = cloud.drivers.setdefault(_DRIVER, Stores(cloud.settings))
    return found
