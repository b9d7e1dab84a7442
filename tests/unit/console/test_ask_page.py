"""The playground: how a question is searched, why passages are where they are, and two settings side by side."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from console.presenters import retrieval
from console.presenters.retrieval import RetrievalSettings
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2 as v2
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import HOSTILE, ask, button, interpreted, opened
from tests.unit.console.test_roles import links

WHY = v2.Passage.ScoreExplanation(retrieval_rank=2, dense_rank=4, lexical_rank=1, dense_part=0.25, lexical_part=0.5)
WEIGHED = v2.SearchExplanation(mode=v2.SEARCH_MODE_HYBRID, weights=v2.LegWeights(dense=0.25, lexical=0.75))


def passage(doc_id: str = "d", *, start: int = 0, text: str = "Pumps need oil.", **more: Any) -> v2.Passage:
    wanted: dict[str, Any] = {"title": "Pumps", "score": 0.75, "retrieval_score": 0.75, "dense_score": 0.9,
                              "lexical_score": 7.5, "explanation": WHY} | more  # fmt: skip
    return v2.Passage(doc_id=doc_id, start=start, end=start + len(text), text=text, **wanted)


NARROWED = "Only what the settings let through was searched. Clear them to search everything."


def with_generations(platform: Platform) -> None:
    states = {"g1": "active", "g2": "ready", "g0": "retired"}
    found = [admin_pb2.Generation(name=name, state=state) for name, state in states.items()]
    platform.gateway.peer.status = admin_pb2.GetStatusResponse(generations=found)


def asked(platform: Platform, name: str = "Search") -> list[Any]:
    """Requests of a person's question: the page itself searches for its examples, without an explanation."""
    found = [request for called, request in platform.gateway.peer.asked if called == name]
    return [request for request in found if name != "Search" or request.explain]


def submit(app: AppTest, kind: str, question: str = "which oil?") -> AppTest:
    app.radio(key="ask-kind").set_value(kind).run()
    return ask(app, question, kind)


def test_settings_reach_the_search_and_the_answer(app: AppTest, platform: Platform) -> None:
    with_generations(platform)
    platform.gateway.peer.answer = [v2.AnswerEvent(final=v2.AnswerFinal())]
    opened(app, "ask")
    app.select_slider(key="ask-words").set_value("30")
    app.selectbox(key="ask-generation").set_value("g2")
    app.selectbox(key="ask-rerank").set_value("off")
    app.number_input(key="ask-top-k").set_value(7)
    app.text_input(key="ask-metadata").input("team = red")
    submit(app, "Search only")
    submit(app, "Answer")
    [search], [answer] = asked(platform), asked(platform, "Answer")
    for request in (search, answer):
        assert (request.generation, request.top_k, request.rerank) == ("g2", 7, False)
        assert (request.weights.dense, request.weights.lexical) == (pytest.approx(0.7), pytest.approx(0.3))
        assert (request.filter.eq.field, request.filter.eq.value) == ("metadata.team", "red")
    assert search.explain
    assert NARROWED in [caption.value for caption in app.caption], "nothing was answered, and only a part was searched"
    assert not app.exception


def test_by_default_nothing_is_chosen_for_the_server(app: AppTest, platform: Platform) -> None:
    opened(app, "ask")
    submit(app, "Search only")
    [request] = asked(platform)
    assert not request.HasField("weights")
    assert not request.HasField("rerank")
    assert not request.HasField("filter")
    assert request.generation == ""


def test_generations_that_were_retired_are_not_offered(app: AppTest, platform: Platform) -> None:
    with_generations(platform)
    opened(app, "ask")
    assert app.selectbox(key="ask-generation").options == ["the active one", "g1 (active)", "g2 (ready)"]


def test_a_search_says_in_words_how_it_was_done(app: AppTest, platform: Platform) -> None:
    found = v2.SearchResponse(passages=[passage(), passage(start=99)], explanation=WEIGHED, generation="g1")
    platform.gateway.peer.operations["Search"] = found
    opened(app, "ask")
    submit(app, "Search only")
    said = "Hybrid search. By what the legs found for this question, meaning has 25% of the weight and words 75%."
    assert app.text[0].value == said
    frame = app.dataframe[0].value
    assert frame["dense_rank"].tolist() == [4, 4]
    assert frame["lexical_rank"].tolist() == [1, 1]


