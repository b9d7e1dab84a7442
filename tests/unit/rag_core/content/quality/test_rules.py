from __future__ import annotations

import pytest

from rag_core.content.quality import RULES, QualityPolicy, assess, assess_text
from rag_core.content.quality.sources import Profile

PROSE = "The pump in hall four needs oil every nine days. Write the date and your initials into the book beside it. "


def fired(text: str, title: str = "") -> str | None:
    failure, _ = assess_text(text, title, QualityPolicy())
    return failure.rule.name if failure else None


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("empty_text", "--- *** ..."),
        ("empty_text", "？！。…"),
        ("error_page", "404 Not Found\nnginx/1.24"),
        ("error_page", "# 503 Service Unavailable\n\nThe server is busy."),
        ("error_page", "Error 500: Internal Server Error"),
        ("error_page", "Access denied"),
        ("error_page", "Just a moment...\nVerifying you are human."),
        ("error_page", "Please enable JavaScript to continue using this application."),
        ("error_page", 'Traceback (most recent call last):\n  File "x.py", line 1'),
        ("error_page", "页面不存在"),
        ("error_page", "系统维护中。"),
        ("mojibake", PROSE.replace("e", "é").encode().decode("cp1252", "replace")),
        ("mojibake", ("中文文档的内容" * 20).encode().decode("latin-1")),
        ("mojibake", ("中文文档的内容" * 20).encode("gbk").decode("latin-1")),
        ("mojibake", "锟斤拷" * 10),
        ("garbage_text", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo" * 40),
        ("garbage_text", "#$%^&*()!@ 1 " * 30),
        ("garbage_text", "The same line again.\n" * 1000),
    ],
)
def test_each_rule_fires_on_what_it_is_for(rule: str, text: str) -> None:
    assert fired(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        PROSE * 20 + "404 Not Found",
        "404 errors: how to configure the pages that nginx shows",
        "Not found errors in Apache are common, and this page says what to do about them.",
        "Access denied for user: what the message means and how to grant the right.",
        "Überprüfung größerer Räume, façade naïve, “Zitate” – und Ärger über 20 °C.",
        "Página não encontrada é uma mensagem. A ação está à direita; são três opções.",
        "水泵每九天需要加油一次。请在旁边的本子上写下日期和姓名。" * 4,
        "def f(x):\n    return {'a': [x + 1, x * 2], 'b': (x, -x)}\n\nprint(f(3))\n" * 3,
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n| five | six |\n| seven | eight |",
        "[![build](https://img.shields.io/badge/build-passing-green.svg)](https://example.org/a/b/c) Install it.",
        "7",
    ],
)
def test_good_text_passes(text: str) -> None:
    assert fired(text) is None


def test_the_title_can_give_an_error_page_away() -> None:
    assert fired("nginx", "502 Bad Gateway") == "error_page"


def test_severity_and_limit_are_the_sources_choice() -> None:
    text = "#$%^&*()!@ 1 " * 30
    failure, warnings = assess_text(text, "", QualityPolicy({"garbage_text": "warn"}))
    assert failure is None
    assert [found.flag for found in warnings] == ["quality:garbage_text"]
    assert assess_text(text, "", QualityPolicy({"garbage_text": "ignore"})) == (None, [])
    assert assess_text(text, "", QualityPolicy(limits={"garbage_text": 0.95})) == (None, [])


def test_a_long_text_is_judged_by_samples_in_little_time() -> None:
    assert fired(PROSE * 100_000) == "garbage_text"  # one paragraph a hundred thousand times
    assert fired("".join(f"Line {number} says {number * 7}. " for number in range(300_000))) is None


def test_other_severities_are_another_fingerprint_but_only_those_of_documents() -> None:
    plain = QualityPolicy().fingerprint
    assert QualityPolicy({"error_page": "warn"}).fingerprint != plain
    assert QualityPolicy({"size_drift": "error"}).fingerprint == plain


def test_drift_needs_enough_documents_and_something_to_compare_with() -> None:
    english, chinese = (
        Profile(30, languages={"en": 30}, median_bytes=100),
        Profile(30, languages={"zh": 30}, median_bytes=900),
    )
    policy = QualityPolicy()
    assert assess(chinese, None, policy).warnings == {}
    assert assess(chinese, english, policy).warnings == {"language_drift": 1.0, "size_drift": 9.0}
    few = Profile(5, languages={"zh": 5}, median_bytes=900)
    assert assess(few, english, policy).warnings == {}


def test_the_score_falls_with_every_finding_and_stays_between_0_and_100() -> None:
    policy = QualityPolicy()
    assert assess(Profile(), None, policy).score == 100
    assert assess(Profile(8, quarantined=2), None, policy).score == 80
    assert assess(Profile(10, flagged=2), None, policy).score == 90
    assert assess(Profile(10, zero_chunks=1), None, policy).score == 75
    assert assess(Profile(0, quarantined=10, bad_vectors=3), None, policy).score == 0


def test_every_document_rule_has_a_reason_and_a_measure() -> None:
    assert all(rule.reason for rule in RULES.values() if rule.scope == "document")
    assert all(rule.meaning.endswith(".") for rule in RULES.values())
