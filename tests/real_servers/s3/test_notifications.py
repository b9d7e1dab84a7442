"""docs/how-to/add-an-s3-source.md: a real service announces through the gateway what changed in a bucket."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from rag_assets.config import SourceConfig
from rag_assets.stream_worker.object_events import ObjectNotices
from rag_core.database import open_store
from rag_core.settings import Settings
from tests.support.query_server import Doc, running
from tests.support.s3 import Bucket
from tests.support.seaweedfs import seaweedfs
from tests.support.stream import StreamHarness
from tests.support.waiting import eventually
from tests.support.wire import gateway_options, running_envoy
from tests.unit.rag_assets.stream_worker.conftest import stream  # noqa: F401

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(900)]
NAME = "handbook"
WEBHOOK = """[notification.webhook]
enabled = true
endpoint = "http://{gateway}/api/v1/sources/bucket/object-events"
bearer_token = "{token}"
path_prefixes = ["/buckets/{bucket}/"]
"""


def test_objects_are_found_and_gone_when_seaweedfs_says_so(stream: StreamHarness, tmp_path: Path) -> None:  # noqa: F811
    reachable = {"fetch_allow_networks": "127.0.0.0/8", "fetch_ports": "1-65535"}
    stream.settings = stream.settings.model_copy(update=reachable)
    own = Settings(home=tmp_path, database_url=stream.settings.database_url)
    docs = [Doc("Without any the server is not ready.")]
    with running(tmp_path / "server", docs=docs, open_store=lambda: open_store(own, or_newer=True)) as server:
        options = replace(gateway_options(server.ports.query), max_seconds=31)
        token = server.keys.token(scopes=["documents.write"])
        (tmp_path / "files").mkdir()
        with running_envoy(options, tmp_path) as gateway:
            webhook = WEBHOOK.format(gateway=gateway, token=token, bucket=NAME)
            with seaweedfs(tmp_path / "files", webhook) as url:
                _announced(stream, url)


def _announced(stream: StreamHarness, url: str) -> None:  # noqa: F811
    bucket, stopping = Bucket(NAME, url), threading.Event()
    attributes = {"name": "bucket", "tenant": "acme", "acl": ["everyone"], "options": bucket.options(attempts=1)}
    config = SourceConfig.model_validate(attributes)
    stream.flow.source = config.source
    with stream.store.engine.begin() as connection:
        statement = "INSERT INTO rag.sources (tenant, name, kind, shards) VALUES ('acme', 'bucket', 's3', 1)"
        connection.exec_driver_sql(statement)
    notices = ObjectNotices([config], stream, lambda _, __: None)  # type: ignore[arg-type]
    thread = threading.Thread(target=notices.run, args=(stopping,))
    thread.start()
    try:
        bucket.api.create_bucket(Bucket=NAME)
        bucket.put("手册/pump 7+.txt", b"Pump 7 needs oil.")
        bucket.put("gone.txt", b"Pump 8 needs none.")
        in_parts(bucket, "parts.txt", b"Pump 9 needs water.")
        assert eventually(lambda: stream.texts().keys() == {"手册/pump 7+.txt", "gone.txt", "parts.txt"}), (
            stream.texts()
        )
        bucket.put("parts.txt", b"Pump 9 needs grease.")
        bucket.delete("gone.txt")
        left = {"手册/pump 7+.txt": "Pump 7 needs oil.", "parts.txt": "Pump 9 needs grease."}
        assert eventually(lambda: stream.texts() == left), stream.texts()
        assert eventually(lambda: stream.all("SELECT FROM rag.object_notices") == [])
    finally:
        stopping.set()
        thread.join(30)


def in_parts(bucket: Bucket, key: str, content: bytes) -> None:
    """As clients write large objects: the service keeps the parts beside the bucket's own files until then."""
    place = {"Bucket": bucket.name, "Key": key}
    upload = bucket.api.create_multipart_upload(**place)["UploadId"]
    tag = bucket.api.upload_part(**place, UploadId=upload, PartNumber=1, Body=content)["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    bucket.api.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
