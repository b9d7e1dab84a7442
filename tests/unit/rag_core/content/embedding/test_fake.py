"""The fake is good enough to test retrieval with."""

from __future__ import annotations

from rag_core.content.embedding.fake import FakeEmbedder


def test_similar_texts_are_more_similar_than_unrelated_ones() -> None:
    vectors = FakeEmbedder().embed_passages(["the quick brown fox", "a quick brown fox runs", "invoice 2024 overdue"])
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.2


def test_two_versions_are_two_models() -> None:
    first, second = FakeEmbedder(), FakeEmbedder(version="2")
    assert first.fingerprint != second.fingerprint
    assert (first.embed_queries(["text"]) != second.embed_queries(["text"])).any()
