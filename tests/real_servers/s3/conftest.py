"""A real S3 service: that of `RAG_TEST_S3`, or SeaweedFS from its wheel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.s3 import Bucket
from tests.support.seaweedfs import seaweedfs

MakeBucket = Callable[..., Bucket]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`RAG_TEST_S3=http://host:port` with `RAG_TEST_S3_ID` and `RAG_TEST_S3_KEY`, which may make and remove buckets."""
    if given := os.environ.get("RAG_TEST_S3"):
        keys = {"key_id": os.environ["RAG_TEST_S3_ID"], "secret": os.environ["RAG_TEST_S3_KEY"]}
        yield {"url": given.rstrip("/"), **keys}
        return
    folder: Path = tmp_path_factory.mktemp("seaweedfs")
    with seaweedfs(folder) as url:
        yield {"url": url}


@pytest.fixture
def make_bucket(service: dict[str, str]) -> Iterator[MakeBucket]:
    made: list[Bucket] = []

    def make(**more: Any) -> Bucket:
        made.append(Bucket.made(**service, **more))
        return made[-1]

    yield make
    for bucket in made:
        bucket.drop()
