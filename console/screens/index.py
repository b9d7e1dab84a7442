"""The index: its generations, and a document with its chunks and spans."""

from __future__ import annotations

import streamlit as st

from console.components.generations import build_generation, generations
from console.components.widgets import age, at, chosen_row, load_or_report, table, timestamp
from console.presenters import records as views
from console.presenters.formats import plain, size
from console.session import api, t
from ragproto.admin.v1 import operations_pb2 as ops


def find() -> str | None:
    """Documents by a part of their name; returns the id of the one that is chosen."""
    asked = st.query_params.get("doc", "")
    text = st.text_input(
        t("Why is a document missing? Enter its id, or part of its path or title"),
        value=asked,
        max_chars=1024,
        key="find",
    )
    found = load_or_report("query server", lambda: api().find(text.strip()))
    if found is None:
        return None
    rows = [{**row, "state": t(row["state"]), "at": age(row["at"])} for row in views.document_rows(found)]
    columns = {"locator": t("Document"), "title": t("Title"), "source": t("Source"), "state": t("State"),
               "version": t("Version"), "at": t("Changed")}  # fmt: skip
    event = table(
        rows, columns, empty=t("No such document is stored. Check that the source contains it and has run."),
        on_select="rerun", selection_mode="single-row", key="documents",
    )  # fmt: skip
    picked = chosen_row(event)
    if picked is None and text.strip() and len(rows) == 1:
        picked = 0
    if picked is None or picked >= len(rows):
        return None
    if not rows[picked]["version"]:
        st.info(t("This document was never stored. See the quarantine for the reason."))
        return None
    return str(rows[picked]["doc_id"])


def inspect(doc_id: str) -> None:
    """Facts, place in each generation, chunks and the text of one of them in its surroundings."""
    found = load_or_report("query server", lambda: api().inspect(doc_id))
    if found is None:
        return
    st.text(plain(found.document.title or found.document.locator))
    search_state(found)
    facts = {
        t("Type"): found.media_type,
        t("Language"): found.language or "–",
        t("Size"): size(found.bytes),
        t("Version"): str(found.document.version),
        t("Chunks"): str(len(found.chunks)),
        t("Who may read it"): ", ".join(found.acl) or t("nobody"),
    }
    for column, (label, value) in zip(st.columns(len(facts)), facts.items(), strict=True):
        column.caption(label)
        column.text(plain(value))
    held = [
        {"generation": item.generation, "state": t(item.state), "version": item.indexed_version or t("none")}
        for item in found.generations
    ]
    left, right = st.columns([2, 3], gap="large")
    with left:
        table(held, {"generation": t("Generation"), "state": t("State"), "version": t("Indexed version")}, empty="")
        rows = views.chunk_rows(found)
        columns = {"ordinal": "#", "start": t("From"), "end": t("To"), "tokens": t("Tokens"), "embedded": t("Vector"),
                   "headings": t("Headings")}  # fmt: skip
        event = table(
            rows,
            columns,
            empty=t("This document has no chunks."),
            on_select="rerun",
            selection_mode="single-row",
            key="chunks",
        )
    with right:
        span(found, chosen_row(event))


def search_state(found: ops.InspectDocumentResponse) -> None:
    """Whether it can be found, and why not."""
    state = t(views.STATES.get(found.document.state, "unknown"))
    sentence = t("State of this document: {state}.", state=state)
    if found.document.state == ops.DOCUMENT_STATE_SEARCHABLE:
        st.success(sentence, icon=":material/check_circle:")
    else:
        st.warning(sentence, icon=":material/warning:")
    if found.quarantine.id:
        st.text(plain(f"{found.quarantine.reason}: {found.quarantine.message}"))
    if found.HasField("deleted_at"):
        st.caption(t("Deleted {time}", time=at(timestamp(found.deleted_at))))


def span(found: ops.InspectDocumentResponse, chunk: int | None) -> None:
    """The text, or a chunk or cited span of it in its surroundings."""
    if found.text_withheld:
        st.info(t("You may not read the text: the document's ACL excludes you."), icon=":material/lock:")
        return
    cited = st.query_params.get("span", "")
    bounds = [int(part) for part in cited.split("-") if part.isascii() and part.isdigit() and len(part) < 10]
    if chunk is not None and chunk < len(found.chunks):
        bounds = [found.chunks[chunk].start, found.chunks[chunk].end]
    if len(bounds) != 2:
        with st.container(height=420):
            st.text(plain(found.text))
        return
    before, inside, after = views.around(found.text, *bounds)
    st.caption(t("Characters {start} to {end}", start=bounds[0], end=bounds[1]))
    with st.container(height=420):
        st.text(before)
        with st.container(border=True):
            st.text(inside)
        st.text(after)


st.title(t("Index"))
generations()
with st.expander(t("Build a generation"), icon=":material/construction:"):
    build_generation()
st.subheader(t("Documents"))
chosen = find()
if chosen is not None:
    inspect(chosen)