def test_two_settings_are_searched_side_by_side(app: AppTest, platform: Platform) -> None:
    with_generations(platform)
    platform.gateway.peer.operations["Search"] = v2.SearchResponse(
        passages=[passage()], explanation=WEIGHED, generation="g1"
    )
    opened(app, "ask")
    app.radio(key="ask-kind").set_value("Compare two settings").run()
    app.selectbox(key="other-mode").set_value("lexical")
    submit(app, "Compare two settings")
    assert [(one.mode, one.generation) for one in asked(platform)] == [
        (v2.SEARCH_MODE_HYBRID, ""), (v2.SEARCH_MODE_LEXICAL, "g2"),
    ]  # fmt: skip
    assert [frame.value["moved"].tolist() for frame in app.dataframe] == [["= #1"], ["= #1"]]
    figures = {metric.label: metric.value for metric in app.metric}
    assert (figures["In both"], figures["Of these at another place"], figures["Only on the left"]) == ("1", "0", "0")


@pytest.mark.catalogue("S35")
def test_words_of_passages_are_text(app: AppTest, platform: Platform) -> None:
    hostile = passage(text=HOSTILE, title=HOSTILE, highlights=[v2.Passage.Highlight(start=0, end=len(HOSTILE))])
    platform.gateway.peer.operations["Search"] = v2.SearchResponse(passages=[hostile], explanation=WEIGHED)
    opened(app, "ask")
    for label in ("Search only", "Compare two settings"):
        submit(app, label)
        assert not app.exception
        assert "attacker" not in interpreted(app)


# --------------------------------------------------------------------------------------------------------------------
# What is said.


def said(one: v2.Passage, rank: int = 1) -> list[str]:
    return [text.format(**values) for text, values in retrieval.passage_sentences(one, rank)]


def test_a_place_is_explained_by_the_ranks_and_parts_of_both_legs() -> None:
    marks = [v2.Passage.Highlight(start=11, end=14), v2.Passage.Highlight(start=0, end=5)]
    assert said(passage(highlights=marks, rerank_score=0.5)) == [
        "Place 2 of retrieval, score 0.750 = 0.250 by meaning + 0.500 by words.",
        "By meaning: number 4 among the candidates (cosine 0.900).",
        "By words: number 1 among the candidates (BM25 7.50), for oil, Pumps.",
        "The reranker moved it up from place 2 to 1 (its score: 0.500).",
    ]
    assert said(passage(rerank_score=0.5), 2)[-1] == "The reranker left it at place 2 (its score: 0.500)."
    assert "moved it down from place 2 to 3" in said(passage(rerank_score=0.5), 3)[-1]


def test_parts_that_add_up_to_more_than_a_score_may_be_say_so() -> None:
    above = v2.Passage.ScoreExplanation(retrieval_rank=1, dense_part=0.25, lexical_part=1.0)
    assert said(passage(retrieval_score=1.0, explanation=above))[0] == (
        "Place 1 of retrieval, score 1.000: 0.250 by meaning + 1.000 by words, kept within 0 and 1."
    )


def test_a_passage_that_one_leg_missed_says_so() -> None:
    near = v2.Passage.ScoreExplanation(retrieval_rank=1, dense_rank=1, dense_part=0.5)
    assert said(passage(explanation=near))[1:] == [
        "By meaning: number 1 among the candidates (cosine 0.900).", "By words: not among the candidates.",
    ]  # fmt: skip
    words = v2.Passage.ScoreExplanation(retrieval_rank=1, lexical_rank=3, lexical_part=0.5)
    assert said(passage(explanation=words))[1] == "By meaning: not among the candidates (cosine 0.900)."


def test_one_leg_says_nothing_of_the_other() -> None:
    alone = v2.Passage.ScoreExplanation(retrieval_rank=1, dense_rank=1)
    assert said(passage(explanation=alone)) == [
        "Place 1 of retrieval, score 0.750.", "By meaning: number 1 among the candidates (cosine 0.900).",
    ]  # fmt: skip
    assert retrieval.passage_sentences(v2.Passage(), 1) == []


