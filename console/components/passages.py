"""Passages of a search with the reasons of their places, and two searches side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from console.components.answers import span
from console.components.widgets import chosen_row, load_or_report, table
from console.presenters import retrieval as presenters
from console.presenters.formats import plain
from console.session import api, t
from ragproto.query.v2 import curation_pb2, query_pb2


def say(sentences: list[presenters.Sentence]) -> None:
    """Sentences, each on a line of its own, as text."""
    for text, values in sentences:
        st.text(t(text, **values))


def rerank_skipped(code: str) -> None:
    """Show why the passages are in the order of retrieval."""
    if code == "EGRESS_FORBIDDEN":
        st.info(t("The egress policy keeps these passages from the reranker. They are in the order of retrieval."))
    else:
        st.info(t("The reranker failed ({code}). Passages are in the order of retrieval.", code=code))


def curated(applied: Sequence[curation_pb2.AppliedCuration]) -> None:
    """Show what editors decided for a question, and who answers for it."""
    for one in applied:
        sentence = presenters.CURATED.get(one.action)
        if sentence:
            st.badge(t("Curated"), icon=":material/verified:", color="green")
            st.text(t(sentence, owner=plain(one.owner), question=plain(one.question)))


def passages(request: query_pb2.SearchRequest, found: query_pb2.SearchResponse, key: str = "passages") -> None:
    """Passages with their scores. One that is chosen says why it is there and is shown in its document."""
    curated(found.curations)
    say(presenters.search_sentences(request, found))
    rows = presenters.explained_rows(found.passages)
    reranked = any(row["reranked"] is not None for row in rows)
    columns = {
        "rank": "#", "title": t("Title"), "source": t("Source"), "score": t("Score"),
        "dense_rank": t("# by meaning"), "dense": t("cosine"), "lexical_rank": t("# by words"), "lexical": "BM25",
        **({"before": t("# before reranking"), "reranked": t("reranker")} if reranked else {}), "text": t("Passage"),
    }  # fmt: skip
    event = table(rows, columns, empty=t("No document that you may read matches this question."), on_select="rerun",
                  selection_mode="single-row", key=key)  # fmt: skip
    st.caption(t("Generation {name}", name=found.generation))
    if found.rerank_skipped:
        rerank_skipped(found.rerank_skipped)
    picked = chosen_row(event)
    if picked is not None and picked < len(rows):
        chosen = found.passages[picked]
        st.markdown(f"**{t('Why it is number {rank}', rank=picked + 1)}**")
        say(presenters.passage_sentences(chosen, picked + 1))
        span(chosen.doc_id, chosen.start, chosen.end)
    elif rows:
        st.caption(t("Choose a passage to see why it is there, and to read it in its document."))


def compare(first: query_pb2.SearchRequest, second: query_pb2.SearchRequest) -> None:
    """The same question with two settings: what both find, what moved, and what only one finds."""
    found = [load_or_report("gateway", partial(api().search, request)) for request in (first, second)]
    one, other = ([*item.passages] if item is not None else [] for item in found)
    if all(found):
        counted = presenters.compare(one, other)
        figures = {t("In both"): counted.both, t("Of these at another place"): counted.moved,
                   t("Only on the left"): counted.only_first, t("Only on the right"): counted.only_second}  # fmt: skip
        for place, (label, figure) in zip(st.columns(4), figures.items(), strict=True):
            place.metric(label, figure)
    requests, sides = (first, second), st.columns(2, gap="medium")
    labels = (t("Settings"), t("Compared with"))
    for number, (ours, theirs) in enumerate(((one, other), (other, one))):
        response = found[number]
        with sides[number]:
            st.markdown(f"**{labels[number]}**")
            if response is None:
                continue
            say(presenters.search_sentences(requests[number], response))
            columns = {"rank": "#", "moved": t("Other side"), "title": t("Title"), "score": t("Score"),
                       "dense": t("cosine"), "lexical": "BM25", "text": t("Passage")}  # fmt: skip
            table(presenters.compared_rows(ours, theirs), columns, key=f"side-rows-{number}",
                  empty=t("No document that you may read matches this question."))  # fmt: skip
            st.caption(t("Generation {name}", name=response.generation))
    if all(found):
        st.caption(t("▲ higher than on the other side, ▼ lower, = at the same place, – only here"))
