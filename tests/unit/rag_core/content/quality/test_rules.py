from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from rag_core.content.parsing import open_parser
from rag_core.content.quality import RULES, QualityPolicy, assess, assess_text
from rag_core.content.quality import store as quality
from rag_core.content.quality.sources import Profile
from rag_core.errors import Reason
from rag_core.settings import Settings
from tests.support.pipeline import PipelineHarness, prose

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


ERROR_PAGE = "502 Bad Gateway\n\nnginx"


@pytest.mark.catalogue("F07")
def test_a_bad_document_goes_to_quarantine_and_the_rest_is_indexed(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1))
    flow.connector.put("b.txt", ERROR_PAGE)
    counts = flow.run()
    assert (counts.indexed, counts.quarantined, counts.balanced) == (1, 1, True)
    row = flow.quarantined()["b.txt"]
    assert (row.stage, row.reason) == ("parse", Reason.QUALITY_ERROR_PAGE)
    assert flow.quality is not None
    assert (flow.quality.score, flow.quality.failed, flow.quality.tried, flow.quality.good) == (50.0, 1, 2, True)


def test_an_error_page_does_not_replace_what_was_known(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1))
    flow.run()
    flow.connector.put("a.txt", ERROR_PAGE)
    flow.run()
    assert "Paragraph 0" in flow.indexed_text()["a.txt"]


def test_a_rule_that_warns_flags_the_document(flow: PipelineHarness) -> None:
    flow.source = replace(flow.source, quality=QualityPolicy({"error_page": "warn"}))
    flow.connector.put("a.txt", ERROR_PAGE)
    flow.run()
    assert flow.row("a.txt").flags == ["quality:error_page"]
    assert flow.quality is not None
    assert flow.quality.score == 50.0


def test_another_policy_judges_every_document_again(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", ERROR_PAGE)
    flow.run()
    assert "a.txt" in flow.quarantined()
    flow.source = replace(flow.source, quality=QualityPolicy({"error_page": "ignore"}))
    assert flow.run().indexed == 1
    assert flow.quarantined() == {}
    flow.source = replace(flow.source, quality=QualityPolicy())
    flow.run()
    assert "a.txt" in flow.quarantined()


def test_too_many_failures_exceed_the_threshold_and_the_next_run_without_new_ones_does_not(
    flow: PipelineHarness,
) -> None:
    flow.source = replace(flow.source, quality=QualityPolicy(max_failed_share=0.4, max_failed_minimum=3))
    for number in range(3):
        flow.connector.put(f"{number}.txt", prose(number))
        flow.connector.put(f"bad{number}.txt", ERROR_PAGE + str(number))
    flow.run()
    assert flow.quality is not None
    assert (flow.quality.failed, flow.quality.tried, flow.quality.exceeded, flow.quality.good) == (3, 6, True, False)
    flow.connector.fetched.clear()
    flow.run()
    assert flow.connector.fetched == [f"bad{number}.txt" for number in range(3)]  # tried again
    assert (flow.quality.failed, flow.quality.exceeded, flow.quality.score) == (0, False, 50.0)
    # A release with another parser tries them once more, while the text of the others stays as it is.
    with closing(open_parser(Settings(ocr="off", max_text_chars=1_000_000))) as flow.parser:
        flow.run()
    assert (flow.quality.failed, flow.quality.exceeded) == (0, False)


def test_a_source_that_cannot_be_read_exceeds_the_threshold_in_every_run(flow: PipelineHarness) -> None:
    flow.source = replace(flow.source, quality=QualityPolicy(max_failed_share=0.4, max_failed_minimum=3))
    for number in range(3):
        flow.connector.put(f"{number}.txt", prose(number))
        flow.connector.unreachable.add(f"{number}.txt")
    for _ in range(3):
        flow.run()
        assert flow.quality is not None
        assert (flow.quality.failed, flow.quality.exceeded) == (3, True)


def test_a_run_is_compared_with_the_last_good_one(flow: PipelineHarness) -> None:
    for number in range(25):
        flow.connector.put(f"{number}.txt", prose(number))
    flow.run("first")
    for number in range(25):
        flow.connector.put(f"{number}.txt", f"第{number}份文件说明了水泵需要定期加油和维护。" * 2)
    flow.run("second")
    assert flow.quality is not None
    assert flow.quality.warnings["language_drift"] == 1.0
    assert flow.quality.score == 81.0  # two warnings: the size is another too
    flow.run("third")
    assert flow.quality.warnings == {}
    with flow.store.engine.connect() as connection:
        (latest,) = quality.latest(connection)
    assert (latest.source, latest.score) == ("handbook", 100.0)


def test_copies_of_one_text_are_counted(flow: PipelineHarness) -> None:
    for number in range(4):
        flow.connector.put(f"{number}.txt", prose(1))
    flow.run()
    assert flow.quality is not None
    assert flow.quality.warnings == {"duplicate_ratio": 0.75}


def test_stored_vectors_of_the_wrong_size_and_documents_without_chunks_are_errors(flow: PipelineHarness) -> None:
    flow.connector.put("a.txt", prose(1))
    flow.run("run")
    with flow.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.embeddings SET vector = substr(vector, 5)")
        connection.exec_driver_sql("UPDATE rag.chunkings SET chunk_count = 0")
    again = flow.run("run")
    assert again.read == 1
    assert flow.quality is not None
    assert set(flow.quality.errors) == {"bad_vectors", "zero_chunks"}
    assert flow.quality.score == 56.2