@pytest.mark.parametrize(("mode", "explained", "said"), [
    (v2.SEARCH_MODE_HYBRID, v2.SearchExplanation(mode=v2.SEARCH_MODE_DENSE), "no_words"),
    (v2.SEARCH_MODE_DENSE, v2.SearchExplanation(mode=v2.SEARCH_MODE_DENSE), "dense"),
    (v2.SEARCH_MODE_LEXICAL, v2.SearchExplanation(mode=v2.SEARCH_MODE_LEXICAL), "lexical"),
    (v2.SEARCH_MODE_HYBRID, WEIGHED, "hybrid_computed"),
])  # fmt: skip
def test_the_way_of_a_search_is_named(mode: v2.SearchMode, explained: v2.SearchExplanation, said: str) -> None:
    found = v2.SearchResponse(passages=[passage()], explanation=explained)
    sentences = retrieval.search_sentences(v2.SearchRequest(mode=mode), found)
    assert [text for text, _ in sentences] == [retrieval.SENTENCES[said]]
    assert retrieval.search_sentences(v2.SearchRequest(), v2.SearchResponse(explanation=explained)) == []


def test_passages_are_reported_where_the_other_side_has_them() -> None:
    one, two, gone = passage("a"), passage("b"), passage("c")
    cut = passage("b", start=3)  # another chunker cuts elsewhere
    first, second = [one, two, gone], [cut, one]
    assert [row["moved"] for row in retrieval.compared_rows(first, second)] == ["▲ #2", "▼ #1", "–"]
    assert retrieval.compare(first, second) == retrieval.SearchComparison(both=2, moved=2, only_first=1, only_second=0)
    far = passage("b", start=1000)
    assert [row["moved"] for row in retrieval.compared_rows([two], [far])] == ["–"]


def test_weights_are_for_hybrid_searches_only() -> None:
    assert "weights" not in RetrievalSettings("dense", "30").fields()
    assert "weights" not in RetrievalSettings().fields()
    assert RetrievalSettings("hybrid", "100").fields()["weights"] == v2.LegWeights(dense=0, lexical=1)


def test_conditions_hold_together_and_half_a_condition_is_none() -> None:
    assert retrieval.narrowing([], "", None, "team") is None
    assert retrieval.is_incomplete("team")
    assert retrieval.is_incomplete("=red")
    assert not retrieval.is_incomplete("team=red")
    assert not retrieval.is_incomplete(" ")
    both = retrieval.narrowing(["s"], "en", date(2026, 1, 2), "metadata.team=red")
    assert both is not None
    conditions = both.all.conditions
    assert [one.WhichOneof("condition") for one in conditions] == ["all", "time", "eq"]
    assert conditions[1].time.gte.seconds == 1767312000
    assert conditions[2].eq.field == "metadata.team"


# --------------------------------------------------------------------------------------------------------------------
# Saving a question, and searching as somebody else.

FINAL = v2.AnswerFinal(
    answered=v2.AnswerFinal.Answered(
        citations=[v2.Citation(number=1, doc_id="d", source="handbook", locator="pumps.md", quote="Pumps need oil.")]
    )
)


