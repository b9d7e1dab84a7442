"""Settings are read strictly, and what is wrong is named before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag_core.errors import ConfigError, Reason
from rag_core.platform import usable_cores
from rag_core.settings import Settings


@pytest.mark.catalogue("B72")
@pytest.mark.parametrize(
    "given",
    [
        {"allowed_hosts": "https://dagster.example.org"},
        {"allowed_hosts": "dagster:3000"},
        {"allowed_hosts": "a,*.example.org"},
        {"dagster_origins": "dagster.example.org"},
        {"dagster_origins": "https://dagster.example.org/"},
        {"dagster_origins": "null"},
    ],
    ids=str,
)
def test_a_host_or_origin_in_another_form_is_refused_and_not_ignored(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"RAG_{name.upper()}", value)
        with pytest.raises(ConfigError, match=f"RAG_{name.upper()}"):
            Settings.load()
    monkeypatch.setenv(f"RAG_{next(iter(given)).upper()}", "")
    monkeypatch.setenv("RAG_ALLOWED_HOSTS", "Dagster.example.org,,stream,")
    assert Settings.load().allowed_hosts == {"dagster.example.org", "stream"}


@pytest.mark.catalogue("B71")
@pytest.mark.parametrize(
    ("given", "named", "reason"),
    [
        ({"chunk_tokens": 0}, "RAG_CHUNK_TOKENS", Reason.CONFIG_RANGE),
        ({"chunk_tokens": -1}, "RAG_CHUNK_TOKENS", Reason.CONFIG_RANGE),
        ({"chunk_tokens": 10**9}, "RAG_CHUNK_TOKENS", Reason.CONFIG_RANGE),
        ({"chunk_overlap": -1}, "RAG_CHUNK_OVERLAP", Reason.CONFIG_RANGE),
        ({"chunk_tokens": 200, "chunk_overlap": 200}, "chunk_overlap", Reason.CONFIG_RANGE),
        ({"chunk_tokens": 200, "chunk_overlap": 101}, "chunk_overlap", Reason.CONFIG_RANGE),
        (
            {"default_deadline_seconds": 50, "max_deadline_seconds": 40},
            "default_deadline_seconds",
            Reason.CONFIG_RANGE,
        ),
        (
            {"chunk_tokens": 0, "embedder": "magic"},
            r"RAG_CHUNK_TOKENS.*RAG_EMBEDDER|RAG_EMBEDDER.*RAG_CHUNK_TOKENS",
            Reason.CONFIG_INVALID,
        ),
    ],
)
def test_every_problem_is_named_and_one_that_is_no_range_decides_the_reason(
    given: dict[str, Any], named: str, reason: Reason
) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        Settings.load(**given)
    assert caught.value.reason is reason


def test_the_environment_comes_before_the_file_and_both_are_read_as_their_fields_want(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stack.env").write_text(
        "RAG_LOG_LEVEL=ERROR\nrag_traces=true\nRAG_QUERY_PORT=5\nUNKNOWN=1\nRAG_NONE=1\n"
    )
    allowances = '{"acme": {"roots": ["/srv"]}}'
    given = {"QUERY_PORT": "7", "METADATA_FIELDS": "a,b", "EMBEDDER": "", "SOURCE_ALLOWANCES": allowances}
    for name, value in given.items():
        monkeypatch.setenv(f"RAG_{name}", value)
    found = Settings.load(home=tmp_path)
    assert (found.log_level, found.traces, found.query_port) == ("ERROR", True, 7)
    assert (found.metadata_fields, found.embedder) == (frozenset("ab"), "onnx")
    assert found.source_allowances["acme"].roots == ("/srv",)


def test_what_is_no_json_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_SOURCE_ALLOWANCES", "{acme")
    with pytest.raises(ConfigError, match="RAG_SOURCE_ALLOWANCES") as caught:
        Settings.load()
    assert caught.value.reason is Reason.CONFIG_INVALID


@pytest.mark.parametrize(
    ("given", "searches", "answers"),
    [
        ({}, 16 * usable_cores(), 2 * usable_cores()),
        ({"max_concurrent_searches": 3, "max_concurrent_answers": 5}, 3, 5),
        ({"qdrant_url": "http://127.0.0.1:6334"}, 32, 2 * usable_cores()),
        ({"answerer": "openai", "answer_url": "https://example.org/v1", "answer_model": "m"}, 16 * usable_cores(), 16),
    ],
    ids=["local", "given", "search elsewhere", "model elsewhere"],
)
def test_calls_in_progress_follow_the_cores_unless_they_wait_for_other_machines(
    given: dict[str, Any], searches: int, answers: int
) -> None:
    settings = Settings(**given)
    assert (settings.search_slots, settings.answer_slots) == (searches, answers)
