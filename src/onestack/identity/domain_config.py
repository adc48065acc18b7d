"""Which options a domain can have, which of them are secret, and what Keystone's defaults for them are.

Source: Keystone's administrator guide, "Domain-specific configuration", and the API reference. Nothing here acts on
these options: every domain's users are in this cloud's own tables. They are kept and shown for clients that manage
them.
"""

from __future__ import annotations

from typing import Any

from onestack.config import SecurityCompliance
from onestack.core.errors import Forbidden, NotFound

# Group → option → default. Anybody who may look sees these.
OPTIONS: dict[str, dict[str, Any]] = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": {
        "url": "ldap://localhost",
        "user": None,
        "suffix": "cn=example,cn=com",
        "query_scope": "one",
        "page_size": 0,
        "alias_dereferencing": "default",
        "debug_level": None,
        "chase_referrals": None,
        "user_tree_dn": None,
        "user_filter": None,
        "user_objectclass": "inetOrgPerson",
        "user_id_attribute": "cn",
        "user_name_attribute": "sn",
        "user_mail_attribute": "mail",
        "user_description_attribute": "description",
        "user_pass_attribute": "userPassword",
        "user_enabled_attribute": "enabled",
        "user_enabled_invert": False,
        "user_enabled_mask": 0,
        "user_enabled_default": "True",
        "user_attribute_ignore": ["default_project_id"],
        "user_default_project_id_attribute": None,
        "user_enabled_emulation": False,
        "user_enabled_emulation_dn": None,
        "user_enabled_emulation_use_group_config": False,
        "user_additional_attribute_mapping": [],
        "group_tree_dn": None,
        "group_filter": None,
        "group_objectclass": "groupOfNames",
        "group_id_attribute": "cn",
        "group_name_attribute": "ou",
        "group_members_are_ids": False,
        "group_member_attribute": "member",
        "group_desc_attribute": "description",
        "group_attribute_ignore": [],
        "group_additional_attribute_mapping": [],
        "tls_cacertfile": None,
        "tls_cacertdir": None,
        "use_tls": False,
        "tls_req_cert": "demand",
        "use_pool": True,
        "pool_size": 10,
        "pool_retry_max": 3,
        "pool_retry_delay": 0.1,
        "pool_connection_timeout": -1,
        "pool_connection_lifetime": 600,
        "use_auth_pool": True,
        "auth_pool_size": 100,
        "auth_pool_connection_lifetime": 60,
    },
}
# Written and never read back.
SENSITIVE: dict[str, frozenset[str]] = {"ldap": frozenset({"password"})}

SECURITY = "security_compliance"
# What anybody with a token may know about the rules for passwords.
_SECURITY_OPTIONS = ("password_regex", "password_regex_description")

Config = dict[str, dict[str, Any]]


def invalid(reason: str) -> Forbidden:
    return Forbidden(f"Invalid domain specific configuration: {reason}.")


def missing(domain_id: str, group: str | None, option: str | None) -> NotFound:
    what = f"option {option} in group {group}" if option else f"group {group}" if group else "any options"
    return NotFound(f"Could not find {what} in domain configuration for domain {domain_id}.")


def is_sensitive(group: str, option: str) -> bool:
    return option in SENSITIVE.get(group, ())


def check_names(group: str | None, option: str | None = None) -> None:
    """Raises Forbidden for what isn't a domain's to set."""
    if group is None:
        return
    if group not in OPTIONS:
        raise invalid(f"Group {group} is not supported for domain specific configurations")
    if option is not None and option not in OPTIONS[group] and not is_sensitive(group, option):
        raise invalid(f"Option {option} in group {group} is not supported for domain specific configurations")


def check_config(config: Any) -> Config:
    """A whole configuration from a client: groups of options, at least one. Raises Forbidden."""
    if not config or not isinstance(config, dict):
        raise invalid("No options specified")
    for group, options in config.items():
        if not options or not isinstance(options, dict):
            raise invalid(
                f"The value of group {group} specified in the config should be a dictionary of options"
            )  # fmt: skip
        for option in options:
            check_names(group, option)
    return config


def check_part(config: Any, group: str | None, option: str | None) -> Config:
    """The configuration that a PATCH of the whole, a group or an option brings; of a part, only that part may be in
    it. An option comes without its group around it. Raises Forbidden."""
    whole = check_config({group: config} if group and option else config)
    check_names(group, option)
    if group is None:
        return whole
    if len(whole) != 1 or (option and len(whole[group]) != 1):
        if option:
            raise invalid(
                f"Trying to update option {option} in group {group}, so that, and only that, option must be specified "
                " in the config"
            )
        raise invalid(
            f"Trying to update group {group}, so that, and only that, group must be specified in the config"
        )  # fmt: skip
    if group not in whole:
        raise invalid(
            f"request to update group {group}, but config provided contains group {next(iter(whole))} instead"
        )
    if option and option not in whole[group]:
        raise invalid(
            f"Trying to update option {option} in group {group}, but config provided contains option "
            f"{next(iter(whole[group]))} instead"
        )
    return whole


def defaults(group: str | None, option: str | None) -> dict[str, Any]:
    """Raises Forbidden."""
    check_names(group, option)
    if group is None:
        return OPTIONS
    if option is None:
        return {group: OPTIONS[group]}
    if option not in OPTIONS[group]:
        raise invalid(f"Reading the default for option {option} in group {group} is not supported")
    return {option: OPTIONS[group][option]}


def security_compliance(rules: SecurityCompliance, own: bool, option: str | None) -> dict[str, Any]:
    """The rules for passwords that users may know, of the default domain only (`own`). Raises Forbidden."""
    if not own:
        raise invalid(
            "Reading security compliance information for any domain other than the default domain is not allowed or "
            "supported."
        )
    if option is not None and option not in _SECURITY_OPTIONS:
        raise invalid(
            "Reading security compliance values other than password_regex and password_regex_description is not "
            "allowed."
        )
    if option is not None:
        return {option: getattr(rules, option)}
    return {SECURITY: {name: getattr(rules, name) for name in _SECURITY_OPTIONS}}
