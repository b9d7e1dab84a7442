"""Deployments: releases, their share of traffic and check results; switch and roll back."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from console.components.deployments import actions, ci, history
from console.components.page_switch import page_title
from console.components.widgets import age, at, chosen_row, load_or_report, table
from console.presenters import deployments as presenters
from console.presenters.formats import duration
from console.session import api, shared, t


@st.fragment(run_every=shared().settings.refresh_seconds)
def colours() -> None:
    """Both colours; refreshes automatically."""
    found = load_or_report("query server", lambda: api().colours())
    if found is None:
        return
    rows = presenters.colour_rows(found, time.time())
    if rows and not any(row["watched"] for row in rows):
        st.warning(t("No deployer is running. Requests wait until one starts (rag up)."),
                   icon=":material/visibility_off:")  # fmt: skip
    shown = [
        {**row, "weight": f"{row['weight']} %", "release": row["release"] or "–", "target": t(row["target"]),
         "health": _health(row), "seen": age(row["seen"]),
         "keep": at(row["keep"]) if row["keep"] else "–"}
        for row in rows
    ]  # fmt: skip
    columns = {"colour": t("Colour"), "target": t("Target"), "release": t("Release"), "weight": t("Share of requests"),
               "health": t("Healthy servers"), "detail": t("Note"), "seen": t("Last seen"),
               "keep": t("Kept for a rollback until")}  # fmt: skip
    table(shown, columns, empty=t("Nothing was deployed by rag deploy yet."))


def _health(row: dict[str, Any]) -> str:
    """None of no servers is not health: a colour without servers serves nobody."""
    if row["well"] is None:
        return f"○ {t('no servers')}"
    return f"{'✔' if row['well'] else '✖'} {row['healthy']} / {row['servers']}"


def deployments() -> None:
    """The list; the newest is chosen unless another is."""
    found = load_or_report("query server", lambda: api().deployments())
    if not found:
        return
    st.header(t("Deployments"))
    rows = [
        {**row, "state": t(row["state"]), "weight": f"{row['weight']} %", "at": at(row["at"]),
         "seconds": duration(row["seconds"], t) if row["seconds"] is not None else t("in progress")}
        for row in presenters.deployment_rows(found)
    ]  # fmt: skip
    columns = {"id": "#", "release": t("Release"), "colour": t("Colour"), "state": t("State"),
               "weight": t("Share of requests"), "reason": t("Reason"), "actor": t("Actor"), "why": t("Why"),
               "at": t("Started"), "seconds": t("Duration")}  # fmt: skip
    event = table(rows, columns, empty="", on_select="rerun", selection_mode="single-row", key="deployments")
    picked = chosen_row(event)
    chosen = found[picked if picked is not None and picked < len(found) else 0]
    actions(chosen)
    history(chosen.id)


page_title("deployments")
colours()
deployments()
ci()
