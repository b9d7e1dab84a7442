"""The tokens that docs/how-to/harden.md gives to query servers and pipelines, on a server with `service.jwt_rbac`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from rag_core.errors import RagError
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from tests.contract.index.conftest import SERVER, _server
from tests.support.index_points import SPEC, ask, document, filled

pytestmark = pytest.mark.real_servers


def _token(access: Any) -> str:
    key = os.environ.get("RAG_TEST_QDRANT_KEY")
    if not key:
        pytest.skip("needs RAG_TEST_QDRANT_KEY, which signs tokens")
    return jwt.encode({"access": access, "exp": int(time.time()) + 600}, key, algorithm="HS256")


@pytest.fixture
def pipeline(qdrant_url: str) -> Iterator[QdrantIndex]:
    """The index as a pipeline opens it: `"access": "m"`."""
    yield from _server(Path(), key=_token("m"))


def _reader(pipeline: QdrantIndex, access: Any) -> QdrantIndex:
    """The same index with another token."""
    assert SERVER is not None
    own = pipeline._collections.mine
    return QdrantIndex.connect(SERVER, _token(access), 30, installation=lambda: own)


@pytest.mark.parametrize("limited", [False, True], ids=["r", "r of its own collections"])
def test_a_reader_searches_and_changes_nothing(pipeline: QdrantIndex, limited: bool) -> None:
    filled(pipeline, document("a", ["wing flap"]))
    names = [pipeline._collections.name_of(SPEC.name), pipeline._collections.alias]
    reader = _reader(pipeline, [{"collection": name, "access": "r"} for name in names] if limited else "r")
    assert ask(reader, "wing") == ["wing flap"]
    for change in (
        lambda: reader.apply(SPEC.name, [document("b", ["tail"])]),
        lambda: reader.create(replace(SPEC, name="g2")),
        lambda: reader.promote(SPEC.name),
    ):
        with pytest.raises(RagError):
            change()
    reader.close()
    assert ask(pipeline, "tail") == ["wing flap"]


def test_a_token_that_does_not_name_the_alias_finds_nothing(pipeline: QdrantIndex) -> None:
    filled(pipeline, document("a", ["wing flap"]))
    own = [{"collection": pipeline._collections.name_of(SPEC.name), "access": "r"}]
    reader = _reader(pipeline, own)
    with pytest.raises(RagError):
        ask(reader, "wing")
    reader.close()
