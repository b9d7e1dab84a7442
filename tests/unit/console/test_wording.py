"""Both languages say everything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import console
from console.components.document_actions import ERASE, REINDEX
from console.components.source_wizard import SCHEDULES
from console.i18n import explain_reason, language_of, translate
from console.i18n.zh import CHINESE
from console.i18n.zh_reasons import IN_RUNS, REASONS
from console.presenters import (
    answers,
    deployments,
    documents,
    evaluation,
    generations,
    health,
    history,
    new_source,
    pipeline,
    retrieval,
    source_history,
    sources,
    traffic,
)
from console.presenters.conditions import remedy
from rag_core import reasons
from rag_core.errors import Reason
from rag_core.ingestion.source_status import SENTENCES
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

ROOT = Path(console.__file__).parent
FIELDS = re.compile(r"\{(\w+)\}")


def sentences() -> Iterator[str]:
    """Every literal that is handed to a translating function."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="t" | "word" | "Todo"), args=[ast.Constant(value=str(text)), *_]):
                    yield text
                case ast.Call(func=ast.Name(id="Reason"), args=[_, ast.Constant(value=str(text)), *_]):
                    yield text


def words() -> set[str]:
    """What pages translate through a variable."""
    forecast = generations.forecast_fields(admin_pb2.BuildForecast(cost=1), str.format)
    labels = {label for label, _ in [*forecast, *sources.source_fields(ops.SourceDetail())]}
    labels |= {label for label, _ in documents.facts(ops.InspectDocumentResponse())}
    rows = {
        *documents.STATES.values(),
        *documents.EVENTS.values(),
        *answers.ABSTENTIONS.values(),
        *pipeline.MARKS,
        *pipeline.STAGES,
    }
    kinds = {text for kind in new_source.KINDS for text in (kind.title, kind.about, *(f.label for f in kind.fields))}
    return {
        *labels,
        *(label for _, label in (*documents.ORDERS.values(), *documents.PERIODS.values())),
        *(sentence for sentence, _ in documents.readers(ops.InspectDocumentResponse(acl=["user:x", "group:x", "all"]))),
        *("First stored", ERASE, REINDEX, "Look", "See why and retry"),
        *health.ACTIONS.values(),
        *health.ALERTS.values(),
        *("no heartbeat: {names}", "does not load: {names}", "service unavailable, {names}"),
        *source_history.CHANGES,
        *source_history.OUTCOMES.values(),
        *kinds,
        *SCHEDULES.values(),
        *_WIZARD,
        *rows,
        *generations.GATES,
        *evaluation.ORIGINS.values(),
        *evaluation.QUESTION_ORIGINS.values(),
        *evaluation.GRADES.values(),
        *evaluation.COLUMNS.values(),
        *evaluation.STATES,
        *deployments.STATES.values(),
        *traffic.LIMITS.values(),
        *history.WORDS,
        *_SPANS,
        *sources.COUNTS,
        *(answers.PLACE, answers.PAGE, *answers.PAGES.values()),
        *retrieval.SENTENCES.values(),
        *retrieval.MODE_NAMES.values(),
        *retrieval.RERANK.values(),
        *_PLAIN,
    }


_WIZARD = {
    *("Kind", "Connection", "Preview", "Access", "Schedule", "Review", "First run"),
    *("Name at least one group or person.", "Choose fewer files."),
    *new_source.connection_problems(new_source.KINDS[0], "", "", {"root": "x", "include": ""}),
    *new_source.connection_problems(new_source.BY_NAME["sql"], "", "", {"database.password": "hunter2"}),
    *new_source.acl_problems(["role:x"]),
    *new_source.schedule_problems("99 99", "Mars/Base"),
    *new_source.schedule_problems("99 99 * * *", "UTC"),
}
_SPANS = ("Now", "1 hour", "24 hours", "7 days")
_PLAIN = {
    *("sensor", "schedule", "passed", "failed", "blocking", "warn"),
    *("active", "building", "ready", "retired", "healthy", "unhealthy", "critical", "warning"),
    *("local", "kubernetes", "switch", "rollback", "error", "viewer", "operator", "admin"),
}


def test_every_sentence_has_a_chinese_translation() -> None:
    assert sorted({*sentences(), *words()} - CHINESE.keys()) == []


def test_no_list_shows_words_of_streamlit_while_nothing_is_chosen() -> None:
    calls = [
        node
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "multiselect"
    ]
    assert calls
    assert [node.lineno for node in calls if "placeholder" not in {one.arg for one in node.keywords}] == []


def test_every_state_of_a_source_is_said_in_chinese() -> None:
    assert sorted({*SENTENCES.values()} - CHINESE.keys()) == []


def test_every_reason_code_is_explained_in_chinese() -> None:
    missing = {reason.value for reason in Reason} - REASONS.keys()
    assert not missing, f"say these reason codes in Chinese, in console/i18n/zh_reasons.py: {sorted(missing)}"
    assert not REASONS.keys() - {reason.value for reason in Reason}


def test_in_chinese_too_only_a_run_says_what_happens_next() -> None:
    missing = sorted({str(code) for code in reasons.IN_RUNS} ^ IN_RUNS.keys())
    assert not missing, f"what a run does next is not said in one of the languages: {missing}"
    assert [code for code, said in REASONS.items() if "下次运行" in said or "会自动重试" in said] == [
        "KEYS_UNAVAILABLE"
    ]
    assert explain_reason("zh", "UNREADABLE", in_run=True) == REASONS["UNREADABLE"] + IN_RUNS["UNREADABLE"]


def test_what_to_do_about_a_source_is_said_in_the_language_of_the_page() -> None:
    failed = admin_pb2.SourceCondition(reason="SOURCE_DENIED", remedy="Check the secret and the grants.")
    assert remedy(failed, "en") == failed.remedy
    assert remedy(failed, "zh") == REASONS["SOURCE_DENIED"]
    stale = admin_pb2.SourceCondition(remedy="See `rag source history a`, then `rag source sync a`.")
    assert remedy(stale, "zh") == "`rag source history a` `rag source sync a`"


def test_a_translation_has_the_same_fields_as_its_sentence() -> None:
    wrong = [
        text for text, chinese in CHINESE.items() if sorted(FIELDS.findall(text)) != sorted(FIELDS.findall(chinese))
    ]
    assert wrong == []


def test_a_sentence_without_translation_stays_english() -> None:
    assert translate("zh", "no such sentence {n}", n=1) == "no such sentence 1"


@pytest.mark.parametrize(("preferred", "language"), [
    ("zh-CN", "zh"), ("fr-FR, zh;q=0.8, en;q=0.5", "zh"), ("en-GB", "en"), ("fr", "en"), ("", "en"),
])  # fmt: skip
def test_the_language_is_the_first_preferred_one_that_there_is(preferred: str, language: str) -> None:
    assert language_of(preferred) == language


def test_no_page_is_longer_than_150_lines_or_renders_html() -> None:
    for path in ROOT.rglob("*.py"):
        text = path.read_text("utf-8")
        assert "unsafe_allow" not in text, path
        assert "st.html" not in text, path
        if path.parent.name == "screens":
            assert len(text.splitlines()) <= 150, path
