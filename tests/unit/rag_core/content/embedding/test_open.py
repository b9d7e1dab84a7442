"""Choosing and preparing an embedder from the settings. The fake is good enough to test retrieval with. What leaves an
embedder is usable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag_core.content.embedding import open_embedder, prepare_model
from rag_core.content.embedding.base import clean, unit_rows
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.content.embedding.openai_http import OpenAIEmbedder
from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.settings import Settings


def openai_settings(**more: object) -> Settings:
    values = {"embedder": "openai", "embed_url": "http://127.0.0.1:9/v1", "embed_model": "m", "embed_dimensions": 3}
    return Settings(**(values | more))  # type: ignore[arg-type]


def test_settings_choose_the_embedder() -> None:
    assert isinstance(open_embedder(Settings(embedder="fake")), FakeEmbedder)
    remote = open_embedder(openai_settings())
    assert isinstance(remote, OpenAIEmbedder)
    remote.close()


@pytest.mark.catalogue("B73")
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"embed_url": "ftp://host/v1"}, Reason.CONFIG_INVALID),
        ({"embed_url": "host/v1"}, Reason.CONFIG_INVALID),
        ({"embed_url": "http://host:port/v1"}, Reason.CONFIG_INVALID),
        ({"embed_url": "https://user:secret@host/v1"}, Reason.SECRET_INLINE_FORBIDDEN),
        ({"embed_api_key": "clé\nX-Other: 1"}, Reason.CONFIG_INVALID),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_refused_without_showing_its_secret(
    more: dict[str, str], reason: Reason
) -> None:
    with pytest.raises(ConfigError) as caught:
        open_embedder(openai_settings(**more))
    assert caught.value.reason == reason
    assert "secret" not in str(caught.value)
    assert "clé" not in str(caught.value)


def test_preparing_reports_each_step_and_can_be_repeated(model_home: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    prepare_model(Settings(home=model_home), lambda done, total: steps.append((done, total)))
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_an_endpoint_needs_only_the_tokenizer(tmp_path: Path) -> None:
    prepare_model(openai_settings(home=tmp_path))
    assert [path.suffix for path in (tmp_path / "models").glob("e5-*")] == [".model"]


def test_similar_texts_are_more_similar_than_unrelated_ones() -> None:
    vectors = FakeEmbedder().embed_passages(["the quick brown fox", "a quick brown fox runs", "invoice 2024 overdue"])
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.2


def test_two_versions_are_two_models() -> None:
    first, second = FakeEmbedder(), FakeEmbedder(version="2")
    assert first.fingerprint != second.fingerprint
    assert (first.embed_queries(["text"]) != second.embed_queries(["text"])).any()


def test_rows_come_out_with_length_one_as_float32() -> None:
    vectors = unit_rows(np.array([[3.0, 4.0], [1e300, 0.0], [0.0, 1e-200]]), rows=3, dimensions=2)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [1, 0], [0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((2, 3)),
        np.ones((1, 3)),
        np.ones((2, 4)),
        np.ones(6),
        np.array([[1, np.nan, 1], [1, 1, 1]]),
        np.array([[1, np.inf, 1], [1, 1, 1]]),
    ],
    ids=["zero", "few", "wide", "flat", "nan", "infinite"],
)
def test_unusable_vectors_are_refused(vectors: np.ndarray) -> None:
    with pytest.raises(Unavailable) as caught:
        unit_rows(vectors, rows=2, dimensions=3)
    assert caught.value.reason == Reason.EMBEDDER_RESPONSE


@pytest.mark.catalogue("B11")
def test_lone_surrogates_become_question_marks_and_nothing_else_changes() -> None:
    assert clean("a\ud800b\U0001f600\x00") == "a?b\U0001f600\x00"
