"""Property protections: who may create, read, update and delete which custom properties of images.

The operator's file has Glance's form: sections are regular expressions, the first one that is found in a property's
name decides, and a property that none of them knows is nobody's. Source of the form, of what refuses the start and of
the words: Glance's administration guide, "Property protections".
"""

from __future__ import annotations

import configparser
import functools
import logging
import re
from collections.abc import Iterable
from typing import NamedTuple

from onestack.config import ConfigError, Settings
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.core.policy import Policy
from onestack.image.schema import RESERVED_NAMESPACE

log = logging.getLogger(__name__)

ACTIONS = ("create", "read", "update", "delete")
EVERYBODY, NOBODY = "@", "!"
_DRIVER = "image-property-protections"  # in cloud.drivers
_REMEMBERED = 4096  # names of properties whose section is known


class Section(NamedTuple):
    pattern: re.Pattern[str]
    allowed: dict[str, frozenset[str]]  # action → roles in lower case, or the one rule of the policy


class Protections:
    """The file's sections in their order. `policy`: where they name rules of the policy instead of roles."""

    def __init__(self, sections: list[Section], policy: Policy | None = None) -> None:
        self._sections = sections
        self._policy = policy
        self._section = functools.lru_cache(_REMEMBERED)(self._first)

    def allows(self, ctx: Context, action: str, name: str) -> bool:
        if name.startswith(RESERVED_NAMESPACE):
            return True  # Glance's own: no user sets them, everybody reads them
        section = self._section(name)
        if section is None:
            return False
        allowed = section.allowed[action]
        if NOBODY in allowed or EVERYBODY in allowed:
            return NOBODY not in allowed
        if self._policy is not None:
            return any(self._policy.knows(rule) and self._policy.allows(rule, ctx, {}) for rule in allowed)
        roles = [*ctx.roles, *(ctx.service.roles if ctx.service is not None else ())]
        return not allowed.isdisjoint(role.lower() for role in roles)

    def _first(self, name: str) -> Section | None:
        return next((section for section in self._sections if section.pattern.search(name)), None)


def read(settings: Settings) -> list[Section]:
    """The sections of the file; a relative path is one below the state directory. Raises ConfigError, which names the
    section and the key."""
    file = settings.path(settings.image.property_protection_file)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise ConfigError(f"image.property_protection_file: {file}: {error.strerror}") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"image.property_protection_file: {file}: {' '.join(str(error).split())}") from error
    by_policy = settings.image.property_protection_rule_format == "policies"
    return [
        _section(f"{file}: [{name}]", name, parser[name], by_policy)
        for name in parser.sections()
        if not name.startswith(RESERVED_NAMESPACE)
    ]


def _section(where: str, name: str, given: configparser.SectionProxy, by_policy: bool) -> Section:
    try:
        pattern = re.compile(name)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"{where} is no regular expression: {error}") from error
    allowed = {}
    for action in ACTIONS:
        if action not in given:
            raise ConfigError(f"{where} has no {action}: each of {', '.join(ACTIONS)} must be there")
        words = [word.strip() for word in given[action].split(",")]
        if by_policy and len(words) > 1:
            raise ConfigError(f"{where} {action}: one rule of the policy, not {given[action]!r}")
        if EVERYBODY in words and NOBODY in words:
            raise ConfigError(f"{where} {action}: '@' (everybody) and '!' (nobody) exclude each other")
        allowed[action] = frozenset(word if by_policy else word.lower() for word in words if word)
        if not allowed[action]:
            log.warning("%s %s is empty: nobody may do it", where, action)
    return Section(pattern, allowed)


def install(cloud: Cloud, policy: Policy) -> None:
    """Read the file of the settings, if there is one. Raises ConfigError."""
    settings = cloud.settings.image
    if not settings.property_protection_file:
        return
    sections = read(cloud.settings)
    if settings.property_protection_rule_format == "roles":
        cloud.drivers[_DRIVER] = Protections(sections)
        return
    for section in sections:
        for action, (rule,) in ((action, words) for action, words in section.allowed.items() if words):
            if rule not in (EVERYBODY, NOBODY) and not policy.knows(rule):
                where = (
                    f"{cloud.settings.path(settings.property_protection_file)}: [{section.pattern.pattern}] {action}"
                )
                raise ConfigError(f"image.property_protection_file: {where}: the policy has no rule {rule!r}")
    cloud.drivers[_DRIVER] = Protections(sections, policy)


def may(cloud: Cloud, ctx: Context, action: str, name: str) -> bool:
    """Whether the caller may do it to custom properties of that name; everything, where there is no file."""
    found: Protections | None = cloud.drivers.get(_DRIVER)
    return found is None or found.allows(ctx, action, name)


def require(cloud: Cloud, ctx: Context, action: str, name: str) -> None:
    """Raises Forbidden, in the words of API v2."""
    if not may(cloud, ctx, action, name):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def hide(cloud: Cloud, ctx: Context, images: Iterable[dict[str, str]]) -> None:
    """Take out of the custom properties of images, in place, what the caller may not read."""
    found: Protections | None = cloud.drivers.get(_DRIVER)
    if found is None:
        return
    hidden: dict[str, bool] = {}
    for properties in images:
        for name in list(properties):
            if name not in hidden:
                hidden[name] = not found.allows(ctx, "read", name)
            if hidden[name]:
                del properties[name]
