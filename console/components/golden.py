"""Saving a question of the Ask page for evaluation: with what its answer must show and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from console.components.widgets import attempt
from console.presenters import evaluation as presenters
from console.presenters.formats import plain
from console.session import Role, api, role, t
from ragproto.query.v2 import query_pb2

MAX_DOCUMENTS = 100


def save_question(question: str, found: Sequence[query_pb2.Citation] | Sequence[query_pb2.Passage]) -> None:
    """A form that saves the question. `found` are the citations or passages that it is filled from."""
    barred = role() < Role.OPERATOR
    with st.expander(t("Save as a question for evaluation"), icon=":material/bookmark_add:"):
        st.caption(
            t("It is asked at every evaluation from then on. One entry in each line: text that a right answer shows,"
              " or where the answer is.")
        )  # fmt: skip
        with st.form("golden", border=False):
            left, right = st.columns(2, gap="medium")
            boxes = {
                "expected": left.text_area(t("Expected text"), key="golden-expected"),
                "tags": left.text_area(t("Tags (unanswerable: there is no answer)"), key="golden-tags"),
                "sources": right.text_area(
                    t("Where the answer is (part of source/locator)"), "\n".join(_places(found)), key="golden-sources"
                ),
                "patterns": right.text_area(t("Patterns (RE2)"), key="golden-patterns"),
            }
            note = t("Requires the role {role}.", role=t("operator")) if barred else None
            if not st.form_submit_button(t("Save question"), disabled=barred, help=note):
                return
        parts: dict[str, Any] = {name: presenters.lines(text) for name, text in boxes.items()}
        documents = list(dict.fromkeys(item.doc_id for item in found if item.doc_id))[:MAX_DOCUMENTS]
        if attempt(lambda: api().save_question(question, doc_ids=documents, **parts)) is not None:
            st.success(t("Saved and accepted. It stands on the page Evaluation."))


def _places(found: Sequence[Any]) -> list[str]:
    """Return where the first document is; the person who saves knows whether others have the answer as well."""
    first = next(iter(found), None)
    return [plain(f"{first.source}/{first.locator}")] if first is not None and first.source else []
