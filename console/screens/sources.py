"""Sources: freshness, results of runs, and actions of operators."""

from __future__ import annotations

import time

import streamlit as st

from console.clients.dagster_answers import Automation
from console.components.source_changes import source_changes
from console.components.sources import actions
from console.components.widgets import age, at, chosen_row, load_or_report, table, timestamp
from console.presenters import sources as streams
from console.presenters import sources as views
from console.presenters.formats import duration, number
from console.presenters.pipeline import ACTIVE, progress
from console.session import Platform, Role, api, dagster, platform, role, shared, t, tenant
from ragproto.admin.v1 import operations_pb2 as ops

_REFRESH = shared().settings.refresh_seconds


def overview(details: dict[str, ops.SourceDetail], automations: list[Automation]) -> str | None:
    """The list; returns the source that is chosen in it, or asked for by the address of the page."""
    status = load_or_report("query server", lambda: api().status())
    if status is None:
        return None
    objectives = load_or_report("Dagster", lambda: shared().dagster.objectives()) or {}
    rows = views.source_rows(status.sources, details, automations, time.time(), objectives)
    shown = [
        {**row, "state": f"{views.STATE_MARKS[row['state']]} {t(row['state'])}",
         "age": duration(row["age"]) if row["age"] is not None else t("never")}
        for row in rows
    ]  # fmt: skip
    columns = {
        "source": t("Source"),
        "kind": t("Kind"),
        "state": t("State"),
        "age": t("Age of the listing"),
        "documents": t("Documents"),
        "chunks": t("Chunks"),
        "pending": t("To be indexed"),
        "quarantined": t("Quarantined"),
        "held": t("Held deletions"),
        "problem": t("Problem"),
    }
    event = table(
        shown, columns, empty=t("No source has run yet."), on_select="rerun", selection_mode="single-row", key="sources"
    )
    number_of = chosen_row(event)
    if number_of is None and rows:
        asked = st.query_params.get("source", "")
        wanted = [place for place, row in enumerate(rows) if row["source"] == asked]
        wanted += [place for place, row in enumerate(rows) if row["state"] != "ok"]
        number_of = wanted[0] if wanted else 0
    return str(rows[number_of]["source"]) if number_of is not None and number_of < len(rows) else None


@st.fragment(run_every=_REFRESH)
def now_running(source: str) -> None:
    """The run under way, how far it is and how long it will take."""
    key = views.key_of(source)
    runs = load_or_report("Dagster", lambda: dagster().runs(1, job=f"{key}_sync", statuses=ACTIVE))
    if not runs:
        return
    run = runs[0]
    found = progress(load_or_report("Dagster", lambda: dagster().log(run.run_id)) or [], time.time())
    if found is None:
        st.info(t("A run has been {status} since {time}.", status=t(run.status.lower()), time=at(run.started)))
        return
    left = t("about {time} left", time=duration(found.seconds_left)) if found.seconds_left is not None else ""
    st.progress(
        min(1.0, found.done / max(1, found.total)),
        f"{t(found.stage)}: {number(found.done)} / {number(found.total)} {left}",
    )


@st.fragment(run_every=_REFRESH)
def real_time() -> None:
    """Pending changes of the streams, and the latency from push to search."""
    samples = load_or_report("metrics", shared().metrics.history)
    rows = streams.lag_rows(samples or [], tenant())
    if not rows:
        return
    st.subheader(t("Real time"))
    found = streams.canary(samples or [])
    st.caption(t("Push to searchable, p95: {time}", time=duration(found) if found is not None else "–"))
    shown = [
        {**row, "seconds": duration(row["seconds"]), "waiting": number(row["waiting"]),
         "halted": f"✖ {t('halted')}" if row["halted"] else f"✔ {t('running')}"}
        for row in rows
    ]  # fmt: skip
    columns = {"stream": t("Stream"), "halted": t("State"), "waiting": t("Pending changes"),
               "seconds": t("Oldest pending for")}  # fmt: skip
    table(shown, columns, empty="")


def one(source: str, detail: ops.SourceDetail, automations: list[Automation]) -> None:
    """Everything about one source."""
    st.subheader(source)
    if detail.last_run.problem:
        st.warning(t("The last run ended with {code}.", code=detail.last_run.problem), icon=":material/warning:")
    if detail.held_deletions:
        held = t("{count} deletions are held since {time}.", count=detail.held_deletions,
                 time=at(timestamp(detail.held_at)))  # fmt: skip
        st.warning(held, icon=":material/gavel:")
    now_running(source)
    mine = [item for item in automations if item.job == f"{views.key_of(source)}_sync"]
    actions(source, detail, mine)
    facts = [*views.source_fields(detail), ("Last complete listing", at(timestamp(detail.last_complete_at))),
             *((item.kind, _automation(item)) for item in mine)]  # fmt: skip
    known = [{"fact": t(label), "value": text} for label, text in facts]
    halves = st.columns(2, gap="medium")
    for place, part in zip(halves, (known[: len(known) // 2], known[len(known) // 2 :]), strict=True):
        with place:
            table(part, {"fact": t("Property"), "value": t("Value")}, empty="")
    stages = load_or_report("query server", lambda: api().runs(source, 80)) or []
    rows = [{**row, "at": age(row["at"]), "seconds": duration(row["seconds"])} for row in views.count_rows(stages)]
    columns = {"at": t("Ended"), **{name: t(name) for name in views.COUNTS}, "seconds": t("Duration"),
               "problem": t("Problem"), "run": t("Run")}  # fmt: skip
    table(rows[:12], columns, empty=t("No run yet."))


def _automation(item: Automation) -> str:
    if not item.running:
        return t("off")
    return (
        t("next {time}", time=at(item.next_at)) if item.next_at else t("on, last tick {time}", time=age(item.last_at))
    )


st.title(t("Sources"))
found_details = {item.name: item for item in load_or_report("query server", lambda: api().sources()) or []}
found_automations = load_or_report("Dagster", lambda: dagster().automations()) or []
chosen = overview(found_details, found_automations)
if chosen is not None:
    one(chosen, found_details.get(chosen, ops.SourceDetail()), found_automations)
real_time()
if role() >= Role.ADMIN or platform() >= Platform.ADMIN:
    if chosen is not None:
        with st.expander(t("Edit or delete {source}", source=chosen), icon=":material/edit:"):
            source_changes(chosen)
    st.page_link("screens/add_source.py", label=t("Add a source"), icon=":material/add:")
