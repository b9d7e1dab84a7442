"""Actions on a source, and the wizard for a new one."""

from __future__ import annotations

import streamlit as st

from console.clients.dagster_answers import Automation
from console.components.widgets import confirm
from console.presenters import sources as wizard
from console.presenters.sources import key_of
from console.session import api, shared, t
from ragproto.admin.v1 import operations_pb2 as ops

# --------------------------------------------------------------------------------------------------------------------
# Actions of an operator on a source.


def actions(source: str, detail: ops.SourceDetail, mine: list[Automation], *, has_runs: bool) -> None:
    """Sync, pause, resume, release; `mine` are the sensor and the schedule of the source."""
    if not has_runs:
        st.caption(t("Applications push to this source or a topic feeds it; it has no runs to start or pause."))
        return
    key, dagster = key_of(source), shared().dagster

    def sync(why: str) -> str:
        api().record("dagster.launch", f"{key}_sync", why, source)
        return t("Started: {id}", id=dagster.launch(key, shards=max(1, detail.shards))[:8])

    def switch(items: list[Automation], why: str, *, on: bool) -> str:
        api().record("dagster.resume" if on else "dagster.pause", source, why, source)
        for item in items:
            dagster.switch(item, on=on)
        return t("{count} switched on.", count=len(items)) if on else t("{count} switched off.", count=len(items))

    def release(why: str) -> str:
        return t("{count} deletions are approved for the next run.",
                 count=api().release(source, detail.held_deletions, why))  # fmt: skip

    sensor = next((item for item in mine if item.kind == "sensor"), None)

    def check(why: str) -> str:
        if sensor is None:
            return t("This source has no change sensor.")
        api().record("dagster.check", sensor.name, why, source)
        return t(
            "The source is readable: {note}.", note=dagster.check(sensor) or t("there are changes, a run would start")
        )

    on, off = [item for item in mine if item.running], [item for item in mine if not item.running]
    pause, resume = (lambda why: switch(on, why, on=False)), (lambda why: switch(off, why, on=True))
    held = detail.held_deletions
    offered = [
        ("troubleshoot", t("Check"), t("Connects to the source and checks for changes. Starts no run."),
         check, sensor is not None),
        ("sync", t("Sync now"), t("Lists the source and updates the index to match it."), sync, True),
        ("pause", t("Pause"), t("Stops the change sensor and the schedule. Runs in progress continue."), pause,
         bool(on)),
        ("play_arrow", t("Resume"), t("Starts the change sensor and the schedule."), resume, bool(off)),
        ("delete_sweep", t("Approve {count} deletions", count=held),
         t("The next run deletes the documents that the source no longer lists. This cannot be undone."), release,
         held > 0),
    ]  # fmt: skip
    with st.container(horizontal=True):
        for icon, label, explain, act, possible in offered:
            confirm(label, explain, act, key=f"{icon}-{key}", icon=f":material/{icon}:", disabled=not possible)


# --------------------------------------------------------------------------------------------------------------------
# The wizard that writes the YAML of a new source.


@st.fragment
def add_source() -> None:
    """The wizard. It writes no file: sources live in version control."""
    with st.form("wizard", border=False):
        left, right = st.columns(2)
        answers = wizard.Answers(
            name=left.text_input(t("Name"), max_chars=63),
            tenant=right.text_input(t("Tenant"), "default", max_chars=64),
            root=left.text_input(t("Folder (absolute path)"), max_chars=1024),
            acl=right.text_input(t("Who may read it (everyone, user:NAME, group:NAME)"), "everyone", max_chars=2048),
            include=left.text_input(t("Include patterns (**/*.md, …)"), max_chars=2048),
            exclude=right.text_input(t("Exclude patterns"), max_chars=2048),
            cron=left.text_input(t("Full comparison (cron)"), "0 3 * * *", max_chars=64),
            interval_seconds=int(right.number_input(t("Check for changes every (seconds)"), 5, 86_400, 30)),
        )
        if not st.form_submit_button(t("Generate YAML"), type="primary"):
            return
    for sentence in wizard.problems(answers):
        st.warning(t(sentence))
    if wizard.problems(answers):
        return
    st.code(wizard.source_yaml(answers), language="yaml")
    st.caption(
        t("Commit this file as {file} to the sources folder, then run: rag source check", file=f"{answers.name}.yaml")
    )
