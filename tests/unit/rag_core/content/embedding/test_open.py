"""Choosing and preparing an embedder from the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_core.content.embedding import open_embedder, prepare_model
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.content.embedding.openai_http import OpenAIEmbedder
from rag_core.errors import ConfigError, Reason
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
