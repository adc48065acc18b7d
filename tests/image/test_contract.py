"""The contract of stores, on files and on an S3 server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onestack.config import ImageStore
from onestack.image.drivers.base import Denied, Full, StoreError
from onestack.image.drivers.file import FileStore
from onestack.image.drivers.s3 import S3Store
from tests.image.contract import DATA, ID, PART, StoreContract
from tests.image.stores import in_bucket, s3_server


class TestFiles(StoreContract):
    @pytest.fixture
    def one(self, tmp_path: Path) -> FileStore:
        return FileStore("file", ImageStore(type="file"), tmp_path / "images")

    def recipe(self, one: Any) -> Any:
        return FileStore, (one.name, one.settings, one.folder), {}

    def elsewhere(self, tmp_path: Path) -> Path:
        return Path("/dev/shm")

    def leftovers(self, one: Any) -> list[str]:
        return [str(file) for file in one.folder.rglob("*") if file.is_file()]

    def swept(self, one: Any) -> list[Path]:
        return [file for _, file in one.files()]

    def test_what_names_no_file_of_ours(self, one: FileStore) -> None:
        for key in ("../x", "/etc/passwd", "11/../../x", "", ID.replace("1", "A"), f"{ID}/x"):
            with pytest.raises(ValueError, match="not the key"):
                one.path(key)


@pytest.fixture(scope="module")
def server():
    with s3_server() as found:
        yield found


class TestS3(StoreContract):
    @pytest.fixture
    def one(self, server: ImageStore) -> S3Store:
        return S3Store("far", server, large=PART, part=PART)

    def recipe(self, one: Any) -> Any:
        return S3Store, (one.name, one.settings), {"large": PART, "part": PART}

    def leftovers(self, one: Any) -> list[str]:
        return in_bucket(one.settings)

    def test_a_bucket_that_is_not_there(self, server: ImageStore, tmp_path: Path) -> None:
        one = S3Store("far", ImageStore(**{**_values(server), "bucket": "none"}), large=PART, part=PART)
        source = tmp_path / "source"
        source.write_bytes(DATA)
        with pytest.raises(StoreError, match="no bucket none"):
            one.check()
        with pytest.raises(StoreError, match="NoSuchBucket"):
            one.put(ID, source)

    def test_a_server_that_is_away(self, tmp_path: Path) -> None:
        settings = ImageStore(type="s3", endpoint="http://127.0.0.1:9", bucket="b", access_key="a", secret_key="s")
        one = S3Store("far", settings)
        source = tmp_path / "source"
        source.write_bytes(DATA)
        for call in (one.check, lambda: one.put(ID, source), lambda: one.get(ID), lambda: one.delete(ID)):
            with pytest.raises(StoreError, match="can't be used: EndpointConnectionError"):
                call()

    @pytest.mark.parametrize(("code", "status", "kind"), [("AccessDenied", 403, Denied), ("QuotaExceeded", 403, Full)])
    def test_an_upload_that_is_refused(self, one: S3Store, tmp_path: Path, code: str, status: int, kind: Any) -> None:
        """boto3 wraps what the server says to an upload, and only there."""
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

        def refuse(**_: Any) -> Any:
            from botocore.awsrequest import AWSResponse

            answer = AWSResponse("", status, {"content-length": str(len(body))}, None)
            answer._content = body
            return answer

        one._client.meta.events.register("before-send.s3.PutObject", refuse)
        source = tmp_path / "source"
        source.write_bytes(DATA)
        with pytest.raises(kind):
            one.put(ID, source)


def _values(settings: ImageStore) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}
