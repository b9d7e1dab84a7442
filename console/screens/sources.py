"""Sources: freshness, results of runs, and actions of operators."""

from __future__ import annotations

import time

import streamlit as st

from console.clients.grpc_api import Api
from console.components.source_changes import source_changes
from console.components.source_outcome import outcome
from console.components.sources import actions, show_source
from console.components.widgets import DIALOG, age, at, chosen_row, listed_ago, load_or_report, table, timestamp
from console.i18n import N_
from console.presenters import sources as presenters
from console.presenters.conditions import marked
from console.presenters.formats import duration, number
from console.session import PlatformRole, Role, ahead, api, dagster, platform, role, shared, t, tenant
from rag_clients.dagster_answers import Automation
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

_REFRESH = shared().settings.refresh_seconds


def overview(
    counted: list[admin_pb2.SourceStatus], details: dict[str, ops.SourceDetail]
) -> admin_pb2.SourceStatus | None:
    """The list; returns the source that is chosen in it, or asked for by the address of the page."""
    rows = presenters.source_rows(counted, details, time.time())
    shown = [
        {**row, "condition": marked(row["condition"], t, at),
         "age": listed_ago(row["age"], streamed=row["streamed"]),
         "searchable": f"{row['searchable']:.0%}" if row["searchable"] is not None else ""}
        for row in rows
    ]  # fmt: skip
    columns = {
        "source": t("Source"),
        "kind": t("Kind"),
        "condition": t("State"),
        "age": t("Age of the listing"),
        "documents": t("Documents"),
        "chunks": t("Chunks"),
        "searchable": t("Searchable"),
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
        wanted += [place for place, row in enumerate(rows) if row["condition"].needs_attention]
        number_of = wanted[0] if wanted else 0
    if number_of is None or number_of >= len(counted):
        return None
    # It stays the chosen one while its state, and with it what needs attention, changes.
    st.query_params["source"] = counted[number_of].name
    return counted[number_of]


@st.fragment(run_every=_REFRESH)
def state(source: str, listed: admin_pb2.SourceCondition) -> None:
    """Show what the source does now, or what it needs. When that is not `listed` any more, the list is drawn again."""
    status = load_or_report("query server", lambda: api().status())
    found = next((item for item in status.sources if item.name == source), None) if status is not None else None
    if found is None:
        return
    now = (found.condition.state, found.condition.reason)
    if now != (listed.state, listed.reason) and DIALOG not in st.session_state:
        st.rerun()
    show_source(found)


@st.fragment(run_every=_REFRESH)
def real_time() -> None:
    """Pending changes of the streams, and the latency from push to search."""
    samples = load_or_report("metrics", shared().metrics.history)
    rows = presenters.lag_rows(samples or [], tenant())
    if not rows:
        return
    st.header(t("Real time"))
    found = presenters.canary(samples or [])
    st.caption(t("Push to searchable, p95: {time}", time=duration(found, t) if found is not None else "–"))
    shown = [
        {**row, "seconds": duration(row["seconds"], t), "waiting": number(row["waiting"]),
         "halted": f"✖ {t('halted')}" if row["halted"] else f"✔ {t('running')}"}
        for row in rows
    ]  # fmt: skip
    columns = {"stream": t("Stream"), "halted": t("State"), "waiting": t("Pending changes"),
               "seconds": t("Oldest pending for")}  # fmt: skip
    table(shown, columns, empty="")


def one(found: admin_pb2.SourceStatus, detail: ops.SourceDetail) -> None:
    """Everything about one source."""
    source = found.name
    runs_call = ahead(api, lambda client: client.runs(source, 80))
    automations_call = ahead(dagster, lambda client: client.automations_of(presenters.key_of(source)))
    st.header(source)
    # One block, however much it says: what moved to another place on the page would close the actions below.
    with st.container():
        state(source, found.condition)
        outcome(found)
        mine = load_or_report("Dagster", automations_call) or []
    actions(source, detail, mine, has_runs=not found.streamed)
    facts = [*presenters.source_fields(detail), *((f"{t(item.kind)} {item.name}", _automation(item)) for item in mine)]
    if not found.streamed:
        facts.append((N_("Last complete listing"), at(timestamp(detail.last_complete_at))))
    known = [{"fact": t(label), "value": text} for label, text in facts]
    halves = st.columns(2, gap="medium")
    for place, part in zip(halves, (known[: len(known) // 2], known[len(known) // 2 :]), strict=True):
        with place:
            table(part, {"fact": t("Property"), "value": t("Value")}, empty="")
    stages = load_or_report("query server", runs_call) or []
    rows = [
        {**row, "at": age(row["at"]), "seconds": duration(row["seconds"], t)} for row in presenters.count_rows(stages)
    ]
    columns = {"at": t("Ended"), **{name: t(name) for name in presenters.COUNTS}, "seconds": t("Duration"),
               "problem": t("Problem"), "run": t("Run")}  # fmt: skip
    table(rows[:12], columns, empty=t("No run yet."))


def _automation(item: Automation) -> str:
    if not item.running:
        return t("off")
    return (
        t("next {time}", time=at(item.next_at)) if item.next_at else t("on, last tick {time}", time=age(item.last_at))
    )


st.title(t("Sources"))
status_call, sources_call = ahead(api, Api.status), ahead(api, Api.sources)
found_status = load_or_report("query server", status_call)
found_details = {item.name: item for item in load_or_report("query server", sources_call) or []}
chosen = overview(list(found_status.sources), found_details) if found_status is not None else None
if chosen is not None:
    one(chosen, found_details.get(chosen.name, ops.SourceDetail()))
real_time()
if role() >= Role.ADMIN or platform() >= PlatformRole.ADMIN:
    if chosen is not None:
        with st.expander(t("Edit or delete {source}", source=chosen.name), icon=":material/edit:"):
            source_changes(chosen.name)
    with st.container(horizontal=True):
        st.page_link("screens/add_source.py", label=t("Add a source"), icon=":material/add:")
        st.page_link("screens/secrets.py", label=t("Secrets"), icon=":material/lock:")
