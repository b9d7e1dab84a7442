"""Deployments, switch and rollback, and the pipelines of GitLab."""

from __future__ import annotations

import streamlit as st

from console.components.widgets import age, at, confirm, load_or_report, plain_markdown, table
from console.presenters import deployments as presenters
from console.presenters.formats import duration
from console.session import PlatformRole, api, shared, t
from ragproto.admin.v1 import deployments_pb2 as deploy

# --------------------------------------------------------------------------------------------------------------------
# One deployment: its progress, the results of its checks, switch and rollback.


def actions(found: deploy.Deployment) -> None:
    """Switch and roll back, when the deployer would take it."""
    release, number = plain_markdown(found.release), found.id

    def switch(why: str) -> str:
        api().switch_deployment(number, why)
        return t("Requested. The deployer shifts the traffic in steps; the history below shows the progress.")

    def roll_back(why: str) -> str:
        api().roll_back_deployment(number, why)
        return t("Requested. The deployer returns the traffic at once.")

    steps = ", ".join(f"{step} %" for step in found.steps) or "100 %"
    back = plain_markdown(found.from_colour) or "…"
    with st.container(horizontal=True):
        confirm(t("Switch to {release}", release=release),
                t("Shifts the traffic in these steps: {steps}.", steps=steps), switch, key="switch",
                need=PlatformRole.ADMIN, icon=":material/swap_horiz:", must_say=True,
                disabled=not found.can_switch)  # fmt: skip
        confirm(t("Roll back {release}", release=release),
                t("Returns all traffic to {colour} at once and rolls back a generation promoted with the release.",
                  colour=back),
                roll_back, key="roll-back", need=PlatformRole.ADMIN, icon=":material/undo:", must_say=True,
                disabled=not found.can_roll_back)  # fmt: skip


@st.fragment(run_every=shared().settings.refresh_seconds)
def history(number: int) -> None:
    """State, weight and every check of a deployment; refreshes automatically."""
    found = load_or_report("query server", lambda: api().deployment(number))
    if found is None:
        return
    item = found.deployment
    state = t(presenters.STATES.get(item.state, "unknown"))
    values = {"release": plain_markdown(item.release), "state": state, "weight": item.weight}
    st.progress(min(100, item.weight), t("{release}: {state}, {weight} % of the requests", **values))
    if item.wanted:
        st.info(t("Requested, not done yet: {what}.", what=t(item.wanted)), icon=":material/hourglass_top:")
    if item.reason:
        st.warning(item.reason, icon=":material/warning:")
        st.text(item.detail)
    rows = [
        {**row, "at": at(row["at"]), "passed": f"✔ {t('passed')}" if row["passed"] else f"✖ {t('failed')}",
         "weight": f"{row['weight']} %", "seconds": duration(row["seconds"], t)}
        for row in presenters.step_rows(found.history)
    ]  # fmt: skip
    columns = {
        "at": t("When"),
        "step": t("Step"),
        "passed": t("Result"),
        "weight": t("Share of requests"),
        "seconds": t("Duration"),
        "reason": t("Reason"),
        "detail": t("Found"),
        "figures": t("Figures"),
    }
    table(rows, columns, empty=t("No entries."))


# --------------------------------------------------------------------------------------------------------------------
# Pipelines and environments of GitLab, when it is configured.


@st.fragment(run_every=60)
def ci() -> None:
    """Refreshes every minute: GitLab limits the rate of requests."""
    gitlab = shared().gitlab
    if not gitlab.configured:
        return
    st.header("GitLab")
    left, right = st.columns(2, gap="medium")
    with left:
        pipelines = load_or_report("GitLab", gitlab.pipelines)
        if pipelines is not None:
            rows = [{**row, "at": age(row["at"])} for row in presenters.pipeline_rows(pipelines)]
            columns = {"number": t("GitLab pipeline"), "status": t("State"), "ref": t("Branch or tag"),
                       "commit": t("Commit"), "at": t("Changed")}  # fmt: skip
            table(rows, columns, empty=t("None."))
    with right:
        environments = load_or_report("GitLab", gitlab.environments)
        if environments is not None:
            rows = [{**row, "at": age(row["at"])} for row in presenters.environment_rows(environments)]
            columns = {"name": t("Environment"), "state": t("State"), "deployed": t("Deployed"), "at": t("Changed")}
            table(rows, columns, empty=t("None."))
