"""One document: why it can be found or not, its chunks over its text, its readers, versions and history."""

from __future__ import annotations

import streamlit as st

from console.components.access_explanation import access_explanation
from console.components.page_image import has_pages, page_image
from console.components.widgets import at, explain, plain_markdown, table
from console.i18n import N_
from console.presenters import documents as presenters
from console.presenters.formats import plain
from console.presenters.records import around
from console.session import PlatformRole, platform, shared, t
from ragproto.admin.v1 import operations_pb2 as ops

PIECES = 10
"""Chunks and what stands between them, on one page of a text."""


def why(inspected: ops.InspectDocumentResponse) -> None:
    """Show whether it can be found, and everything that decides it."""
    state = t(presenters.STATES.get(inspected.document.state, "unknown"))
    sentence = t("State of this document: {state}.", state=state)
    if inspected.document.state == ops.DOCUMENT_STATE_SEARCHABLE:
        st.success(sentence, icon=":material/check_circle:")
    else:
        st.warning(sentence, icon=":material/warning:")
    for reason in presenters.reasons(inspected):
        values = {name: plain_markdown(str(value)) for name, value in reason.values if f"{{{name}}}" in reason.sentence}
        st.markdown(f"{':material/check:' if reason.good else ':material/close:'} {t(reason.sentence, **values)}")
    explain(inspected.quarantine.reason, inspected.quarantine.message, inspected.quarantine.remedy, in_run=True,
            id=inspected.quarantine.run_id)  # fmt: skip


def fields(inspected: ops.InspectDocumentResponse) -> None:
    """Show what is known of it, in columns that wrap on a narrow screen."""
    with st.container(horizontal=True, gap="medium"):
        for label, value in [*presenters.facts(inspected), (N_("First stored"), _moment(inspected, "first_stored_at"))]:
            with st.container(width="content", gap=None):
                st.caption(t(label))
                st.text(plain(value))


def _moment(inspected: ops.InspectDocumentResponse, name: str) -> str:
    return at(getattr(inspected, name).seconds) if inspected.HasField(name) else t("before this was recorded")


def details(inspected: ops.InspectDocumentResponse) -> None:
    """The tabs below the facts."""
    tabs = st.tabs([t("Text and chunks"), t("Who may read it"), t("Its history"), t("Versions"), t("Metadata")])
    for tab, show in zip(tabs, (text_and_chunks, who_may_read, history, versions, metadata), strict=True):
        with tab:
            show(inspected)


