"""Index generations: their contents and actions (build, evaluate, promote, roll back, retire)."""

from __future__ import annotations

import time

import streamlit as st

from console.components.widgets import age, at, attempt, chosen_row, confirm, load_or_report, plain_markdown, table
from console.presenters import generations as presenters
from console.presenters.formats import number, size
from console.session import PlatformRole, api, t
from ragproto.admin.v1 import admin_pb2

# --------------------------------------------------------------------------------------------------------------------
# Index generations: contents, gate results and actions.


def generations() -> None:
    """The list; one can be chosen."""
    status = load_or_report("query server", lambda: api().status())
    if status is None:
        return
    found = list(status.generations)
    rows = [
        {**row, "state": t("frozen") if row["frozen"] else t(row["state"]), "points": number(row["points"]),
         "documents": number(row["documents"]), "pending": number(row["pending"]), "bytes": size(row["bytes"]),
         "parity": f"{row['parity']:.1%}" if row["parity"] is not None else "–",
         "ndcg": f"{row['ndcg']:.3f}" if row["ndcg"] is not None else "–",
         "gate": t(row["gate"]), "at": age(row["at"])}
        for row in presenters.rows(found)
    ]  # fmt: skip
    columns = {"name": t("Name"), "state": t("State"), "model": t("Model"), "documents": t("Documents"),
               "pending": t("To be indexed"), "points": t("Vectors"), "bytes": t("Size"),
               "parity": t("Parity"), "ndcg": "nDCG@10", "gate": t("Gate"), "at": t("Created")}  # fmt: skip
    event = table(rows, columns, empty=t("There is no generation yet."), on_select="rerun",
                  selection_mode="single-row", key="generations")  # fmt: skip
    picked = chosen_row(event)
    chosen = found[picked] if picked is not None and picked < len(found) else presenters.foremost(found)
    _actions(chosen, found)
    if chosen is not None:
        _details(chosen)


def _actions(chosen: admin_pb2.Generation | None, found: list[admin_pb2.Generation]) -> None:
    name = chosen.name if chosen is not None else ""
    shown = plain_markdown(name) or "…"
    state = chosen.state if chosen is not None else ""
    passed = chosen is not None and presenters.gate(chosen) == "passed"
    before = next((item.promoted_from for item in found if item.state == "active" and item.promoted_from), "")

    def evaluate(why: str) -> str:
        api().evaluate(name)
        return t("The pipeline runs the gate; its result appears in the list.")

    def promote(why: str) -> str:
        move = api().promote(name, why, override=not passed)
        return t("Searches now use {name}.", name=move.active)

    def roll_back(why: str) -> str:
        return t("Searches now use {name}.", name=api().roll_back(why).active)

    kept = chosen is not None and presenters.kept(chosen, time.time())

    def retire(why: str) -> str:
        api().retire(name, why, now=kept)
        return t("{name} is retired.", name=name)

    need = PlatformRole.ADMIN
    moved = t("Searches switch to it at once. The previous generation is kept for a rollback.")
    overrides = t("The gate has not passed. Your reason overrides the gate and is recorded.")
    ends = t("Deletes its files and keeps its history. A rollback to it is no longer possible.")
    if chosen is not None and kept:
        until = at(chosen.keep_until.seconds)
        ends += " " + t("Kept for a rollback until {time}. Giving a reason retires it now.", time=until)
    with st.container(horizontal=True):
        confirm(t("Evaluate {name}", name=shown), t("Runs the promotion gate: parity, coverage, retrieval, latency."),
                evaluate, key="evaluate", need=need, icon=":material/rule:", asks=False,
                disabled=state not in {"ready", "active"})  # fmt: skip
        confirm(t("Promote {name}", name=shown), moved if passed else overrides, promote, key="promote", need=need,
                icon=":material/upgrade:", disabled=state != "ready", must_say=not passed)  # fmt: skip
        confirm(t("Roll back to {name}", name=plain_markdown(before) or "…"),
                t("Searches return to the previous generation."), roll_back, key="rollback", need=need,
                icon=":material/undo:", disabled=not before)  # fmt: skip
        confirm(t("Retire {name}", name=shown), ends, retire, key="retire", need=need, icon=":material/delete:",
                disabled=state not in {"building", "ready", "retired"} or not name, must_say=kept)  # fmt: skip


def _details(chosen: admin_pb2.Generation) -> None:
    if evaluated := chosen.evaluated_at.seconds:
        st.caption(t("Gate results {time}", time=at(evaluated)))
    rows = [{**row, "passed": f"✔ {t('passed')}" if row["passed"] else f"✖ {t('failed')}"}
            for row in presenters.check_rows(chosen)]  # fmt: skip
    columns = {"check": t("Check"), "passed": t("Result"), "detail": t("Found")}
    table(rows, columns, empty=t("Not evaluated yet."))
    st.caption(t("History"))
    events = [{**row, "at": at(row["at"])} for row in presenters.event_rows(chosen)]
    columns = {
        "at": t("When"),
        "actor": t("Actor"),
        "action": t("Action"),
        "reason": t("Reason"),
        "detail": t("Details"),
    }
    table(events, columns, empty=t("No entries."))


# --------------------------------------------------------------------------------------------------------------------
# The forecast of a new generation, and its build beside the active one.


def build_generation() -> None:
    """The form, the forecast and, after it, the button that declares the generation."""
    with st.form("build", border=False):
        left, middle, right = st.columns(3)
        tokens = left.number_input(t("Tokens per chunk"), 50, 2000, 200, key="build-tokens")
        overlap = middle.number_input(t("Overlap (tokens)"), 0, 500, 0, key="build-overlap")
        further = right.text_input(
            t("Further settings (embed_model=…, embedder=…)"), max_chars=2000, key="build-further"
        )
        context = st.checkbox(t("Embed title and headings with each chunk"), value=True, key="build-context")
        asked = st.form_submit_button(t("Forecast the cost"), type="primary")
    chunking = {"chunk_tokens": str(tokens), "chunk_overlap": str(overlap), "chunk_context": str(context).lower()}
    settings = chunking | presenters.pairs(further)
    if asked:
        st.session_state.pop("forecast", None)
        found = attempt(lambda: api().build(settings=settings, dry_run=True))
        if found is not None:
            st.session_state["forecast"] = (settings, found.forecast)
    kept = st.session_state.get("forecast")
    if kept is None or kept[0] != settings:
        return
    facts = [{"fact": t(label), "value": text} for label, text in presenters.forecast_fields(kept[1], t)]
    table(facts, {"fact": t("Forecast"), "value": t("Value")}, empty="")

    def build(why: str) -> str:
        # The forecast stands above the button: that is the consent which a build above the limits needs.
        name = api().build(settings=settings, reason=why, confirmed=True).generation
        return t("{name} is declared. The pipeline builds it beside the active generation.", name=name)

    confirm(t("Build"), t("Embeds only what is missing, beside the active generation. Searches are not affected."),
            build, key="build", need=PlatformRole.ADMIN, icon=":material/construction:")  # fmt: skip
