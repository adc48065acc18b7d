"""`onestack explain`: who may do something, and which rule says so."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onestack.cli import become
from onestack.cli.problems import Problem
from onestack.cli.settings import existing

if TYPE_CHECKING:
    from onestack.config import Settings

REFUSED = 3
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_NOWHERE = "/-/"  # where a service answers for whatever path isn't its own


def options(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "examples:\n"
        "  onestack explain identity:create_user\n"
        "  onestack explain POST /v3/users\n"
        "  onestack explain DELETE /v2.1/servers/x --user demo --project demo\n"
        "  onestack explain network:create --user ann --project web --target project_id=0b1f…\n\n"
        "With --user the exit status is 0 when it is allowed and 3 when it is not."
    )
    parser.add_argument("what", nargs="+", metavar="RULE | METHOD PATH", help="a rule, or a request of an API")
    parser.add_argument("--service", metavar="NAME", help="only this service (identity, image, network …)")
    parser.add_argument("--user", metavar="USER", help="ask for this user, by name or id")
    parser.add_argument("--user-domain", metavar="DOMAIN", default="default", help="theirs (default: %(default)s)")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--project", metavar="PROJECT", help="with a token for this project")
    scope.add_argument("--domain", metavar="DOMAIN", help="with a token for this domain")
    scope.add_argument("--system", action="store_true", help="with a token for the system")
    parser.add_argument(
        "--target", metavar="KEY=VALUE", action="append", default=[], help="what the rule looks at in the thing"
    )


def run(given: argparse.Namespace) -> int:
    settings = existing(given)
    if not given.user and (given.project or given.domain or given.system or given.target):
        raise Problem("--project, --domain, --system and --target are about somebody", "name them with --user")
    targets = dict(_pair(text) for text in given.target)
    become.server(settings)
    services, cloud = _services(settings, given.service)
    found = _found(services, given.what)
    if not found:
        raise Problem(*_nothing(services, given.what))
    person = _person(cloud, given) if given.user else None
    verdicts = []
    try:
        for number, (service, rule, routes) in enumerate(found):
            if number:
                print()
            verdicts.append(_explain(service, rule, routes, person, targets))
    finally:
        cloud.db.close()
    return REFUSED if person is not None and False in verdicts else 0


def _services(settings: Settings, wanted: str | None) -> tuple[dict[str, Any], Any]:
    from onestack.config import ConfigError
    from onestack.server import build

    cloud = build.cloud_of(settings)
    try:
        built: dict[str, Any] = build.services(cloud)
    except ConfigError as error:
        raise Problem(str(error), "correct that file; running services keep the rules that they had") from error
    by_name = {name: service for name, service in built.items() if hasattr(service, "policy")}
    if wanted is None:
        return by_name, cloud
    if wanted not in by_name:
        raise Problem(f"there is no service {wanted!r}", f"one of {', '.join(sorted(by_name))}")
    return {wanted: by_name[wanted]}, cloud


def _found(services: dict[str, Any], what: list[str]) -> list[tuple[Any, str | None, list[Any]]]:
    """(service, rule, the routes that it guards); a rule of two ports is told once."""
    found: dict[tuple[str, str | None], tuple[Any, str | None, list[Any]]] = {}
    request = what[0].upper() in METHODS and len(what) == 2
    if not request and len(what) != 1:
        raise Problem("one rule, or a method and a path", "onestack explain --help")
    for service in services.values():
        if request:
            for route in _matching(service, what[0].upper(), what[1]):
                rule = route.policy or _shown(service, route)
                entry = found.setdefault((service.name, rule), (service, rule, []))
                if all((route.method, route.path) != (one.method, one.path) for one in entry[2]):
                    entry[2].append(route)
        elif what[0] in service.policy.rules or what[0] in service.policy.overrides:
            routes = [route for route in service.routes if route.policy == what[0]]
            entry = found.setdefault((service.name, what[0]), (service, what[0], []))
            known = {(one.method, one.path) for one in entry[2]}
            entry[2].extend(route for route in routes if (route.method, route.path) not in known)
    return list(found.values())


def _shown(service: Any, route: Any) -> str | None:
    """Where a request needs no rule, each object of the answer may (the network service's lists)."""
    noun = [part for part in route.path.split("/") if part and "{" not in part][-1:]
    rule = "get_" + noun[0].removesuffix("s").replace("-", "_") if noun else ""
    return rule if rule in service.policy.rules else None


def _matching(service: Any, method: str, path: str) -> list[Any]:
    """Literal paths before templates: `/v3/users/x` is not the route of `/v3/users/{user_id}/…`."""
    plain = "/" + path.split("?")[0].strip("/")
    if service.rewrite is not None and "{" not in plain:
        asked, plain = plain, service.rewrite(plain)
        if plain.startswith(_NOWHERE) or (plain == "/" and asked != "/"):
            return []
    exact = [route for route in service.routes if route.method == method and route.path == plain]
    if exact:
        return exact
    matching = [
        route
        for route in service.routes
        if route.method in (method, "GET" if method == "HEAD" else method)
        and re.fullmatch(re.sub(r"\\{[^/]*?\\}", "[^/]+", re.escape(route.path)), plain)
    ]
    fewest = min((route.path.count("{") for route in matching), default=0)
    return [route for route in matching if route.path.count("{") == fewest]


def _nothing(services: dict[str, Any], what: list[str]) -> tuple[str, str]:
    names = {name for service in services.values() for name in service.policy.rules}
    paths = {f"{route.method} {route.path}" for service in services.values() for route in service.routes}
    wanted = " ".join(what)
    near = difflib.get_close_matches(wanted, paths if len(what) == 2 else names, 3, 0.5)
    return f"no service knows {wanted!r}", " or ".join(f"`{name}`" for name in near)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Problem(f"--target {text!r} is not KEY=VALUE")
    return key, value


def _person(cloud: Any, given: argparse.Namespace) -> Any:
    from onestack.core.errors import NotFound
    from onestack.identity import standing

    with cloud.db.read() as session:
        try:
            return standing.context(
                session, given.user, given.user_domain, project=given.project, of_domain=given.domain,
                system=given.system,
            )  # fmt: skip
        except NotFound as error:
            raise Problem(error.message) from error


def _explain(service: Any, rule: str | None, routes: list[Any], person: Any, targets: dict[str, str]) -> bool | None:
    """Print it; whether `person` may, None when nobody was asked about or it depends on whose thing it is."""
    from onestack.core import policy_explain

    print(_bold(rule or f"{routes[0].method} {routes[0].path}") + f"  ({service.name})")
    facts = [("request", f"{route.method} {route.path}") for route in routes]
    if rule is None:
        open_to_all = all(route.public for route in routes)
        facts.append(("check", "none: " + ("no token is needed" if open_to_all else "any valid token will do")))
        _table(facts)
        return True
    lines = policy_explain.expansion(service.policy, rule)
    facts += [("check" if line.name == rule else line.name, f"{line.check}   [{line.source}]") for line in lines]
    wanted = policy_explain.keys(lines)
    if wanted:
        facts.append(("looks at", ", ".join(wanted)))
    verdict = None
    if person is not None:
        verdict, words = _verdict(service.policy, rule, wanted, person, targets)
        facts += [("who", _described(person)), ("verdict", words)]
    _table(facts)
    if person is None:
        _table(_personas(service.policy, rule, wanted))
    return verdict


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as what is in them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _personas(policy: Any, rule: str, wanted: list[str]) -> list[tuple[str, ...]]:
    from onestack.core import policy_explain

    rows: list[tuple[str, ...]] = [("who", "own", "another's")]
    for name, context in policy_explain.personas().items():
        own, other = (
            policy_explain.allows(policy, rule, context, policy_explain.target_of(wanted, whose))
            for whose in (context, None)
        )
        rows.append((name, _word(own), _word(other)))
    return rows


def _described(person: Any) -> str:
    place = person.project_name or person.domain_id or ("the system" if person.system else "no scope")
    return f"{person.user_name} on {place}: {', '.join(person.roles) or 'no role at all'}"


def _verdict(
    policy: Any, rule: str, wanted: list[str], person: Any, targets: dict[str, str]
) -> tuple[bool | None, str]:  # fmt: skip
    from onestack.core import policy_explain

    if person.scope != "unscoped" and not person.roles:
        return False, f"{_word(False)}: without a role there they get no token for it"
    own = policy_explain.target_of(wanted, person) | targets
    allowed = policy_explain.allows(policy, rule, person, own)
    if targets or not wanted:
        return allowed, _word(allowed)
    other = policy_explain.allows(policy, rule, person, policy_explain.target_of(wanted, None))
    return bool(allowed or other), f"{_word(allowed)} for their own, {_word(other)} for another's"


def _word(allowed: bool | None) -> str:
    return {True: "yes", False: "no", None: "depends"}[allowed]


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text
