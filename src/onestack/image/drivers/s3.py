"""Images in a bucket of an S3 server: https://docs.aws.amazon.com/AmazonS3/latest/API/.

boto3 signs (SigV4), splits large objects (multipart; nobody sees an upload that wasn't completed) and tries again.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from onestack.config import ImageStore
from onestack.image.drivers.base import CHUNK, Denied, Full, Missing, Store, StoreError

_LARGE = 100 << 20  # bytes from which an object goes up in parts
_PART = 64 << 20  # bytes of a part; 10,000 parts are allowed, so 640 GB
_THREADS = 4


class S3Store(Store):
    type = "s3"
    schemes = ("s3", "s3+http", "s3+https")
    external = True

    def __init__(self, name: str, settings: ImageStore, *, large: int = _LARGE, part: int = _PART) -> None:
        super().__init__(name, settings)
        self._transfer = TransferConfig(large, _THREADS, multipart_chunksize=part)
        self._client: Any = boto3.session.Session().client(
            "s3", endpoint_url=settings.endpoint, region_name=settings.region or "us-east-1",
            aws_access_key_id=settings.access_key, aws_secret_access_key=settings.secret_key,
            config=Config(
                signature_version="s3v4", s3={"addressing_style": "path"}, connect_timeout=10, read_timeout=60,
                retries={"max_attempts": 3, "mode": "standard"},
                # Servers that aren't Amazon's often know no other checksum than that of SigV4.
                request_checksum_calculation="when_required", response_checksum_validation="when_required",
            ),
        )  # fmt: skip
        parts = urllib.parse.urlsplit(settings.endpoint)
        self._prefix = f"s3+{parts.scheme}://{parts.netloc}/{settings.bucket}/"

    def check(self) -> None:
        try:
            with _errors():
                self._client.head_bucket(Bucket=self.settings.bucket)
        except Missing as error:
            raise StoreError(f"the S3 server has no bucket {self.settings.bucket}") from error

    def put(self, key: str, source: Path) -> None:
        with _errors():
            self._client.upload_file(str(source), self.settings.bucket, key, Config=self._transfer)

    def get(self, key: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        wanted = {} if not first and last is None else {"Range": f"bytes={first}-{'' if last is None else last}"}
        with _errors():
            answer = self._client.get_object(Bucket=self.settings.bucket, Key=key, **wanted)
        return _chunks(answer["Body"])

    def size(self, key: str) -> int:
        with _errors():
            return int(self._client.head_object(Bucket=self.settings.bucket, Key=key)["ContentLength"])

    def delete(self, key: str) -> None:
        with _errors():
            self._client.delete_object(Bucket=self.settings.bucket, Key=key)
            # Parts of an upload that a crash cut off are invisible, but they take room.
            answer = self._client.list_multipart_uploads(Bucket=self.settings.bucket, Prefix=key)
            for upload in answer.get("Uploads", ()):
                if upload["Key"] == key:
                    self._client.abort_multipart_upload(
                        Bucket=self.settings.bucket, Key=key, UploadId=upload["UploadId"]
                    )

    def url(self, key: str) -> str:
        return self._prefix + key

    def key_of(self, url: str) -> str | None:
        key = url.removeprefix(self._prefix)
        return key if key and key != url else None

    def properties(self) -> dict[str, Any]:
        return {
            "s3_store_large_object_size": _LARGE >> 20, "s3_store_large_object_chunk_size": _PART >> 20,
            "s3_store_thread_pools": _THREADS,
        }  # fmt: skip


def _chunks(body: Any) -> Iterator[bytes]:
    try:
        with _errors():
            yield from body.iter_chunks(CHUNK)
    finally:
        body.close()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except botocore.exceptions.ClientError as error:
        raise _meaning(error) from error
    except S3UploadFailedError as error:
        if isinstance(error.__context__, botocore.exceptions.ClientError):
            raise _meaning(error.__context__) from error
        raise StoreError("the S3 server didn't take the object") from error
    except botocore.exceptions.BotoCoreError as error:
        raise StoreError(f"the S3 server can't be used: {type(error).__name__}") from error


def _meaning(error: botocore.exceptions.ClientError) -> StoreError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in ("404", "NoSuchKey", "NoSuchUpload"):
        return Missing("there is no such object")
    if code in ("403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
        return Denied("the S3 server refuses our key")
    if code in ("QuotaExceeded", "XMinioStorageFull", "EntityTooLarge"):
        return Full("the S3 server has no room")
    return StoreError(f"the S3 server answers {code}")
