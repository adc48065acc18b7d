"""A client of the image service, and images made on the spot."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from onestack.core.operations import Workers
from onestack.image import service

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
BYTES = {"Content-Type": "application/octet-stream"}
needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


class Images:
    """What tests do with images, in one line each."""

    def __init__(self, client: Any, folder: Path, workers: Workers) -> None:
        self.workers = workers
        self.client = client
        self.folder = folder

    def create(self, as_: str = "member", **body: Any) -> dict[str, Any]:
        values = {"name": "i", "disk_format": "raw", "container_format": "bare"} | body
        answer = self.client.post("/v2/images", as_=as_, json=values)
        assert answer.status_code == 201, answer.text
        return answer.json

    def upload(self, image_id: str, data: bytes, as_: str = "member", where: str = "file") -> Any:
        return self.client.put(f"/v2/images/{image_id}/{where}", as_=as_, body=data, headers=BYTES)

    def active(self, data: bytes = b"data", as_: str = "member", **body: Any) -> dict[str, Any]:
        image = self.create(as_, **body)
        answer = self.upload(image["id"], data, as_)
        assert answer.status_code == 204, answer.text
        return self.show(image["id"], as_).json

    def show(self, image_id: str, as_: str = "member") -> Any:
        return self.client.get(f"/v2/images/{image_id}", as_=as_)

    def patch(self, image_id: str, *changes: dict[str, Any], as_: str = "member") -> Any:
        return self.client.patch(f"/v2/images/{image_id}", as_=as_, headers=PATCH, body=json.dumps(changes))

    def names(self, query: str = "", as_: str = "member") -> list[str]:
        answer = self.client.get("/v2/images" + query, as_=as_)
        assert answer.status_code == 200, answer.text
        return [image["name"] for image in answer.json["images"]]

    def files(self) -> set[str]:
        """Names below the folder of images but the node's, without the two digits that the store puts before them."""
        found = (str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if file.is_file())
        return {re.sub("^[0-9a-f]{2}/", "", name) for name in found} - {"node"}

    def work(self) -> None:
        """Everything that is owed is done."""
        while self.workers.run_one():
            pass

    def import_(self, image_id: str, name: str, as_: str = "member", headers: Any = None, **more: Any) -> Any:
        """Ask for an import, with `method` for what the method needs, and let it run."""
        body = {"method": {"name": name, **more.pop("method", {})}, **more}
        answer = self.client.post(f"/v2/images/{image_id}/import", as_=as_, json=body, headers=headers)
        self.work()
        return answer

    def task(self, image_id: str, as_: str = "member") -> dict[str, Any]:
        """The newest one of the image."""
        return self.client.get(f"/v2/images/{image_id}/tasks", as_=as_).json["tasks"][-1]


def images_of(cloud: Any, client_of: Any) -> Images:
    """The image service of a cloud as it is set now, with an empty database."""
    client = client_of(service.build(cloud)["image"])
    cloud.db.create_all()
    return Images(client, cloud.settings.path("images"), Workers(cloud, cloud.runners))


@pytest.fixture
def images(cloud, client_of) -> Images:
    return images_of(cloud, client_of)
