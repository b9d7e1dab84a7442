"""Sensors, schedules and backfills."""

from __future__ import annotations

import streamlit as st

from console.components.widgets import age, at, chosen_row, confirm, load_or_report, plain_markdown, table
from console.presenters import pipeline as presenters
from console.session import api, dagster, shared, t
from rag_clients.dagster import source_of
from rag_clients.dagster_answers import Automation

# --------------------------------------------------------------------------------------------------------------------
# Sensors and schedules, and their switch.


def automations() -> None:
    """Sensors and schedules with their last tick; one can be switched."""
    found = load_or_report("Dagster", lambda: dagster().automations())
    if found is None:
        return
    rows = [
        {**row, "kind": t(row["kind"]), "last": age(row["last"]), "tick": t(row["tick"]) if row["tick"] else "",
         "next": at(row["next"]) if row["next"] else "–"}
        for row in presenters.automation_rows(found)
    ]  # fmt: skip
    columns = {"name": t("Name"), "kind": t("Kind"), "on": t("On"), "last": t("Last tick"), "tick": t("Result"),
               "next": t("Next"), "note": t("Note")}  # fmt: skip
    event = table(rows, columns, empty=t("None."), on_select="rerun", selection_mode="single-row", key="automations")
    picked = chosen_row(event)
    if picked is not None and picked < len(found):
        _switch(found[picked])


def _switch(item: Automation) -> None:
    def switch(why: str) -> str:
        action = "dagster.pause" if item.running else "dagster.resume"
        api().record(action, item.name, why, source_of(item.job))
        dagster().switch(item, on=not item.running)
        return t("Done. The list shows it after its next refresh.")

    name = plain_markdown(item.name)
    label = t("Switch {name} off", name=name) if item.running else t("Switch {name} on", name=name)
    confirm(label, t("Runs in progress continue."), switch, key=f"switch-{item.name}")


# --------------------------------------------------------------------------------------------------------------------
# Backfills and how far each is.


@st.fragment(run_every=shared().settings.refresh_seconds)
def backfills() -> None:
    """The newest backfills; refreshes automatically."""
    found = load_or_report("Dagster", lambda: dagster().backfills())
    if found is None:
        return
    rows = [{**row, "at": age(row["at"]), "status": t(row["status"])} for row in presenters.backfill_rows(found)]
    columns = {
        "source": t("Source"),
        "status": t("State"),
        "at": t("Started"),
        "progress": st.column_config.ProgressColumn(t("Progress"), format="percent", min_value=0, max_value=1),
        "done": t("Shards done"),
        "failed": t("Failed"),
    }
    table(rows, columns, empty=t("None."))
