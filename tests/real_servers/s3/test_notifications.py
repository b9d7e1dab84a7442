"""docs/how-to/add-an-s3-source.md: a real service announces through the gateway what changed in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml

from rag_core.settings import Settings
from tests.support.local_stack import LocalStack
from tests.support.s3 import ID_VARIABLE, KEY_ID, SECRET, SECRET_VARIABLE, Bucket
from tests.support.seaweedfs import seaweedfs
from tests.support.waiting import eventually

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(900)]
NAME = "handbook"
WEBHOOK = """[notification.webhook]
enabled = true
endpoint = "http://127.0.0.1:{port}/api/v1/sources/bucket/object-events"
bearer_token = "{key}"
path_prefixes = ["/buckets/{bucket}/"]
"""


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStack]:
    for name, value in ((ID_VARIABLE, KEY_ID), (SECRET_VARIABLE, SECRET)):
        monkeypatch.setenv(name, value)
    reachable = {"FETCH_ALLOW_NETWORKS": "127.0.0.0/8", "FETCH_PORTS": "1-65535"}
    made = LocalStack(extra={"EMBEDDER": "fake", **reachable})
    (made.docs / "other.md").write_text("# Another source\n\nIt stays as it is.\n", "utf-8")
    yield made
    made.close()


def test_objects_are_found_and_gone_when_seaweedfs_says_so(stack: LocalStack, tmp_path: Path) -> None:
    stack.up()
    code, made = stack.rag("key", "create", "bucket-events", "--scope", "documents.write")
    assert code == 0, made
    webhook = WEBHOOK.format(port=stack.environment["RAG_GATEWAY_PORT"], key=made["key"], bucket=NAME)
    with seaweedfs(tmp_path, webhook) as url:
        bucket = Bucket(NAME, url)
        bucket.api.create_bucket(Bucket=NAME)
        bucket.put("first.md", b"# Pump 6\n\nThe walrus pump needs grease.\n")
        attributes = {"name": "bucket", "tenant": "default", "acl": ["everyone"], "options": bucket.options()}
        attributes["sensor"] = {"interval_seconds": 3600}
        document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
        (stack.home / "sources" / "bucket.yaml").write_text(yaml.safe_dump(document))
        for command in (("reload",), ("sync", "bucket")):
            code, said = stack.rag("source", *command, seconds=600)
            assert code == 0, said
        # From here on nothing but an event makes anybody look.
        assert eventually(lambda: found(stack) == {"first.md"}), found(stack)
        bucket.put("手册/pump 7+.md", b"# Pump 7\n\nThe walrus pump needs oil.\n")
        bucket.put("gone.md", b"# Pump 8\n\nThe walrus pump needs none.\n")
        in_parts(bucket, "parts.md", b"# Pump 9\n\nThe walrus pump needs water.\n")
        assert eventually(lambda: found(stack) == {"first.md", "手册/pump 7+.md", "gone.md", "parts.md"}), found(stack)
        bucket.delete("gone.md")
        assert eventually(lambda: found(stack) == {"first.md", "手册/pump 7+.md", "parts.md"}), found(stack)
        assert eventually(lambda: waiting(stack) == 0)


def in_parts(bucket: Bucket, key: str, content: bytes) -> None:
    """As clients write large objects: the service keeps the parts beside the bucket's own files until then."""
    place = {"Bucket": bucket.name, "Key": key}
    upload = bucket.api.create_multipart_upload(**place)["UploadId"]
    tag = bucket.api.upload_part(**place, UploadId=upload, PartNumber=1, Body=content)["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    bucket.api.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)


def found(stack: LocalStack) -> set[str]:
    """Locators of the source's documents that a search shows."""
    gateway = f"http://127.0.0.1:{stack.environment['RAG_GATEWAY_PORT']}"
    headers = {"authorization": f"Bearer {(stack.home / 'secrets' / 'dev-token').read_text().strip()}"}
    asked = {"query": "walrus pump", "top_k": 50}
    said = httpx.post(f"{gateway}/api/v2/search", json=asked, headers=headers, timeout=30, trust_env=False).json()
    return {passage["locator"] for passage in said["passages"] if passage["source"] == "bucket"}


def waiting(stack: LocalStack) -> int:
    """Names of objects that nobody has looked at yet."""
    settings = Settings.load(home=stack.home, postgres_port=int(stack.environment["RAG_POSTGRES_PORT"]))
    with psycopg.connect(settings.effective_database_url) as connection:
        (count,) = connection.execute("SELECT count(*) FROM rag.object_notices").fetchone() or (-1,)
    return int(count)
