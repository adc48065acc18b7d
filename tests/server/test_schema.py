"""A database that was migrated is the same as one made from the models."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from onestack.core.db import Base
from onestack.identity.models import Project, ProjectTag, User
from onestack.server import build, schema

assert build.BUILDERS  # every service's models are known


@pytest.fixture
def database(empty_database):
    return empty_database


def tables(database):
    return set(sa.inspect(database.engine).get_table_names())


def test_migrations_lead_to_the_models(database):
    migrate(database, "head")
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert differences == [], "python -m onestack.server.migrations.make NAME"


def migrate(database, revision):
    settings = Config()
    settings.set_main_option("script_location", str(schema.MIGRATIONS))
    settings.attributes["metadata"] = Base.metadata
    with database.engine.connect() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)
        connection.commit()


def test_users_of_the_first_release_keep_their_passwords(database):
    migrate(database, "0001")
    with database.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO identity_users (id, domain_id, name, enabled, password_hash, options, extra, created_at)"
                " VALUES ('u', 'default', 'ann', :yes, 'hash', '{}', '{}', '2026-01-01 12:00:00')"
            ),
            {"yes": True},
        )
    migrate(database, "head")
    with database.read() as session:
        user = session.get(User, "u")
        assert user is not None
        assert (user.name, user.password_hash, user.failed_auth_count) == ("ann", "hash", 0)
        assert user.password_self_service is False
        assert user.last_active_at is None


def test_projects_keep_description_and_tags_when_null_becomes_one(database):
    migrate(database, "0010")
    with database.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO identity_projects (id, domain_id, name, description, enabled, is_domain, options, extra)"
                " VALUES ('p', 'default', 'web', 'of ann', :yes, :no, '{}', '{}')"
            ),
            {"yes": True, "no": False},
        )
        connection.execute(sa.text("INSERT INTO identity_project_tags (project_id, name) VALUES ('p', 'blue')"))
    migrate(database, "head")
    with database.write() as session:
        project = session.get(Project, "p")
        assert project is not None
        assert (project.name, project.description) == ("web", "of ann")
        assert list(session.scalars(sa.select(ProjectTag.name))) == ["blue"]
        project.description = None


def test_a_new_database_is_at_the_newest_revision_at_once(database):
    schema.ensure(database)
    assert set(Base.metadata.tables) < tables(database)
    with database.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == schema.newest()


def test_again_changes_nothing_and_two_at_once_are_one(database):
    threads = [threading.Thread(target=schema.ensure, args=(database,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM alembic_version")).scalar() == 1


def test_a_killed_first_start_is_finished_by_the_next(database):
    """The tables are there, the stamp isn't: the process died in between."""
    database.create_all()
    schema.ensure(database)
    with database.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == schema.newest()
