"""Quality: checks of a source, and the quarantine browser."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.clients.errors import ServiceError
from console.components.quality import history, quarantined_input
from console.components.widgets import age, confirm, load_or_report, page_buttons, problem, table, today
from console.i18n import N_, with_meaning
from console.presenters import records as presenters
from console.presenters.formats import plain
from console.presenters.sources import key_of
from console.session import Role, api, dagster, language, role, t

STAGES = N_(("list", "fetch", "parse", "chunk", "embed", "index"))
_PAGE_ENTRIES = 50


def checks(source: str) -> None:
    """Score and drift over time, then the newest results of the checks, what failed first."""
    found = load_or_report("Dagster", lambda: dagster().checks(key_of(source)))
    history(source, found)
    if found is None:
        return
    marks = {"passed": "✔", "failed": "✖", "never": "○"}
    rows = [
        {**row, "result": f"{marks[row['result']]} {t(row['result'])}", "severity": t(row["severity"]),
         "stage": t(row["stage"]), "at": age(row["at"])}
        for row in presenters.check_rows(found)
    ]  # fmt: skip
    columns = {"check": t("Check"), "stage": t("Stage"), "result": t("Result"), "severity": t("Severity"),
               "at": t("Evaluated"), "figures": t("Figures"), "note": t("Note")}  # fmt: skip
    table(rows, columns, empty=t("No check has run yet."))


def choose(sources: list[str]) -> dict[str, Any]:
    """The filters of the browser."""
    every = t("all")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.selectbox(t("Source"), ["", *sources], format_func=lambda name: name or every, key="q-source")
        stage = st.selectbox(
            t("Stage"), ["", *STAGES], format_func=lambda name: t(name) if name else every, key="q-stage"
        )
        reason = st.text_input(t("Reason code"), key="q-reason", max_chars=64).strip().upper()
        skipped = st.toggle(t("Include inputs skipped by policy"), key="q-skipped")
    chosen = {"source": source, "stage": stage, "reason": reason, "include_skipped": skipped}
    if st.session_state.get("q-filter") != chosen:
        st.session_state["q-filter"], st.session_state["q-page"] = chosen, ""
    return chosen


def browser(chosen: dict[str, Any]) -> None:
    """Entries of the quarantine, and what to do with those that are ticked."""
    page = st.session_state.get("q-page", "")
    found = load_or_report("query server", lambda: api().quarantine(**chosen, page_size=_PAGE_ENTRIES, page_token=page))
    if found is None:
        return
    counted = [{"source": item.source, "reason": item.reason, "entries": item.entries} for item in found.counts]
    st.caption(t("Entries: {count}", count=sum(item.entries for item in found.counts)))
    rows = presenters.quarantine_rows(found.entries)
    shown = [
        {
            **row,
            "at": age(row["at"]),
            "stage": t(row["stage"]),
            "message": with_meaning(language(), row["reason"], row["message"], in_run=True),
        }
        for row in rows
    ]
    columns = {"locator": st.column_config.TextColumn(t("Input"), width=260), "source": t("Source"),
               "reason": t("Reason"), "message": t("Message"), "stage": t("Stage"), "attempts": t("Attempts"),
               "at": t("Last failure")}  # fmt: skip
    event = table(shown, columns, empty=t("Nothing is quarantined."), on_select="rerun", selection_mode="multi-row",
                  key="quarantine")  # fmt: skip
    with st.container(horizontal=True):
        page_buttons("q-page", found.next_page_token, t("Older entries"))
        if rows:
            st.download_button(t("Export CSV"), presenters.as_csv(rows), f"quarantine-{today()}.csv", "text/csv")
    ticked = [rows[index] for index in (event.selection.rows if event is not None else []) if index < len(rows)]
    act([row["id"] for row in ticked])
    if len(ticked) == 1:
        quarantined_input(ticked[0]["id"])
    elif rows:
        st.caption(t("Choose rows to act on them. One alone shows why it failed and what to do."))
    if len(counted) > 1:
        st.caption(t("By reason and source"))
        table(counted, {"reason": t("Reason"), "source": t("Source"), "entries": t("Entries")}, empty="")


def act(ids: list[int]) -> None:
    """Redrive or discard what is ticked."""
    with st.container(horizontal=True):
        confirm(t("Redrive {count}", count=len(ids)), t("The next run of the source retries these inputs."),
                lambda why: t("{count} will be retried.", count=api().redrive(ids, why)), key="redrive",
                icon=":material/replay:", disabled=not ids)  # fmt: skip
        confirm(t("Discard {count}", count=len(ids)), t("These inputs are skipped until they change."),
                lambda why: t("{count} discarded.", count=api().discard(ids, why)), key="discard",
                icon=":material/block:", disabled=not ids)  # fmt: skip


def golden() -> None:
    """Judgements of answers, for the golden set."""
    try:
        ratings = api().ratings()
    except ServiceError as error:
        problem("query server", error)
        return
    rows = [
        {"at": age(item.at.seconds), "actor": item.actor, "good": "👍" if item.judgement.good else "👎",
         "question": plain(item.judgement.question), "comment": plain(item.judgement.comment)}
        for item in ratings
    ]  # fmt: skip
    table(rows, {"good": t("Rating"), "question": t("Question"), "comment": t("Comment"), "actor": t("Actor"),
                 "at": t("When")}, empty=t("No answer has been rated yet."))  # fmt: skip
    if ratings:
        st.download_button(
            t("Export JSON lines"), presenters.golden_lines(ratings), f"golden-{today()}.jsonl", "application/jsonl"
        )


st.title(t("Quality"))
names = [item.name for item in load_or_report("query server", lambda: api().sources()) or []]
quarantine_tab, check_tab, golden_tab = st.tabs([t("Quarantine"), t("Score and checks"), t("Rated answers")])
with quarantine_tab:
    if role() < Role.OPERATOR:
        st.caption(t("Read-only: redrive and discard require the role operator."))
    browser(choose(names))
with check_tab:
    if names:
        checks(st.selectbox(t("Source"), names, key="check-source"))
with golden_tab:
    golden()
