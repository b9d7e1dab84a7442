"""The overview page, run by Streamlit's own test harness against a scripted platform."""

from __future__ import annotations

import grpc
import pytest
from streamlit.testing.v1 import AppTest

from ragproto.admin.v1 import admin_pb2
from ragproto.query.v2 import query_pb2 as v2
from tests.unit.console.conftest import APP, Platform

HOSTILE = (
    "<img src=x onerror=alert(1)> [click](javascript:alert(1)) ![](http://attacker.example/?q=1) **bold** $x$ :red[y]"
)


@pytest.fixture
def app(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    import streamlit as st

    for name, value in platform.environment.items():
        monkeypatch.setenv(name, value)
    st.cache_resource.clear()  # clients of another test's platform
    return AppTest.from_file(str(APP), default_timeout=30)


def _ask(app: AppTest, question: str) -> AppTest:
    app.run()
    app.text_area[0].input(question)
    return app.button[0].click().run()


def test_a_healthy_platform_shows_its_figures(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.status = admin_pb2.GetStatusResponse(
        components=[admin_pb2.Component(name="database", healthy=True)],
        sources=[admin_pb2.SourceStatus(name="handbook", documents=1234, chunks=5678, held_deletions=9)],
        generations=[admin_pb2.Generation(name="g", state="active", points=5678)],
    )
    app.run()
    assert not app.exception
    assert [item.value for item in app.success] == ["All 5 components are healthy."]
    figures = {metric.label: metric.value for metric in app.metric}
    assert (figures["Documents"], figures["Vectors"], figures["Held deletions"]) == ("1,234", "5,678", "9")
    assert list(app.dataframe[1].value["source"]) == ["handbook"]
    assert list(app.dataframe[2].value["status"]) == ["success"]
    assert platform.gateway.peer.metadata["authorization"] == "Bearer a.b.c"


def test_an_answer_is_shown_with_its_citations(app: AppTest, platform: Platform) -> None:
    citation = v2.Citation(
        number=1, title="手册", source="s", locator="a.md", version=1, start=0, end=4, quote="备份每天进行"
    )
    platform.gateway.peer.answer = [
        v2.AnswerEvent(delta=v2.AnswerDelta(text="备份每天进行。")),
        v2.AnswerEvent(delta=v2.AnswerDelta(text="[1]")),
        v2.AnswerEvent(final=v2.AnswerFinal(answered=v2.AnswerFinal.Answered(citations=[citation]))),
    ]
    _ask(app, "什么时候备份?")
    texts = [item.value for item in app.text]
    assert texts[0] == "备份每天进行。[1]"
    assert texts[1].startswith("[1] 手册\n")


def test_s35_text_of_documents_is_inert(app: AppTest, platform: Platform) -> None:
    citation = v2.Citation(number=1, title=HOSTILE, source="s", locator=HOSTILE, quote=HOSTILE)
    platform.gateway.peer.answer = [
        v2.AnswerEvent(delta=v2.AnswerDelta(text=HOSTILE)),
        v2.AnswerEvent(final=v2.AnswerFinal(answered=v2.AnswerFinal.Answered(citations=[citation]))),
    ]
    _ask(app, "x")
    assert not app.exception
    shown_as_text = [item.value for item in app.text]
    assert shown_as_text[0] == HOSTILE
    interpreted = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.success, *app.subheader]
    assert not [item for item in interpreted if "attacker" in item.value or "onerror" in item.value]


def test_an_abstention_is_said_plainly(app: AppTest, platform: Platform) -> None:
    abstained = v2.AnswerFinal.Abstained(reason="NOT_SUPPORTED")
    platform.gateway.peer.answer = [v2.AnswerEvent(final=v2.AnswerFinal(abstained=abstained))]
    _ask(app, "x")
    assert [item.value for item in app.info] == ["The sources do not answer this question."]


def test_text_of_an_answer_that_broke_off_is_taken_back(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.answer = [
        v2.AnswerEvent(delta=v2.AnswerDelta(text="half a")),
        v2.AnswerEvent(final=v2.AnswerFinal(failed=v2.AnswerFinal.Failed(reason="DEADLINE"))),
    ]
    _ask(app, "x")
    assert not app.text
    assert "DEADLINE" in app.info[0].value


def test_an_empty_question_is_not_sent(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.metadata = {}
    _ask(app, "   ")
    assert [item.value for item in app.info] == ["Type a question first."]


def test_f52_with_every_backend_down_the_page_says_so_without_a_stack(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.stop()
    platform.dagster.clear()
    try:
        _ask(app, "x")
    finally:
        platform.gateway.peer.start()
    assert not app.exception
    reasons = dict(zip(app.dataframe[0].value["component"], app.dataframe[0].value["reason"], strict=True))
    assert reasons["query server"] == "service unavailable, UNAVAILABLE"
    assert reasons["Dagster"] == "service unavailable, DAGSTER_UNAVAILABLE"
    assert "could not be answered: service unavailable, " in app.error[-1].value


def test_f52_a_backend_that_returns_shows_at_the_next_look(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.failure = grpc.StatusCode.UNAVAILABLE
    assert app.run().error
    platform.gateway.peer.failure = None
    assert not app.run().error


def test_a_missing_token_is_named(app: AppTest, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_CONSOLE_TOKEN_FILE", str(platform.token_file.with_name("absent")))
    app.run()
    assert "service unavailable, TOKEN_MISSING" in list(app.dataframe[0].value["reason"])