def text_and_chunks(inspected: ops.InspectDocumentResponse) -> None:
    """The text with its chunks framed; above it the span that the address of the page names."""
    if inspected.text_withheld:
        st.info(t("You may not read the text: the document's ACL excludes you."), icon=":material/lock:")
        chunk_table(inspected)
        return
    cited = st.query_params.get("span", "")
    bounds = [int(part) for part in cited.split("-") if part.isascii() and part.isdigit() and len(part) < 10]
    if has_pages(inspected.document.media_type):
        page_of_span(inspected.document.doc_id, bounds)
    if len(bounds) == 2:
        span(inspected.text, *bounds)
    if not inspected.text:
        st.caption(t("No text is stored."))
        return
    if not inspected.chunks:
        st.caption(t("This document has no chunks."))
    parts = presenters.pieces(inspected)
    pages = -(-len(parts) // PIECES)
    number = st.pagination(pages, key=f"pieces-{inspected.document.doc_id}") if pages > 1 else 1
    for part in parts[(number - 1) * PIECES : number * PIECES]:
        if part.chunk is None:
            st.text(part.text)
            continue
        with st.container(border=True):
            chunk_caption(part.chunk, part.text)
            st.text(part.text)
    if inspected.text_truncated:
        st.caption(t("The text is longer than what is shown."))


def page_of_span(doc_id: str, bounds: list[int]) -> None:
    """The page that the address names, with the span marked; the pages of a document whose address names none wait."""
    named = st.query_params.get("page", "")
    page = int(named) if named.isascii() and named.isdigit() and len(named) < 7 else 0
    if page or st.toggle(t("Show its pages"), key=f"pages-{doc_id}"):
        start, end = bounds if len(bounds) == 2 else (0, 0)
        page_image(doc_id, max(page, 1), start, end, key=f"pages-{doc_id}-{page}")


def chunk_caption(chunk: ops.ChunkSpan, text: str) -> None:
    """Show which chunk it is, and the headings above its text."""
    vector = t("with vector") if chunk.embedded else t("no vector yet")
    said = t("Chunk {number}: characters {start} to {end}, {tokens} tokens, {vector}", number=chunk.ordinal + 1,
             start=chunk.start, end=chunk.end, tokens=chunk.tokens, vector=vector)  # fmt: skip
    st.caption(said)
    if path := presenters.heading_path(chunk.headings, text):
        st.text(path)


def chunk_table(inspected: ops.InspectDocumentResponse) -> None:
    """Show where chunks are, without their text."""
    rows = [
        {"number": chunk.ordinal + 1, "start": chunk.start, "end": chunk.end, "tokens": chunk.tokens,
         "embedded": "✔" if chunk.embedded else "✖", "headings": plain(" › ".join(chunk.headings))}
        for chunk in inspected.chunks
    ]  # fmt: skip
    columns = {"number": "#", "start": t("From"), "end": t("To"), "tokens": t("Tokens"), "embedded": t("Vector"),
               "headings": t("Headings")}  # fmt: skip
    table(rows, columns, empty=t("This document has no chunks."))


def span(text: str, start: int, end: int) -> None:
    """A span of the text in its surroundings."""
    before, inside, after = around(text, start, end)
    st.caption(t("Characters {start} to {end}", start=start, end=end))
    with st.container(height=320):
        st.text(before)
        with st.container(border=True):
            st.text(inside)
        st.text(after)


def who_may_read(inspected: ops.InspectDocumentResponse) -> None:
    """Its ACL in words, and where it comes from."""
    if not inspected.acl:
        st.warning(t("Nobody may read it."), icon=":material/lock:")
    for sentence, name in presenters.readers(inspected):
        st.text(t(sentence, name=name) if name else t(sentence))
    if inspected.acl_inherited:
        st.caption(t("This is the default of its source: the document itself names nobody."))
    elif inspected.acl:
        st.caption(t("The document itself says so."))
    access_explanation(inspected.document.doc_id)


def history(inspected: ops.InspectDocumentResponse) -> None:
    """Show what happened, newest first, with the run that did it."""
    runs = platform() >= PlatformRole.READER and not inspected.pushed
    link = shared().settings.dagster_link or shared().settings.dagster_url
    rows = [
        {**row, "at": at(row["at"]), "run": f"{link}/runs/{row['run']}" if runs and row["run"] else row["run"]}
        for row in presenters.history_rows(inspected, t)
    ]
    run = st.column_config.LinkColumn(t("Run"), display_text=r"/runs/([^-/]+)") if runs else t("Run")
    columns = {"at": t("Time"), "event": t("What happened"), "actor": t("By"), "run": run}
    table(rows, columns, empty=t("Nothing is recorded."))
    st.caption(t("As far as it is kept: pushes and actions for as long as their logs, citations by rated answers."))


def versions(inspected: ops.InspectDocumentResponse) -> None:
    """Show which version each generation has."""
    st.caption(t("Stored version: {version}", version=inspected.document.version))
    rows = [
        {"generation": item.generation, "state": t(item.state), "version": item.indexed_version or t("none")}
        for item in inspected.generations
    ]
    columns = {"generation": t("Generation"), "state": t("State"), "version": t("Indexed version")}
    table(rows, columns, empty=t("There is no generation yet."))


def metadata(inspected: ops.InspectDocumentResponse) -> None:
    """Show what its source declared, and what the parser noticed."""
    rows = [{"name": plain(name), "value": plain(value)} for name, value in sorted(inspected.metadata.items())]
    table(rows, {"name": t("Name"), "value": t("Value")}, empty=t("It has no metadata."))
    if inspected.flags:
        st.caption(t("Noticed while reading"))
        st.text(plain("\n".join(inspected.flags)))
