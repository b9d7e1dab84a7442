"""Buckets and queues of moto's server, which is started once in each test process, or of a service given by URL."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config

from benchmarks.ports import free_port

KEY_ID, SECRET = "AKIDEXAMPLE", "a-secret-access-key"
ID_VARIABLE, SECRET_VARIABLE = "RAG_SECRET_TEST_S3_ID", "RAG_SECRET_TEST_S3_KEY"
REGION = "us-east-1"
_NUMBERS = itertools.count(1)


@cache
def moto_url() -> str:
    """The server of this process; it ends with it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = free_port()
    ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False).start()
    return f"http://127.0.0.1:{port}"


@cache
def client(service: str, url: str = "", key_id: str = KEY_ID, secret: str = SECRET) -> Any:
    """A client as others have them, not ours."""
    style = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    return botocore.session.Session().create_client(
        service, endpoint_url=url or moto_url(), region_name=REGION, aws_access_key_id=key_id,
        aws_secret_access_key=secret, config=style,
    )  # fmt: skip


@dataclass
class Bucket:
    """A bucket that a test fills. `url`, `key_id` and `secret` are the service's."""

    name: str
    url: str
    key_id: str = KEY_ID
    secret: str = SECRET

    @classmethod
    def made(cls, *, versioned: bool = False, url: str = "", key_id: str = KEY_ID, secret: str = SECRET) -> Bucket:
        bucket = cls(f"documents-{os.getpid()}-{next(_NUMBERS)}", url or moto_url(), key_id, secret)
        bucket.api.create_bucket(Bucket=bucket.name)
        if versioned:
            bucket.api.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        return bucket

    @property
    def api(self) -> Any:
        return client("s3", self.url, self.key_id, self.secret)

    def options(self, **more: Any) -> dict[str, Any]:
        """The options of the source; the secrets are set in the environment."""
        os.environ[ID_VARIABLE], os.environ[SECRET_VARIABLE] = self.key_id, self.secret
        keys = {"access_key_id": {"env": ID_VARIABLE}, "secret_access_key": {"env": SECRET_VARIABLE}}
        return {
            "kind": "s3", "bucket": self.name, "endpoint": self.url, "credentials": {"type": "keys", **keys}, **more
        }  # fmt: skip

    def put(self, key: str, content: bytes, **more: Any) -> str:
        """Write an object; returns its version id, empty in a bucket without versions."""
        said = self.api.put_object(Bucket=self.name, Key=key, Body=content, **more)
        return str(said.get("VersionId") or "")

    def put_many(self, texts: Mapping[str, str]) -> None:
        """Write small objects into moto itself: it takes no time, and any key."""
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        for key, text in texts.items():
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(self.name, key, text.encode())

    def delete(self, key: str) -> None:
        self.api.delete_object(Bucket=self.name, Key=key)

    def drop(self) -> None:
        """Remove the bucket with everything in it."""
        api = self.api
        for version in _versions(api.list_object_versions(Bucket=self.name)):
            api.delete_object(Bucket=self.name, Key=version["Key"], VersionId=version["VersionId"])
        api.delete_bucket(Bucket=self.name)


def _versions(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