def test_an_answered_question_is_saved_with_where_its_answer_is(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.answers("Oil.", FINAL)
    opened(app, "ask")
    submit(app, "Answer")
    app.text_area(key="golden-expected").input("oil\n\n motor oil ")
    button(app, "Save question").click().run()
    [saved] = asked(platform, "SaveQuestion")
    assert (saved.question, list(saved.expected)) == ("which oil?", ["oil", "motor oil"])
    assert (list(saved.sources), list(saved.doc_ids)) == (["handbook/pumps.md"], ["d"])
    assert "Saved and accepted." in app.success[0].value
    assert len(asked(platform, "Answer")) == 1, "saving asks nothing again"


def test_a_model_that_is_left_alone_is_said_once_in_a_conversation(app: AppTest, platform: Platform) -> None:
    final = v2.AnswerFinal()
    final.CopyFrom(FINAL)
    final.answered_by.fallback_reason = "ANSWERER_UNAVAILABLE"
    writing = v2.AnswerWriting(model="m", excerpts=[v2.Excerpt(title="Pumps", text="Pumps need oil.")])
    platform.gateway.peer.answer = [v2.AnswerEvent(writing=writing), v2.AnswerEvent(final=final)]
    opened(app, "ask")
    notes = []
    for question in ("which oil?", "and how much?", "and when?"):
        submit(app, "Answer", question)
        notes.append([info.value for info in app.info if "answer model failed" in info.value])
        assert not app.exception
    assert [len(one) for one in notes] == [1, 0, 0]
    assert all(request.progress for request in asked(platform, "Answer"))


def test_a_viewer_saves_no_question(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.scopes = ["query.read", "ops.read"]
    opened(app, "ask")
    submit(app, "Search only")
    assert button(app, "Save question").disabled


def test_a_search_as_somebody_else_says_who_and_why_once(app: AppTest, platform: Platform) -> None:
    hidden = passage(text="", title="", chunk_id="c")
    found = ops.SearchAsResponse(found=v2.SearchResponse(passages=[hidden], explanation=WEIGHED), withheld=["c"])
    platform.gateway.peer.operations["SearchAs"] = found
    opened(app, "ask")
    submit(app, "Search as somebody else")
    assert not asked(platform, "SearchAs"), "not without a reason"
    assert app.warning[0].value == "Give a reason first."
    app.text_input(key="as-subject").input("bob")
    app.text_area(key="as-groups").input("hr\nboard")
    app.text_input(key="as-reason").input("ticket 7")
    app.run()
    app.run()  # drawn again: no second entry in the audit log
    [request] = asked(platform, "SearchAs")
    assert (request.tenant, request.subject, list(request.groups)) == ("acme", "bob", ["hr", "board"])
    assert (request.reason, request.search.query, request.search.explain) == ("ticket 7", "which oil?", True)
    assert "As user bob of tenant acme, groups: hr, board" in [item.value for item in app.text]
    assert "Passages without text: 1" in app.info[0].value


def test_without_the_scope_of_the_platform_nobody_else_is_offered(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.scopes = ["query.read", "admin"]
    opened(app, "ask")
    assert app.radio(key="ask-kind").options == ["Answer", "Search only", "Compare two settings"]


@pytest.mark.parametrize("kind", ["Answer", "Search only"])
@pytest.mark.parametrize("scopes", [["query.read", "platform.admin"], ["query.read", "admin"]])
def test_a_question_links_to_its_trace_for_the_platform(
    app: AppTest, platform: Platform, monkeypatch: pytest.MonkeyPatch, kind: str, scopes: list[str]
) -> None:
    monkeypatch.setenv("RAG_CONSOLE_TRACE_URL", "http://127.0.0.1:9/trace/{trace}")
    platform.gateway.peer.scopes = scopes
    platform.gateway.peer.answer = [v2.AnswerEvent(final=v2.AnswerFinal())]
    submit(opened(app, "ask"), kind)
    _, trace, _, flags = platform.gateway.peer.asking["traceparent"].split("-")
    assert flags == "01", "recorded, whatever share of calls is"
    assert links(app) == ([f"http://127.0.0.1:9/trace/{trace}"] if "platform.admin" in scopes else [])


def test_a_filter_that_the_question_names_applies_only_while_its_chip_is_there(
    app: AppTest, platform: Platform
) -> None:
    wanted = v2.Filter(**{"in": v2.Filter.In(field="source", values=["finance"])})
    offer = v2.SuggestedFilter(filter=wanted, words="from Finance", field="source", value="finance")
    hostile = v2.SuggestedFilter(filter=wanted, words=HOSTILE, field="metadata.team", value=HOSTILE)
    final = v2.AnswerFinal(answer_markdown="Seven.", suggested_filters=[offer, hostile])
    final.answered.SetInParent()
    platform.gateway.peer.answer = [v2.AnswerEvent(final=final)]
    opened(app, "ask")
    ask(app, "budget from Finance?")
    [first] = asked(platform, "Answer")
    assert not first.HasField("filter")
    assert "http://attacker" not in interpreted(app)  # escaped, where it is a label
    next(item for item in app.button if "finance" in item.label).click().run()
    *_, second = asked(platform, "Answer")
    assert (second.query, second.filter) == ("budget from Finance?", wanted)
    chip = app.button(key="chip-source=finance")
    chip.click().run()
    *_, third = asked(platform, "Answer")
    assert (third.query, third.HasField("filter")) == ("budget from Finance?", False)
    assert not app.exception
