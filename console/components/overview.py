"""The tables of the overview: components, alerts, freshness, runs."""

from __future__ import annotations

import time

import streamlit as st

from console.clients.dagster_answers import Run
from console.clients.errors import ServiceError
from console.components.widgets import age, at, problem, table
from console.presenters import health
from console.presenters.conditions import marked
from console.presenters.formats import duration, number
from console.presenters.pipeline import MARKS, run_rows
from console.session import shared, t
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops


def components(rows: list[health.HealthRow]) -> None:
    """Every component, and why it is not healthy."""
    st.subheader(t("Components"))
    shown = [
        {
            "component": t(row.component),
            "state": f"✔ {t('healthy')}" if row.healthy else f"✖ {t('not healthy')}",
            "reason": row.reason,
        }
        for row in rows
    ]
    columns = {"component": t("Component"), "state": t("State"), "reason": t("Reason")}
    table(shown, columns, empty="")


def alerts(found: list[ops.Alert] | ServiceError) -> None:
    """The open alerts."""
    st.subheader(t("Open alerts"))
    if isinstance(found, ServiceError):
        problem("Alerts", found)
        return
    shared().outages.pop("Alerts", None)
    rows = [{**row, "severity": t(row["severity"]), "at": age(row["at"])} for row in health.alert_rows(found)]
    table(rows, {"severity": t("Severity"), "summary": t("Alert"), "at": t("Since")}, empty=t("None."))


def freshness(status: admin_pb2.GetStatusResponse) -> None:
    """Each source against its objective, those that miss it first."""
    st.subheader(t("Freshness"))
    conditions = {item.name: marked(item.condition, t, at) for item in status.sources}
    marks = {True: f"✔ {t('met')}", False: f"✖ {t('missed')}", None: "–"}
    rows = [
        {
            "source": row["source"],
            "state": conditions[row["source"]],
            "met": marks[row["met"]],
            "age": duration(row["age"]) if row["age"] is not None else t("never"),
            "objective": duration(row["objective"]) if row["objective"] else "–",
            "documents": number(row["documents"]),
            "pending": number(row["pending"]),
        }
        for row in health.freshness_rows(status.sources, time.time())
    ]
    columns = {"source": t("Source"), "state": t("State"), "met": t("Objective"), "age": t("Age"),
               "objective": t("Maximum"), "documents": t("Documents"), "pending": t("To be indexed")}  # fmt: skip
    table(rows, columns, empty=t("No source has run yet."))


def last_runs(runs: list[Run] | ServiceError) -> None:
    """The newest runs of all sources."""
    st.subheader(t("Last runs"))
    if isinstance(runs, ServiceError):
        problem("Runs", runs)
        return
    shared().outages.pop("Runs", None)
    rows = [
        {**row, "started": at(row["started"]), "status": f"{MARKS.get(row['status'], '•')} {t(row['status'])}",
         "seconds": duration(row["seconds"]) if row["seconds"] is not None else "–"}
        for row in run_rows(runs[:8], time.time())
    ]  # fmt: skip
    columns = {"source": t("Source"), "status": t("State"), "started": t("Started"), "seconds": t("Duration")}
    table(rows, columns, empty=t("No run yet."))
