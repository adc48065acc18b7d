"""Who may do what: oslo.policy rules, the real services' names and defaults, the operator's file over them.

The operator's file is `<state>/policy/<service>.yaml` (or the older `.json`); it is read again when it
changes.
A rule that isn't registered is denied to everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import opts, policy

from onestack.core.context import Context
from onestack.core.errors import Forbidden

Target = dict[str, Any]

_MEMORY = 4096  # decisions that are remembered
_IDENTITY = (
    "user_id", "user_domain_id", "project_id", "project_domain_id", "domain_id", "system_scope", "trust_id",
)  # fmt: skip


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
        rules = [policy.RuleDefault(name, check) for name, check in defaults.items()]
        self._enforcer.register_defaults(rules)
        if file is None:
            # Without a file there is nothing to look for on each check.
            self._enforcer.set_rules({rule.name: rule.check for rule in rules}, overwrite=True, use_conf=False)
        else:
            conf.set_override("policy_dirs", [], group="oslo_policy")
            self._enforcer.load_rules()
        self._defaults = defaults
        # Without a file nothing but caller and target decides, so the answer to the same question stays the same.
        # oslo.policy takes 0.1 to 0.5 ms for each, and Neutron asks five times to show one port.
        self._decisions: dict[tuple[Any, ...], bool] | None = {} if file is None else None

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
        if self._decisions is None:
            return bool(self._enforcer.enforce(rule, target, credentials))
        try:
            key = (rule, tuple(context.roles), *(credentials[name] for name in _IDENTITY), *target.items())
            known = self._decisions.get(key)
        except TypeError:  # a target with a list in it
            return bool(self._enforcer.enforce(rule, target, credentials))
        if known is None:
            known = bool(self._enforcer.enforce(rule, target, credentials))
            if len(self._decisions) >= _MEMORY:
                self._decisions.clear()
            self._decisions[key] = known
        return known

    def authorize(self, rule: str, context: Context, target: Target) -> None:
        """Raise Forbidden (403) unless allowed."""
        if not self.allows(rule, context, target):
            message = f"Policy doesn't allow {rule} to be performed."
            raise Forbidden(message, kind="PolicyNotAuthorized", extra={"rule": rule})
