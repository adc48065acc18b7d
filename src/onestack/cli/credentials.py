"""clouds.yaml and the openrc files: how every OpenStack client finds this cloud."""

from __future__ import annotations

import shlex

from onestack.cli import layout
from onestack.cli.problems import Problem
from onestack.config import Settings

# user: (project, secret, name in clouds.yaml)
USERS = {"admin": ("admin", "admin-password", "onestack"), "demo": ("demo", "demo-password", "demo")}


def variables(settings: Settings, user: str) -> dict[str, str]:
    """The environment of a user. Raises Problem for one whose password only they know."""
    if user not in USERS:
        names = " and ".join(sorted(USERS))
        raise Problem(f"only the passwords of {names} are kept here, not that of {user!r}")
    project, secret, _ = USERS[user]
    return {
        "OS_AUTH_URL": settings.url("identity") + "/v3",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": user,
        "OS_PASSWORD": layout.read_secret(settings, secret),
        "OS_PROJECT_NAME": project,
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
        "OS_REGION_NAME": settings.region,
        "OS_INTERFACE": "public",
        "OS_AUTH_TYPE": "password",
    }


def variables_v2(settings: Settings, user: str) -> dict[str, str]:
    """The same for clients that know identity v2.0 alone. Admins' calls are on a port of their own there.

    The version of identity is not named: `keystone` calls it 2.0, and newer clients, told so, want no newer service.
    """
    newer = variables(settings, user)
    return {
        "OS_AUTH_URL": settings.url("identity-admin") + "/v2.0",
        "OS_USERNAME": user,
        "OS_PASSWORD": newer["OS_PASSWORD"],
        "OS_TENANT_NAME": newer["OS_PROJECT_NAME"],
        "OS_REGION_NAME": settings.region,
    }


def openrc(settings: Settings, user: str, *, v2: bool = False) -> str:
    """Shell text for `eval`. What another cloud's openrc may have left in the shell is unset."""
    wanted = variables_v2(settings, user) if v2 else variables(settings, user)
    stale = [
        "OS_CLOUD", "OS_TOKEN", "OS_PROJECT_ID", "OS_TENANT_NAME", "OS_TENANT_ID", "OS_SYSTEM_SCOPE", "OS_DOMAIN_ID",
        "OS_DOMAIN_NAME", "OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_NAME", "OS_SERVICE_TOKEN", "OS_SERVICE_ENDPOINT",
        "SERVICE_TOKEN", "SERVICE_ENDPOINT", "OS_ENDPOINT", "OS_URL",
    ]  # fmt: skip
    if v2:
        stale += ["OS_PROJECT_NAME", "OS_USER_DOMAIN_ID", "OS_PROJECT_DOMAIN_ID", "OS_AUTH_TYPE", "OS_INTERFACE"]
        stale += ["OS_IDENTITY_API_VERSION"]
    lines = [f"unset {' '.join(stale)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in wanted.items()]
    return "\n".join(lines) + "\n"


def clouds_yaml(settings: Settings) -> str:
    """Every value is written as a double-quoted string, which YAML reads as JSON does."""
    import json

    lines = ["clouds:"]
    for user, (project, _, cloud) in USERS.items():
        values = variables(settings, user)
        lines += [
            f"  {cloud}:",
            "    auth:",
            f"      auth_url: {json.dumps(values['OS_AUTH_URL'])}",
            f"      username: {json.dumps(user)}",
            f"      password: {json.dumps(values['OS_PASSWORD'])}",
            f"      project_name: {json.dumps(project)}",
            '      user_domain_id: "default"',
            '      project_domain_id: "default"',
            f"    region_name: {json.dumps(settings.region)}",
            '    interface: "public"',
            '    identity_api_version: "3"',
        ]
    return "\n".join(lines) + "\n"


def write(settings: Settings) -> None:
    """Write the files that differ; mode 0600."""
    wanted = {"clouds.yaml": clouds_yaml(settings), **{f"openrc-{user}": openrc(settings, user) for user in USERS}}
    for name, text in wanted.items():
        path = settings.path(name)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            layout.write_private(path, text)
