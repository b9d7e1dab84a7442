"""Runs are compared with each other only when the same answerer gave the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag_core.answering import answerer_fingerprint
from rag_core.settings import Settings

MODEL: dict[str, Any] = {"answerer": "openai", "answer_url": "http://127.0.0.1:1/v1", "answer_model": "m"}


def made(**changes: Any) -> str:
    return answerer_fingerprint(Settings(**(MODEL | changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"answer_model": "n"},
        {"answerer": "extractive"},
        {"answer_strictness": 1},
        {"answer_prompt": "Be brief."},
        {"answer_sections": 3},
        {"reranker_url": "http://127.0.0.1:1/rerank"},
        {"rerank_candidates": 20},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_changes_answers_changes_it(changes: dict[str, Any]) -> None:
    assert made(**changes) != made()


@pytest.mark.parametrize(
    "changes",
    [
        {"answer_api_key": "key"},
        {"answer_timeout_seconds": 9},
        {"answer_price_prompt": 1, "answer_price_completion": 2, "answer_currency": "EUR"},
        {"answer_cache_entries": 0},
        {"reranker_api_key": "key"},
        {"reranker_request_texts": 8},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_keys_limits_and_prices_do_not_change_it(changes: dict[str, Any]) -> None:
    assert made(**changes) == made()


def test_another_text_in_the_prompt_file_changes_it(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("Be brief.")
    before = made(answer_prompt_file=file)
    assert before == made(answer_prompt="Be brief.")
    file.write_text("Be polite.")
    assert made(answer_prompt_file=file) != before
