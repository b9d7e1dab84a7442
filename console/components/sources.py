"""The state of a source, and actions on it."""

from __future__ import annotations

import streamlit as st

from console.components.held_deletions import review
from console.components.widgets import DEFECTS, at, confirm, plain_markdown, say
from console.i18n import ENGLISH
from console.presenters.conditions import headline, remedy, sentence
from console.presenters.sources import key_of
from console.session import PlatformRole, api, language, platform, shared, t
from rag_clients.dagster_answers import Automation
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops


def show_source(source: admin_pb2.SourceStatus) -> None:
    """Show what a source does now; of one that fails first the cause, as a headline."""
    if source.condition.message and (source.condition.needs_attention or source.condition.HasField("failing_since")):
        st.error(plain_markdown(headline(source, t, language())), icon=":material/error:")
    show_condition(source.condition)


def show_condition(condition: admin_pb2.SourceCondition) -> None:
    """Show what the source does now, or what it needs."""
    words = sentence(condition, t, at)
    said = words[:1].upper() + words[1:]
    if condition.state == admin_pb2.SOURCE_STATE_EMBEDDING:
        st.progress(condition.percent / 100, said)
    else:
        show = st.error if condition.state == admin_pb2.SOURCE_STATE_FAILED else st.info
        (st.warning if condition.needs_attention and show is st.info else show)(plain_markdown(said))
    if condition.HasField("failing_since") and condition.state != admin_pb2.SOURCE_STATE_FAILED:
        since = at(condition.failing_since.seconds)
        st.warning(t("It has failed since {since} and is tried again: {reason}", since=since, reason=condition.reason))
    message, what_to_do = condition.message, remedy(condition, language())
    if message and language() != ENGLISH:
        message, what_to_do = what_to_do, t("Details in English: {text}", text=message)
    for text in (message, what_to_do):
        say(text)
    if condition.reason in DEFECTS and condition.run_id:
        _run_to_report(condition.run_id)


def _run_to_report(run_id: str) -> None:
    """The id of a run that met a defect, to copy, and the page that has the rest."""
    st.code(run_id, language=None)
    if platform() >= PlatformRole.READER:
        address = f"{shared().settings.dagster_link or shared().settings.dagster_url}/runs/{run_id}"
        st.link_button(t("Open in Dagster"), address, icon=":material/open_in_new:")
    else:
        st.page_link("screens/pipeline.py", label=t("Runs of its source"), icon=":material/account_tree:")


def actions(source: str, detail: ops.SourceDetail, mine: list[Automation], *, has_runs: bool) -> None:
    """Sync, pause, resume, release; `mine` are the sensor and the schedule of the source."""
    if not has_runs:
        st.caption(t("Applications push to this source or a topic feeds it; it has no runs to start or pause."))
        return
    key, dagster = key_of(source), shared().dagster
    sensor = next((item for item in mine if item.kind == "sensor"), None)

    def sync(why: str) -> str:
        watched, read_before = sensor is not None and sensor.running, bool(detail.last_complete_at.seconds)
        if run := dagster.under_way(key, watched=watched, read_before=read_before):
            return t("A run that does this is under way: {id}. No second one was started.", id=run[:8])
        api().record("dagster.launch", f"{key}_sync", why, source)
        return t("Started: {id}", id=dagster.launch(key, shards=max(1, detail.shards))[:8])

    def switch(items: list[Automation], why: str, *, on: bool) -> str:
        api().record("dagster.resume" if on else "dagster.pause", source, why, source)
        for item in items:
            dagster.switch(item, on=on)
        return t("{count} switched on.", count=len(items)) if on else t("{count} switched off.", count=len(items))

    def check(why: str) -> str:
        if sensor is None:
            return t("This source has no change sensor.")
        api().record("dagster.check", sensor.name, why, source)
        return t(
            "The source is readable: {note}.", note=dagster.check(sensor) or t("there are changes, a run would start")
        )

    on, off = [item for item in mine if item.running], [item for item in mine if not item.running]
    pause, resume = (lambda why: switch(on, why, on=False)), (lambda why: switch(off, why, on=True))
    held = max(0, detail.held_deletions - detail.approved_deletions)
    offered = [
        ("troubleshoot", t("Check"), t("Connects to the source and checks for changes. Starts no run."),
         check, sensor is not None),
        ("sync", t("Sync now"), t("Lists the source and updates the index to match it."), sync, True),
        ("pause", t("Pause"), t("Stops the change sensor and the schedule. Runs in progress continue."), pause,
         bool(on)),
        ("play_arrow", t("Resume"), t("Starts the change sensor and the schedule."), resume, bool(off)),
    ]  # fmt: skip
    with st.container(horizontal=True):
        for icon, label, explain, act, possible in offered:
            confirm(label, explain, act, key=f"{icon}-{key}", icon=f":material/{icon}:", disabled=not possible)
        review(source, held)
