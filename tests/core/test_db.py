"""Transactions, revisions, quotas and operations on the real database layer."""

from __future__ import annotations

import datetime
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from onestack.core import operations, paging, quota, revision
from onestack.core.db import Base, on_commit
from onestack.core.errors import Conflict
from onestack.core.operations import Operation, OperationEvent, Runner, Workers
from onestack.core.wakeups import Wakeups


@pytest.fixture
def ready(cloud):
    cloud.db.create_all()
    return cloud


def test_a_write_is_kept_whole_or_not_at_all(ready):
    done = []
    with ready.db.write() as session:
        revision.advance(session, "a")
        on_commit(session, lambda: done.append("committed"))
        assert done == []
    assert done == ["committed"]

    def fails():
        with ready.db.write() as session:
            revision.advance(session, "a")
            on_commit(session, lambda: done.append("never"))
            raise Conflict("no")

    with pytest.raises(Conflict):
        fails()
    assert done == ["committed"]
    with ready.db.read() as session:
        assert revision.current(session, "a") == 1


def test_a_write_inside_a_write_is_refused_at_once(ready):
    with ready.db.write() as session:
        revision.advance(session, "a")
        with pytest.raises(RuntimeError, match="inside another"), ready.db.write():
            pass


def test_what_was_acknowledged_is_on_disk(on_sqlite, ready):
    with ready.db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_concurrent_writers_never_lose_a_revision(ready):
    def work():
        for _ in range(25):
            with ready.db.write() as session:
                revision.advance(session, "a")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ready.db.read() as session:
        assert revision.current(session, "a") == 100


def owe(cloud, object_id="s1", **more):
    with cloud.db.write() as session:
        operation = operations.enqueue(
            session, cloud, action="create", object_type="server", object_id=object_id, **more
        )
        return operation.id


def state(cloud, operation_id):
    with cloud.db.read() as session:
        return session.get(Operation, operation_id)


def test_an_operation_runs_once_and_is_done(ready):
    ran = []

    def run(cloud, operation_id):
        ran.append(operation_id)
        with cloud.db.write() as session:
            operations.finish(session, cloud, session.get(Operation, operation_id))

    workers = Workers(ready, {("server", "create"): Runner(run, lambda *_: None)})
    operation_id = owe(ready)
    assert workers.run_one()
    assert not workers.run_one()
    assert ran == [operation_id]
    assert state(ready, operation_id).state == "done"


def test_an_object_has_one_unfinished_operation(ready):
    owe(ready)
    with pytest.raises(sa.exc.IntegrityError):
        owe(ready)


def test_work_of_a_dead_worker_is_run_again_after_its_lease(ready):
    def dies(cloud, operation_id):
        raise KeyboardInterrupt  # the process ends here

    operation_id = owe(ready)
    with pytest.raises(KeyboardInterrupt):
        Workers(ready, {("server", "create"): Runner(dies, lambda *_: None)}).run_one()

    ran = []
    other = Workers(ready, {("server", "create"): Runner(lambda c, o: ran.append(o), lambda *_: None)})
    assert not other.run_one()
    ready.clock.advance(operations.LEASE_SECONDS + 1)
    assert other.run_one()
    assert ran == [operation_id]
    assert state(ready, operation_id).attempts == 2


