"""/os-instance_usage_audit_log: which hosts have sent the usage records of a period.

Source: the compute API reference, "Server usage audit log". Nova fills the log when its operator turns a periodic task
on. Usage is counted from the servers' rows here (os-simple-tenant-usage), so that no host ever runs one, and the log
says that.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from onestack.compute.models import Host
from onestack.core.errors import BadRequest
from onestack.core.http import Request

_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")


def index(req: Request) -> dict[str, Any]:
    return {"instance_usage_audit_logs": _log(req, req.cloud.clock.now())}


def show(req: Request, before: str) -> dict[str, Any]:
    return {"instance_usage_audit_log": _log(req, _moment(before))}


def _moment(text: str) -> datetime.datetime:
    for form in _FORMS:
        try:
            return datetime.datetime.strptime(text, form)
        except ValueError:
            continue
    raise BadRequest(f"Invalid timestamp for date {text}")


def last_month(before: datetime.datetime) -> tuple[datetime.datetime, datetime.datetime]:
    """The calendar month that was over at `before`. Raises BadRequest when there was none."""
    end = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    try:
        return (end - datetime.timedelta(days=1)).replace(day=1), end
    except OverflowError:
        raise BadRequest(f"Invalid timestamp for date {before}") from None


def _log(req: Request, before: datetime.datetime) -> dict[str, Any]:
    begin, end = last_month(before)
    with req.cloud.db.read() as session:
        hosts = list(session.scalars(sa.select(Host.hostname).order_by(Host.hostname)))
    done = f"0 of {len(hosts)}" if hosts else "ALL"
    return {
        "period_beginning": str(begin),
        "period_ending": str(end),
        "num_hosts": len(hosts),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(hosts),
        "hosts_not_run": hosts,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"{done} hosts done. 0 errors.",
        "log": {},
    }
