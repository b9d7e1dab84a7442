"""Evaluation: how well the owners' questions are answered, what changed, and questions that wait for a decision."""

from __future__ import annotations

import streamlit as st

from console.components.charts import over_time
from console.components.curations import PARAMETER, curations
from console.components.evaluation import decide, run_details, share
from console.components.widgets import age, chosen_row, confirm, load_or_report, table
from console.i18n import N_
from console.presenters import evaluation as presenters
from console.session import Role, api, role, t

STATES = N_(("proposed", "accepted", "rejected"))
PROPOSED_AT_ONCE = 20
# A longer list scrolls, so that the run below it stays in sight. (A string here would be drawn on the page.)
_ROWS, _HEIGHT = 6, 250


def runs() -> None:
    """The share that satisfies over time, the runs, and the one that is chosen."""
    found = load_or_report("query server", lambda: api().evaluation_runs())
    if found is None:
        return
    if not found:
        st.info(t("No questions have been asked yet. Write some, or accept proposed ones; they are asked every day and "
                  "by the promotion gate. Without questions nothing is refused for its answers."))  # fmt: skip
        st.code("rag evaluate --questions questions.yaml", language=None)
        return
    st.caption(t("Share of satisfied questions over time"))
    over_time(presenters.series(found), "satisfied", t("Satisfied"), by="name", legend=t("Questions"), bounds=(0, 1),
              percent=True)  # fmt: skip
    rows = [
        {**row, "at": age(row["at"]), "origin": t(row["origin"]), "state": t(row["state"]) if row["state"] else ""}
        for row in presenters.run_rows(found)
    ]
    columns = {"id": t("Evaluation"), "at": t("When"), "name": t("Questions asked"), "origin": t("Asked by"),
               "questions": t("Count"), "satisfied": share(t("Satisfied")), "wrong": share(t("Wrong")),
               "recall": share(t("Recall of sources")), "state": t("State"), "generation": t("Generation")}  # fmt: skip
    event = table(
        rows,
        columns,
        empty="",
        on_select="rerun",
        selection_mode="single-row",
        key="runs",
        height=_HEIGHT if len(rows) > _ROWS else "auto",
    )
    picked = chosen_row(event)
    run_details(rows[picked if picked is not None and picked < len(rows) else 0]["id"])


def questions() -> None:
    """Questions that feedback and headings proposed."""
    if said := st.session_state.pop("evaluation-said", None):
        st.success(said)
    state = st.segmented_control(
        t("State"), STATES, default="proposed", format_func=lambda name: t(name), key="question-state"
    )
    confirm(t("Propose questions from headings"), t("Up to {count} questions are made from headings of your documents."
            " They wait here until somebody accepts them.", count=PROPOSED_AT_ONCE),
            lambda _: t("{count} questions proposed.", count=api().propose_questions(PROPOSED_AT_ONCE)),
            key="propose", icon=":material/auto_awesome:", asks=False)  # fmt: skip
    found = load_or_report("query server", lambda: api().proposed_questions(state or "proposed"))
    if found is None:
        return
    rows = [{**row, "at": age(row["at"]), "origin": t(row["origin"])} for row in presenters.question_rows(found)]
    columns = {"question": t("Question"), "origin": t("Proposed by"), "expected": t("Expected"), "source": t("Source"),
               "tags": t("Tags"), "note": t("Comment"), "at": t("When")}  # fmt: skip
    if state != "proposed":
        columns["decided_by"] = t("Decided by")
    empty = t("No question waits for a decision. Thumbs on the page Ask and the feedback API propose some.")
    event = table(rows, columns, empty=empty if state == "proposed" else t("There is none."), on_select="rerun",
                  selection_mode="single-row", key=f"questions-{state}")  # fmt: skip
    picked = chosen_row(event)
    if state == "proposed" and picked is not None and picked < len(rows):
        decide(found[picked])
    elif state == "proposed" and rows:
        st.caption(t("Select a question to decide about it."))


st.title(t("Evaluation"))
if role() < Role.OPERATOR:
    st.caption(t("Read-only: accepting runs and questions requires the role operator."))
curated = t("Curated answers")
runs_tab, questions_tab, curated_tab = st.tabs(
    [t("Evaluations"), t("Proposed questions"), curated], default=curated if PARAMETER in st.query_params else None
)
with runs_tab:
    runs()
with questions_tab:
    questions()
with curated_tab:
    curations()
