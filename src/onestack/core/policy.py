"""Who may do what: oslo.policy rules, the real services' names and defaults, the operator's file over them.

The operator's file is `<state>/policy/<service>.yaml` (or the older `.json`). It may come, change and go while the
service runs. One that can't be read changes nothing: the rules stay what they were, and the log says why; only a start
is refused. A rule that isn't registered is denied to everybody.
"""

from __future__ import annotations

import functools
import logging
import threading
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import opts, policy

from onestack.core import policy_files
from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.core.policy_checks import Compiled
from onestack.core.policy_files import PolicyFileError

log = logging.getLogger(__name__)

Target = dict[str, Any]


@functools.cache
def _rule(name: str, check: str) -> policy.RuleDefault:
    """Parsing is most of what a service's start takes, and the same texts come again."""
    return policy.RuleDefault(name, check)


class Policy:
    """The rules of one service. Raises PolicyFileError when they can't be had at first."""

    def __init__(self, service: str, defaults: dict[str, str], directory: Path | None = None) -> None:
        conf = cfg.ConfigOpts()
        conf([], project="onestack", default_config_files=[], default_config_dirs=[])
        opts.set_defaults(conf)
        self._enforcer = policy.Enforcer(conf, policy_file="", use_conf=False)
        self._enforcer.suppress_default_change_warnings = True
        self._enforcer.suppress_deprecation_warnings = True
        self._service = service
        self._directory = directory
        self._loading = threading.Lock()
        self._defaults = defaults
        self._stamp = policy_files.stamp(service, directory) if directory else ()
        self._compiled = self._load()

    @property
    def rules(self) -> dict[str, str]:
        """Name → default check string, for the policy reference."""
        return dict(self._defaults)

    @property
    def overrides(self) -> dict[str, str]:
        """Name → check string of the operator's file. Raises PolicyFileError."""
        file = self.file
        return policy_files.read(file) if file is not None else {}

    @property
    def file(self) -> Path | None:
        """The operator's file, if there is one now."""
        return policy_files.find(self._service, self._directory) if self._directory is not None else None

    def knows(self, rule: str) -> bool:
        """Whether there is such a rule, be it the operator's. One that there isn't may mean the rule `default`."""
        return rule in self._current().rules

    def allows(self, rule: str, context: Context, target: Target) -> bool:
        """Whether `context` may do `rule` to `target` (a flat dict: project_id, user_id …)."""
        credentials = context.credentials()
        if context.system:
            credentials["system"] = credentials["system_scope"]  # the name that older rules know
        return self._current().allows(rule, target, credentials)

    def _current(self) -> Compiled:
        """The rules as the operator's file has them now."""
        if self._directory is None or policy_files.stamp(self._service, self._directory) == self._stamp:
            return self._compiled
        with self._loading:
            stamp = policy_files.stamp(self._service, self._directory)
            if stamp != self._stamp:
                try:
                    self._compiled = self._load()
                    log.info("the policy of %s was read again", self._service)
                except PolicyFileError as error:
                    log.error("the policy of %s stays what it was: %s", self._service, error)
                self._stamp = stamp
            return self._compiled

    def _load(self) -> Compiled:
        checks = {name: _rule(name, check).check for name, check in self._defaults.items()}
        file = self.file
        if file is not None:
            given = policy_files.read(file)
            checks.update({name: _rule(name, check).check for name, check in given.items()})
            policy_files.check_circles(file, checks, given)
        # A table of its own for each load: others may be looking at the old one.
        self._enforcer.set_rules(checks, overwrite=True, use_conf=False)
        return Compiled(self._enforcer)

    def authorize(self, rule: str, context: Context, target: Target) -> None:
        """Raise Forbidden (403) unless allowed."""
        if not self.allows(rule, context, target):
            message = f"Policy doesn't allow {rule} to be performed."
            raise Forbidden(message, kind="PolicyNotAuthorized", extra={"rule": rule})