def test_leases_of_a_killed_process_are_free_at_the_next_start(ready):
    ended = subprocess.run(
        [sys.executable, "-c", "from onestack.core import operations; print(operations.this_process())"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    runners = {("server", "create"): Runner(lambda *_: None, lambda *_: None)}
    ours = Workers(ready, runners)
    for owner, free in ((f"{ended}/x", True), (ours.name, False), ("another:1:2:3/x", False)):
        operation_id = owe(ready, object_id=owner)
        with ready.db.write() as session:
            operation = session.get(Operation, operation_id)
            operation.state, operation.lease_owner = "running", owner
            operation.lease_until = ready.clock.now() + datetime.timedelta(seconds=20)
        ours._free_dead_leases()
        assert (state(ready, operation_id).lease_owner is None) == free


def test_a_failure_is_recorded_with_its_reason(ready):
    def fails(cloud, operation_id):
        raise Conflict("There is no room.")

    seen = []
    runner = Runner(fails, lambda cloud, session, operation, error: seen.append((operation.object_id, str(error))))
    operation_id = owe(ready)
    assert Workers(ready, {("server", "create"): runner}).run_one()
    operation = state(ready, operation_id)
    assert (operation.state, operation.message) == ("failed", "There is no room.")
    assert seen == [("s1", "There is no room.")]
    with ready.db.read() as session:
        event = session.scalars(sa.select(OperationEvent)).one()
    assert (event.result, event.message) == ("Error", "There is no room.")


def test_a_crash_of_ours_does_not_show_its_insides(ready):
    def fails(cloud, operation_id):
        raise ZeroDivisionError("secret")

    operation_id = owe(ready)
    Workers(ready, {("server", "create"): Runner(fails, lambda *_: None)}).run_one()
    assert "secret" not in state(ready, operation_id).message


def test_busy_comes_back_later(ready):
    answers = iter([operations.Busy(5), None])

    def run(cloud, operation_id):
        answer = next(answers)
        if answer:
            raise answer

    workers = Workers(ready, {("server", "create"): Runner(run, lambda *_: None)})
    owe(ready)
    assert workers.run_one()
    assert not workers.run_one()
    ready.clock.advance(6)
    assert workers.run_one()


def test_work_of_a_host_is_not_claimed_here(ready):
    owe(ready, host="h1")
    assert not Workers(ready, {("server", "create"): Runner(lambda *_: None, lambda *_: None)}).run_one()


def test_quota_limits_and_what_passes_them(ready):
    defaults = {"cores": 20, "ram": 100, "instances": 10}
    with ready.db.write() as session:
        quota.set_limits(session, "compute", "p1", {"cores": 5})
        quota.set_limits(session, "compute", quota.DEFAULT_PROJECT, {"ram": -1, "cores": 7})
    with ready.db.read() as session:
        limits = quota.limits(session, "compute", "p1", defaults)
        assert limits == {"cores": 5, "ram": -1, "instances": 10}
        assert quota.limits(session, "compute", "p2", defaults)["cores"] == 7
    assert quota.exceeded(limits, {"cores": 4}, {"cores": 1, "ram": 10**9, "instances": 10}) == []
    assert quota.exceeded(limits, {"cores": 5, "instances": 1}, {"cores": 1, "instances": 10}) == ["cores", "instances"]
    assert quota.exceeded(limits, {"cores": 9}, {"cores": 0}) == []


def test_wakeups_are_not_lost_between_look_and_wait():
    wakeups = Wakeups()
    seen = wakeups.seen("a")
    wakeups.notify("a")
    assert wakeups.wait("a", seen, timeout=5)
    assert not wakeups.wait("a", wakeups.seen("a"), timeout=0.01)


TABLE = sa.Table("paging_rows", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
                 sa.Column("name", sa.String), sa.Column("size", sa.Integer))  # fmt: skip


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.sampled_from([None, 1, 2])), max_size=12),
    sorts=st.permutations([("name", "asc"), ("size", "desc"), ("name", "desc")]).map(
        lambda keys: list({key: (key, way) for key, way in keys}.values())
    ),
    limit=st.integers(1, 5),
)
def test_pages_put_together_are_the_whole_list(rows, sorts, limit):
    engine = sa.create_engine("sqlite://")
    columns = dict(TABLE.c.items())
    order = [*sorts, ("id", "asc")]
    with engine.begin() as connection:
        TABLE.create(connection)
        for number, (name, size) in enumerate(rows):
            connection.execute(TABLE.insert().values(id=number, name=name, size=size))
        whole = connection.execute(paging.paginate(sa.select(TABLE), columns, order)).all()
        pages, marker = [], None
        while True:
            page = connection.execute(
                paging.paginate(sa.select(TABLE), columns, order, marker=marker, limit=limit)
            ).all()
            if not page:
                break
            pages += page
            marker = page[-1]._asdict()
    engine.dispose()
    assert pages == whole
    assert len(whole) == len(rows)


def test_models_load_nothing_behind_our_back():
    for mapper in Base.registry.mappers:
        for relationship in mapper.relationships:
            assert relationship.lazy in ("raise", "raise_on_sql", "noload"), relationship


def test_times_are_stored_to_the_microsecond(ready):
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)
    operation_id = owe(ready)
    with ready.db.write() as session:
        session.get(Operation, operation_id).updated_at = moment
    assert state(ready, operation_id).updated_at == moment
