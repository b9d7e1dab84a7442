"""What a new generation would cost, and building it behind the one that readers are on."""

from __future__ import annotations

import streamlit as st

from console.session import Platform, api, t
from console.ui import attempt, confirm, table
from console.views import generations as views


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
    settings = chunking | views.pairs(further)
    if asked:
        st.session_state.pop("forecast", None)
        found = attempt(lambda: api().build(settings=settings, dry_run=True))
        if found is not None:
            st.session_state["forecast"] = (settings, found.forecast)
    kept = st.session_state.get("forecast")
    if kept is None or kept[0] != settings:
        return
    facts = [{"fact": t(label), "value": text} for label, text in views.forecast_facts(kept[1])]
    table(facts, {"fact": t("Forecast"), "value": t("Value")}, empty="")

    def build(why: str) -> str:
        # The forecast stands above the button: that is the consent which a build above the limits needs.
        name = api().build(settings=settings, reason=why, confirmed=True).generation
        return t("{name} is declared; the pipeline builds it behind the active one.", name=name)

    confirm(t("Build it"), t("Embeds what is missing, beside the one that readers are on. Readers notice nothing."),
            build, key="build", need=Platform.ADMIN, icon=":material/construction:")  # fmt: skip
