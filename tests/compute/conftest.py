"""Compute's application with its real neighbours, on a fake clock."""

from __future__ import annotations

import pytest

from onestack.compute import public, service


@pytest.fixture
def compute(cloud, client_of):
    """A client of 8774 on a cloud that has the default flavors."""
    built = service.build(cloud)
    cloud.db.create_all()
    with cloud.db.write() as session:
        public.bootstrap(session, cloud)
    return client_of(built["compute"])
