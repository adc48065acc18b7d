"""What every answer must be like, whatever was asked: each service's own form of error, and the request's id."""

from __future__ import annotations

from tests.contract.asgi import Answer
from tests.contract.world import service_of

_NOVA = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
    503: "serviceUnavailable",
}  # fmt: skip


def check_answer(service: str, method: str, answer: Answer) -> None:
    """Raises AssertionError. A 5xx is only ever 501. Metadata is plain text for guests and has no request ids."""
    assert answer.status < 500 or answer.status == 501, answer.text
    if service_of(service) == "image" and answer.status == 401:
        assert "x-openstack-request-id" not in answer.headers  # Glance knows no request before it knows who asks
    elif service != "metadata":
        assert answer.headers["x-openstack-request-id"].startswith("req-")
    if answer.status == 204 or method == "HEAD":
        assert not answer.body or method == "HEAD"
        return
    if answer.status >= 400:
        check_error(service, answer)
    elif answer.body and answer.headers.get("content-type", "").startswith("application/json"):
        assert answer.json is None or isinstance(answer.json, (dict, list))


def check_error(service: str, answer: Answer) -> None:
    """The body of a 4xx in the form of the service that answered."""
    if service == "agent" and answer.headers["content-type"].startswith("text/"):
        return  # what a guest asked the metadata service for, handed through
    service = service_of(service)
    if service == "identity" and answer.status == 405:
        assert answer.json.keys() == {"message"}  # Flask's
    elif service == "identity" and answer.headers["content-type"].startswith("text/html"):
        assert answer.status == 404  # Flask's page for paths that lead nowhere
        assert "<title>404 Not Found</title>" in answer.text
    elif (answer.status == 401 and service != "image") or service in ("identity", "agent"):
        _keystone(answer)
    else:
        {"compute": _nova, "network": _neutron, "placement": _placement, "image": _glance,
         "metadata": lambda _answer: None}[service](answer)  # fmt: skip


def _keystone(answer: Answer) -> None:
    error = answer.json["error"]
    assert error.keys() == {"code", "title", "message"}
    assert error["code"] == answer.status
    assert error["title"]
    assert error["message"]


def _nova(answer: Answer) -> None:
    if answer.status == 404 and b'"itemNotFound"' not in answer.body:
        assert b"The resource could not be found." in answer.body  # no such route: not Nova's own form
        return
    ((name, error),) = answer.json.items()
    assert name == _NOVA.get(answer.status, "computeFault")
    assert error["code"] == answer.status
    assert isinstance(error["message"], str)
    assert error["message"]


def _neutron(answer: Answer) -> None:
    error = answer.json["NeutronError"]
    assert error.keys() == {"type", "message", "detail"}
    assert error["type"]
    assert error["message"]


def _placement(answer: Answer) -> None:
    (error,) = answer.json["errors"]
    assert error["status"] == answer.status
    assert error["title"]
    assert error["detail"]
    assert error["request_id"] == answer.headers["x-openstack-request-id"]


def _glance(answer: Answer) -> None:
    title = f"{answer.status} "
    if answer.headers["content-type"].startswith("text/plain"):
        # or the registry's own, when it can't change an image
        assert answer.text.startswith(title) or answer.text in ("Image not found", "Image operation conflicts")
    elif answer.headers["content-type"].startswith("application/json"):
        assert answer.json.keys() == {"message", "code", "title"}
        assert answer.json["code"].startswith(title)
    else:
        assert answer.headers["content-type"].startswith("text/html")
        assert f"<title>{title}" in answer.text
