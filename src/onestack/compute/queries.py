"""What a query may hold: which parameters, in which form. Its words are those of Nova's query schemas, which are looked
at before the rule: who may not ask is told of a wrong parameter first.

The tables of routes name a Query for each route that has one; the list of servers has its own (list_schema).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from onestack.compute import links, schema
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest
from onestack.core.http import Request

Form = Callable[[str, str], Any]  # (name, value): raises BadRequest


class Parameter(NamedTuple):
    name: str
    form: Form = schema.anything
    once: bool = False  # more than one is an error
    since: Version = (2, 0)
    until: Version = (99, 0)


@dataclass(frozen=True)
class Query:
    """`closed`: from which microversion on other parameters are errors; before they are ignored."""

    parameters: tuple[Parameter, ...] = ()
    closed: Version = (2, 75)

    def check(self, req: Request) -> None:
        """The parameters one after the other in the order of their table, then what is too much. Raises BadRequest."""
        known = [one for one in self.parameters if one.since <= req.version <= one.until]
        for one in known if req.query else ():
            values = req.get_all(one.name)
            for value in values:
                one.form(one.name, value)
            if one.once and len(values) > 1:
                raise invalid(one.name, values, f"{values!r} is too long")
        links.refuse_unknown_query(req, frozenset(one.name for one in known), self.closed)

    def before(self, handler: Callable[..., Any], *, authorize: bool) -> Callable[..., Any]:
        """The handler with the check before it, and between the two the route's rule when `authorize` says so."""

        def handle(req: Request, **params: Any) -> Any:
            self.check(req)
            if authorize:
                req.authorize()
            return handler(req, **params)

        return handle


def invalid(name: str, value: Any, message: str) -> BadRequest:
    return BadRequest(f"Invalid input for query parameters {name}. Value: {value}. {message}")


def whole(name: str, value: str) -> None:
    """A number that isn't negative."""
    if not value or not (value.isascii() and value.isdigit()):
        raise invalid(name, value, f"{value!r} does not match '^[0-9]*$'" if value else "'' should be non-empty")


def positive(name: str, value: str) -> None:
    whole(name, value)
    if not value.strip("0"):
        raise invalid(name, value, "0 is less than the minimum of 1")


def one_of(*words: Any) -> Form:
    def check(name: str, value: str) -> None:
        if value not in words:
            raise invalid(name, value, f"{value!r} is not one of {list(words)!r}")

    return check


boolean = one_of(*schema.BOOLEANS)


def moment(name: str, value: str) -> None:
    if not value:
        raise invalid(name, value, "'' is not a 'date-time'")
    links.moment(name, value)


def hostname_pattern(name: str, value: str) -> None:
    try:
        schema.fqdn(name, value)
    except BadRequest as fault:
        raise BadRequest(fault.message.replace("field/attribute", "query parameters", 1)) from None


LIMIT = Parameter("limit", whole)
LIMIT_ONCE = Parameter("limit", whole, once=True)

NOTHING = Query(closed=(2, 102))
OF_USER = Query((Parameter("user_id"),))
