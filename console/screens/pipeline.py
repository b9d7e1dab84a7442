"""The pipeline in Dagster: the chain of a source, its runs, sensors and schedules."""

from __future__ import annotations

import time

import streamlit as st

from console.components.automation import automations, backfills
from console.components.widgets import age, at, chosen_row, confirm, load_or_report, page_buttons, table
from console.presenters import pipeline as presenters
from console.presenters.formats import duration
from console.presenters.sources import key_of
from console.session import PlatformRole, ahead, api, dagster, platform, shared, t
from rag_clients.dagster_answers import DagsterRun, failure_reason

_SETTINGS = shared().settings
_LINK = _SETTINGS.dagster_link or _SETTINGS.dagster_url
_PAGE_RUNS = 50


@st.fragment(run_every=_SETTINGS.refresh_seconds)
def chain(source: str) -> None:
    """The asset graph of one source with the state and age of each stage."""
    assets = load_or_report("Dagster", lambda: dagster().assets(key_of(source)))
    if assets is None:
        return
    rows = presenters.stage_rows(assets)
    if not rows:
        st.caption(t("Dagster has no assets for this source."))
        return
    shown = [
        {
            "stage": t(row["stage"]),
            "status": _marked(row["status"]),
            "at": age(row["at"]),
        }
        for row in rows
    ]
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.graphviz_chart(presenters.graph(rows), width="stretch")
    with right:
        table(shown, {"stage": t("Stage"), "status": t("Last run"), "at": t("Materialized")}, empty="")


def _marked(status: str) -> str:
    """A status shown by a mark and a word."""
    return f"{presenters.MARKS.get(status, '•')} {t(status)}"


def materialize(source: str, shards: int) -> None:
    """Run the chain or one stage of it."""
    key = key_of(source)

    def launch(why: str) -> str:
        chosen = [stage] if (stage := st.session_state.get("stage")) in presenters.STAGES else []
        api().record("dagster.launch", f"{key}_sync", why, source, stages=",".join(chosen) or "all")
        return t("Started: {id}", id=dagster().launch(key, shards=shards, stages=chosen)[:8])

    with st.container(horizontal=True, vertical_alignment="bottom"):
        stages = {name: t(name) for name in ("all", *presenters.STAGES)}
        st.selectbox(t("Stage"), list(stages), key="stage", format_func=stages.__getitem__, width=220)
        confirm(t("Materialize"), t("Starts a run of the chosen stage."), launch, key=f"run-{key}",
                icon=":material/play_arrow:")  # fmt: skip
        _open_dagster(t("Open Dagster"), _LINK)


def _open_dagster(label: str, address: str) -> None:
    """A link to Dagster, for those who may see what it shows: the runs of every tenant."""
    if platform() >= PlatformRole.READER:
        st.link_button(label, address, icon=":material/open_in_new:")


def runs(source: str) -> DagsterRun | None:
    """The run list of a source or of all; returns the run that is chosen."""
    failed = st.toggle(t("Only failed runs"), key="failed")
    cursor = st.session_state.get("cursor", "")
    job = f"{key_of(source)}_sync" if source else ""
    statuses = ["FAILURE"] if failed else []
    stages_call = ahead(api, lambda client: client.runs(source, 500))
    found = load_or_report("Dagster", lambda: dagster().runs(_PAGE_RUNS, job=job, statuses=statuses, cursor=cursor))
    if found is None:
        return None
    problems = presenters.problems(load_or_report("query server", stages_call) or []) if found else {}
    rows = [
        {**row, "status": _marked(row["status"]), "started": at(row["started"]), "run": row["run"][:8],
         "seconds": duration(row["seconds"], t) if row["seconds"] is not None else "–",
         "problem": problems.get(row["run"], "")}
        for row in presenters.run_rows(found, time.time())
    ]  # fmt: skip
    columns = {"source": t("Source"), "job": t("Job"), "status": t("State"), "started": t("Started"),
               "seconds": t("Duration"), "problem": t("Problem"), "shard": t("Shard"), "run": t("Run")}  # fmt: skip
    event = table(rows, columns, empty=t("No run yet."), on_select="rerun", selection_mode="single-row", key="runs")
    page_buttons("cursor", found[-1].run_id if len(found) == _PAGE_RUNS else "", t("Older runs"))
    picked = chosen_row(event)
    return found[picked] if picked is not None and picked < len(found) else None


def one_run(run: DagsterRun) -> None:
    """Show why it failed, and what can be done."""
    st.markdown(f"**{t('Run')} {run.run_id[:8]}** · {t(presenters.status_of(run))}")
    if run.status == "FAILURE":
        reason = failure_reason(load_or_report("Dagster", lambda: dagster().log(run.run_id)) or [])
        st.caption(t("Why it failed"))
        st.text(reason or t("Dagster recorded no reason."))

    def retry(why: str) -> str:
        api().record("dagster.retry", run.run_id, why, run.source, job=run.job)
        return t("Started: {id}", id=dagster().retry(run.run_id)[:8])

    def terminate(why: str) -> str:
        api().record("dagster.terminate", run.run_id, why, run.source, job=run.job)
        dagster().terminate(run.run_id)
        return t("The run is being stopped.")

    with st.container(horizontal=True):
        confirm(t("Retry"), t("Reruns the failed steps with the same settings."), retry, key=f"retry-{run.run_id}",
                icon=":material/replay:", disabled=run.status not in {"FAILURE", "CANCELED"})  # fmt: skip
        confirm(t("Terminate"), t("Stops the run. The next one resumes where it stopped."), terminate,
                key=f"stop-{run.run_id}", icon=":material/stop_circle:", disabled=not run.can_terminate)  # fmt: skip
        _open_dagster(t("Open in Dagster"), f"{_LINK}/runs/{run.run_id}")


st.title(t("Pipeline"))
details = {item.name: item for item in load_or_report("query server", lambda: api().sources()) or []}
source_name = st.selectbox(t("Source"), sorted(details), key="pipeline-source") if details else ""
if source_name:
    chain(source_name)
    materialize(source_name, max(1, details[source_name].shards))
# Only what is shown is asked for: the sensors of all sources take Dagster longer than the rest of the page.
run_tab, automation_tab, backfill_tab = st.tabs(
    [t("Runs"), t("Sensors and schedules"), t("Backfills")], key="pipeline-tab", on_change="rerun"
)
if run_tab.open:
    with run_tab:
        chosen = runs(source_name if source_name and st.toggle(t("Only this source"), key="mine") else "")
        if chosen is not None:
            one_run(chosen)
if automation_tab.open:
    with automation_tab:
        automations()
if backfill_tab.open:
    with backfill_tab:
        backfills()
