"""A run of the owners' questions in detail, and the form that decides about a proposed question."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.components.widgets import at, attempt, confirm, load_or_report, table
from console.presenters import evaluation as presenters
from console.presenters.formats import plain
from console.session import Role, api, role, t
from ragproto.admin.v1 import evaluation_pb2 as pb

PERCENT = "percent"


def share(label: str) -> Any:
    """A column of shares."""
    return st.column_config.NumberColumn(label, format=PERCENT)


def _count(label: str) -> Any:
    return st.column_config.NumberColumn(label, width=80)


def run_details(number: int) -> None:
    """Figures by tag, what changed with both answers, and what does not satisfy."""
    found = load_or_report("query server", lambda: api().evaluation_run(number))
    if found is None:
        return
    run, before = found.run, found.before if found.HasField("before") else None
    st.header(t("Run {number}, {time}", number=run.id, time=at(run.at.seconds)))
    if run.worse:
        st.warning(t("Worse than the run before, by more than chance explains."), icon=":material/trending_down:")
    if run.detail:
        st.text(plain(run.detail))
    _figures(run, before)
    _changes(found)
    _unsatisfied(found)
    confirm(t("Accept this run"), t("Later runs are compared with this one, and the promotion gate stops refusing what"
            " it explains."), lambda why: _accepted(number, why), key=f"accept-{number}",
            icon=":material/check:", disabled=run.accepted, must_say=True)  # fmt: skip


def _accepted(number: int, why: str) -> str:
    api().accept_run(number, why)
    return t("Later runs are compared with run {number}.", number=number)


def _figures(run: pb.EvaluationRun, before: pb.EvaluationRun | None) -> None:
    rows = [{**row, "tag": row["tag"] or t("all questions")} for row in presenters.tag_rows(run, before)]
    columns = {"tag": t("Tag"), "questions": t("Questions"), "satisfied": share(t("Satisfied")),
               "moved": share(t("Since before")), "wrong": share(t("Wrong")),
               "recall": share(t("Recall of sources")),
               **{f"n_{name}": _count(t(label)) for name, label in presenters.COLUMNS.items()}}  # fmt: skip
    table(rows, columns, empty="")


def _changes(found: pb.GetEvaluationRunResponse) -> None:
    if not found.HasField("before"):
        st.caption(t("There is no earlier run over the same questions to compare with."))
        return
    worse = sum(not item.better for item in found.changes)
    st.markdown(f"**{t('Questions that changed')}**")
    st.caption(t("{worse} worse, {better} better than in run {number}", worse=worse, better=len(found.changes) - worse,
                 number=found.before.id))  # fmt: skip
    for number, item in enumerate(found.changes):
        arrow, question = presenters.change_heading(item)
        with st.container(border=True, key=f"change-{number}"):
            st.text(f"{arrow} {question}")
            left, right = st.columns(2, gap="medium")
            _answer(left, t("Before: {grade}", grade=_grade(item.grade_before)), item.answer_before)
            _answer(right, t("Now: {grade}", grade=_grade(item.grade_now)), item.answer_now)


def _answer(place: Any, label: str, text: str) -> None:
    with place:
        st.caption(label)
        st.text(plain(text) or t("no answer, or one that you may not read"))


def _grade(name: str) -> str:
    return t(presenters.GRADES.get(name, name))


def _unsatisfied(found: pb.GetEvaluationRunResponse) -> None:
    rows = [
        {"grade": _grade(item.grade), "question": plain(item.question), "tags": plain(", ".join(item.tags)),
         "answer": plain(item.answer)}
        for item in found.unsatisfied
    ]  # fmt: skip
    with st.expander(t("Questions that are not satisfied: {count}", count=len(rows))):
        columns = {"grade": t("Grade"), "question": t("Question"), "tags": t("Tags"), "answer": t("Answer")}
        table(rows, columns, empty=t("Every question is satisfied."))


def decide(item: pb.ProposedQuestion) -> None:
    """Complete a proposed question, then accept or reject it."""
    with st.form(f"decide-{item.id}", border=True):
        st.text(plain(item.question))
        if item.note:
            st.caption(t("The user said:"))
            st.text(plain(item.note))
        st.caption(
            t("One entry in each line. Give text or a pattern that a right answer shows, or where the answer is.")
        )
        left, right = st.columns(2, gap="medium")
        boxes = {
            "expected": left.text_area(t("Expected text"), "\n".join(item.expected), key=f"expected-{item.id}"),
            "patterns": left.text_area(t("Patterns (RE2)"), "\n".join(item.patterns), key=f"patterns-{item.id}"),
            "sources": right.text_area(t("Where the answer is (part of source/locator)"), "\n".join(item.sources),
                                       key=f"sources-{item.id}"),
            "tags": right.text_area(t("Tags (unanswerable: there is no answer)"), "\n".join(item.tags),
                                    key=f"tags-{item.id}"),
        }  # fmt: skip
        barred = role() < Role.OPERATOR
        with st.container(horizontal=True):
            taken = st.form_submit_button(t("Accept"), type="primary", disabled=barred)
            dropped = st.form_submit_button(t("Reject"), disabled=barred)
    if not (taken or dropped):
        return
    parts = {name: presenters.lines(text) for name, text in boxes.items()} if taken else {}
    done = attempt(lambda: api().decide_question(item.id, accept=taken, **parts))
    if done is not None:
        st.session_state["evaluation-said"] = t("The question is {state}.", state=t(done.state))
        st.rerun()
