"""Who may do what: oslo.policy rules, the real services' names and defaults, the operator's file over them.

The operator's file is `<state>/policy/<service>.yaml` (or the older `.json`); it is read again when it changes. A
rule that isn't registered is denied to everybody.
"""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import opts, policy

from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.core.policy_checks import Compiled

Target = dict[str, Any]


@functools.cache
def _rule(name: str, check: str) -> policy.RuleDefault:
    """Parsing is most of what a service's start takes, and the same texts come again."""
    return policy.RuleDefault(name, check)


class Policy:
    """The rules of one service."""

    def __init__(self, service: str, defaults: dict[str, str], directory: Path | None = None) -> None:
        conf = cfg.ConfigOpts()
        conf([], project="onestack", default_config_files=[], default_config_dirs=[])
        opts.set_defaults(conf)
        file = self._file(service, directory)
        self._enforcer = policy.Enforcer(conf, policy_file=str(file or ""), use_conf=file is not None)
        self._enforcer.suppress_default_change_warnings = True
        self._enforcer.suppress_deprecation_warnings = True
        rules = [_rule(name, check) for name, check in defaults.items()]
        if file is None:
            # Without a file there is nothing to look for on each check.
            self._enforcer.set_rules({rule.name: rule.check for rule in rules}, overwrite=True, use_conf=False)
        else:
            self._enforcer.register_defaults(rules)
            conf.set_override("policy_dirs", [], group="oslo_policy")
            self._enforcer.load_rules()
        self._file_path = file
        self._stamp: tuple[int, int] | None = None
        self._loading = threading.Lock()
        self._defaults = defaults
        self._compiled = Compiled(self._enforcer)

    @staticmethod
    def _file(service: str, directory: Path | None) -> Path | None:
        if directory is None:
            return None
        for suffix in ("yaml", "json"):
            file = directory / f"{service}.{suffix}"
            if file.exists():
                return file
        return None

    @property
    def rules(self) -> dict[str, str]:
        """Name → check string, for the policy reference."""
        return dict(self._defaults)

    def allows(self, rule: str, context: Context, target: Target) -> bool:
        """Whether `context` may do `rule` to `target` (a flat dict: project_id, user_id …)."""
        credentials = context.credentials()
        if context.system:
            credentials["system"] = credentials["system_scope"]  # the name that older rules know
        return self._current().allows(rule, target, credentials)

    def _current(self) -> Compiled:
        """The rules as the operator's file has them now."""
        if self._file_path is None:
            return self._compiled
        found = self._file_path.stat()
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp == self._stamp:
            return self._compiled
        # oslo.policy empties its table of rules while it reads a changed file, so nobody may look at it meanwhile.
        with self._loading:
            self._enforcer.load_rules()
            self._compiled = Compiled(self._enforcer)
            self._stamp = stamp
            return self._compiled

    def authorize(self, rule: str, context: Context, target: Target) -> None:
        """Raise Forbidden (403) unless allowed."""
        if not self.allows(rule, context, target):
            message = f"Policy doesn't allow {rule} to be performed."
            raise Forbidden(message, kind="PolicyNotAuthorized", extra={"rule": rule})
