"""`python -m onestack.server.migrations.make NAME`: the next migration, from what the models have and the newest
revision doesn't. Read what it wrote before you commit it: Alembic can't see a rename.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from onestack.core.db import Base
from onestack.server import build, schema


def main(name: str) -> None:
    if not build.BUILDERS:
        raise SystemExit("no service is built, so there are no models")
    numbers = [file.name[:4] for file in (schema.MIGRATIONS / "versions").glob("[0-9]*.py")]
    number = f"{max(map(int, numbers), default=0) + 1:04}"
    settings = Config()
    settings.set_main_option("script_location", str(schema.MIGRATIONS))
    settings.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    settings.attributes["metadata"] = Base.metadata
    with tempfile.TemporaryDirectory() as directory:
        engine = sa.create_engine(f"sqlite:///{Path(directory, 'scratch.sqlite')}")
        with engine.connect() as connection:
            settings.attributes["connection"] = connection
            if numbers:
                command.upgrade(settings, "head")
            command.revision(settings, name, autogenerate=True, rev_id=number)


if __name__ == "__main__":
    main(sys.argv[1])
