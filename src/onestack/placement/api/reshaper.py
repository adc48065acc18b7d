"""POST /reshaper: inventories and allocations of several providers change together."""

from __future__ import annotations

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.placement import dialect, schemas
from onestack.placement.api import allocations, common, inventories
from onestack.placement.public import lock


def reshape(req: Request) -> None:
    body = common.checked(req.body, schemas.reshaper(req.version))
    wanted = body["inventories"]
    with req.cloud.db.write() as session:
        known = {provider.uuid: provider for provider in lock(session, wanted)}
        for uuid, given in wanted.items():
            if uuid not in known:
                raise BadRequest(
                    f"Resource provider {uuid} in inventories not found: No resource provider with uuid {uuid} found.",
                    kind=dialect.PROVIDER_NOT_FOUND,
                )
            generation, actual = given["resource_provider_generation"], known[uuid].generation
            common.same_generation(
                known[uuid], generation,
                f"resource provider generation conflict for provider {uuid}: actual: {actual}, given: {generation}",
            )  # fmt: skip
        # What is there after the change takes the allocations; what was there before gives them up first.
        for uuid, given in wanted.items():
            inventories.store_all(session, uuid, given["inventories"], req.version)
        allocations.write(session, body["allocations"], req.version, "malformed reshaper data: ")
        for uuid, given in wanted.items():
            inventories.drop_others(session, uuid, given["inventories"])
