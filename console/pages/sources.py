"""Sources: how fresh each is and why, what its runs did, and what an operator may do about it."""

from __future__ import annotations

import time

import streamlit as st

from console.clients import Automation
from console.panels.add_source import add_source
from console.session import Role, api, role, shared, t
from console.ui import age, at, chosen_row, confirm, look, table, timestamp
from console.views import sources as views
from console.views.formats import duration, number
from console.views.pipeline import ACTIVE, progress
from ragproto.admin.v1 import operations_pb2 as ops

_REFRESH = shared().settings.refresh_seconds


def overview() -> str | None:
    """The list; returns the source that is chosen in it."""
    status = look("query server", lambda: api().status())
    if status is None:
        return None
    details = {item.name: item for item in look("query server", lambda: api().sources()) or []}
    automations = look("Dagster", lambda: shared().dagster.automations()) or []
    rows = views.source_rows(status.sources, details, automations, time.time())
    shown = [
        {**row, "state": t(row["state"]), "age": duration(row["age"]) if row["age"] is not None else t("never")}
        for row in rows
    ]
    columns = {
        "source": t("Source"),
        "kind": t("Kind"),
        "state": t("State"),
        "age": t("Age of the last complete listing"),
        "documents": t("Documents"),
        "chunks": t("Chunks"),
        "pending": t("To be indexed"),
        "quarantined": t("Quarantined"),
        "held": t("Held deletions"),
    }
    event = table(
        shown, columns, empty=t("No source has run yet."), on_select="rerun", selection_mode="single-row", key="sources"
    )
    number_of = chosen_row(event)
    if number_of is None and rows:
        number_of = next((at_ for at_, row in enumerate(rows) if row["state"] != "ok"), 0)
    return str(rows[number_of]["source"]) if number_of is not None and number_of < len(rows) else None


@st.fragment(run_every=_REFRESH)
def now_running(source: str) -> None:
    """The run under way, how far it is and how long it will take."""
    key = views.key_of(source)
    runs = look("Dagster", lambda: shared().dagster.runs(1, job=f"{key}_sync", statuses=ACTIVE))
    if not runs:
        return
    run = runs[0]
    found = progress(look("Dagster", lambda: shared().dagster.log(run.run_id)) or [], time.time())
    if found is None:
        st.info(t("A run is {status} since {time}.", status=t(run.status.lower()), time=at(run.started)))
        return
    left = t("about {time} left", time=duration(found.seconds_left)) if found.seconds_left is not None else ""
    st.progress(
        min(1.0, found.done / max(1, found.total)),
        f"{t(found.stage)}: {number(found.done)} / {number(found.total)} {left}",
    )


def actions(source: str, detail: ops.SourceDetail) -> None:
    """Sync, pause, release."""
    key, dagster = views.key_of(source), shared().dagster

    def sync(why: str) -> str:
        api().record("dagster.launch", f"{key}_sync", why, source=source)
        return t("Started: {id}", id=dagster.launch(key, shards=max(1, detail.shards))[:8])

    def switch(items: list[Automation], why: str, *, on: bool) -> str:
        api().record("dagster.resume" if on else "dagster.pause", source, why)
        for item in items:
            dagster.switch(item, on=on)
        return t("{count} switched on.", count=len(items)) if on else t("{count} switched off.", count=len(items))

    def release(why: str) -> str:
        return t("{count} deletions are released for the next run.",
                 count=api().release(source, detail.held_deletions, why))  # fmt: skip

    mine = [item for item in look("Dagster", dagster.automations) or [] if item.job == f"{key}_sync"]
    on, off = [item for item in mine if item.running], [item for item in mine if not item.running]
    pause, resume = (lambda why: switch(on, why, on=False)), (lambda why: switch(off, why, on=True))
    held = detail.held_deletions
    offered = [
        ("sync", t("Sync now"), t("Lists the source and brings the index to what it holds."), sync, True),
        ("pause", t("Pause"), t("Stops the change sensor and the schedule. Runs under way go on."), pause, bool(on)),
        ("play_arrow", t("Resume"), t("Starts the change sensor and the schedule."), resume, bool(off)),
        ("delete_sweep", t("Release {count} deletions", count=held),
         t("The next run deletes what the source no longer lists. This cannot be taken back."), release, held > 0),
    ]  # fmt: skip
    with st.container(horizontal=True):
        for icon, label, explain, act, possible in offered:
            confirm(label, explain, act, key=f"{icon}-{key}", icon=f":material/{icon}:", disabled=not possible)


def one(source: str) -> None:
    """Everything about one source."""
    st.subheader(source)
    details = {item.name: item for item in look("query server", lambda: api().sources()) or []}
    detail = details.get(source, ops.SourceDetail())
    if detail.last_run.problem:
        st.warning(t("The last run ended with {code}.", code=detail.last_run.problem), icon=":material/warning:")
    if detail.held_deletions:
        held = t("{count} deletions are held since {time}.", count=detail.held_deletions,
                 time=at(timestamp(detail.held_at)))  # fmt: skip
        st.warning(held, icon=":material/gavel:")
    now_running(source)
    actions(source, detail)
    left, right = st.columns([1, 3], gap="medium")
    with left:
        known = [{"fact": t(label), "value": text} for label, text in views.facts(detail)]
        table(known, {"fact": t("Fact"), "value": t("Value")}, empty="")
    with right:
        stages = look("query server", lambda: api().runs(source, 80)) or []
        rows = [{**row, "at": age(row["at"])} for row in views.count_rows(stages)][:12]
        columns = {"at": t("Ended"), **{name: t(name) for name in views.COUNTS}, "seconds": t("Seconds"),
                   "problem": t("Problem"), "run": t("Run")}  # fmt: skip
        table(rows, columns, empty=t("No run yet."))


st.title(t("Sources"))
chosen = overview()
if chosen is not None:
    one(chosen)
if role() >= Role.OPERATOR:
    with st.expander(t("Add a source"), icon=":material/add:"):
        add_source()
