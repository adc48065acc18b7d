"""The routes of the agents' socket (onestack.wire). Each checks the agent's token itself: it is no user's."""

from __future__ import annotations

from onestack.compute.agentapi import hello, images, snapshots, status, work
from onestack.compute.metadata import agents as metadata
from onestack.core.routes import Route
from onestack.wire import HostReport, ImageOffer, StatusReport


def routes() -> list[Route]:
    handlers = work.Handlers()
    return [
        Route("POST", "/v1/hello", hello.hello, body=HostReport, public=True),
        Route("GET", "/v1/work", handlers.work, public=True, stream=True),
        Route("POST", "/v1/status", status.status, body=StatusReport, public=True),
        Route("GET", "/v1/images/{image_id}", images.download, public=True, stream=True),
        Route("POST", "/v1/operations/{operation_id}/image", snapshots.offer, body=ImageOffer, public=True),
        Route("PUT", "/v1/operations/{operation_id}/image", snapshots.upload, public=True, stream=True),
        Route("GET", "/v1/servers/{server_id}/config-drive", metadata.config_drive, public=True),
        Route("GET", "/v1/metadata/{network_id}/{address}", metadata.metadata, public=True),
        Route("GET", "/v1/metadata/{network_id}/{address}/{path:path}", metadata.metadata, public=True),
        Route("POST", "/v1/answers/{question_id}", handlers.answer, body=dict, public=True),
    ]
