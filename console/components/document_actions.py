"""Actions on a document: each says what will happen and reports what did."""

from __future__ import annotations

import streamlit as st

from console.clients.errors import ServiceError
from console.components.widgets import confirm
from console.i18n import N_
from console.presenters.sources import key_of
from console.session import Role, api, dagster, t
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

ERASE = N_(
    "Removes every trace, also from the audit log, and proves it by a receipt. It is done on the machine of the"
    " platform, with its operator's rights. A source that still has the document brings it back: delete it there"
    " first."
)
REINDEX = N_(
    "Cuts the stored text again, embeds what has no vector, and writes it to every generation that receives writes."
    " It can be found meanwhile. To read it from its source again, sync the source."
)


def actions(found: ops.InspectDocumentResponse, source: admin_pb2.SourceStatus | None, shards: int) -> None:
    """Index again, retry, discard, delete; and where to act on what concerns its source."""
    document = found.document
    streamed = source is None or source.streamed

    def reindex(why: str) -> str:
        done = api().reindex(document.doc_id, why)
        said = t("It will be written again to: {names}.", names=", ".join(done.generations) or t("none"))
        return f"{said} {_start(document.source, shards, why, streamed=streamed)}"

    def delete(why: str) -> str:
        place = api().delete_document(document.doc_id)
        return t("The deletion was accepted as change {number}; it is no longer found within a second.", number=place)

    stored = document.state != ops.DOCUMENT_STATE_DELETED
    with st.container(horizontal=True):
        confirm(t("Index again"), t(REINDEX), reindex, key="document-reindex", icon=":material/refresh:",
                disabled=not stored)  # fmt: skip
        if found.quarantine.id:
            quarantine_actions(found.quarantine, shards, streamed=streamed)
        if found.pushed:
            explain = t("Deletes the document from the store and the index. It can be pushed again.")
            confirm(t("Delete"), explain, delete, key="document-delete", icon=":material/delete:", need=Role.ADMIN,
                    asks=False, disabled=not stored)  # fmt: skip
        with st.popover(t("Erase"), icon=":material/delete_forever:"):
            st.write(t(ERASE))
            st.code(f"rag documents delete {document.doc_id} --erase", language=None, wrap_lines=True)
    if not found.pushed and stored:
        st.caption(t("To delete it, delete it at its source: the next run then removes it here."))


def quarantine_actions(entry: ops.QuarantineEntry, shards: int, *, streamed: bool) -> None:
    """Try a quarantined input again, or discard it."""

    def retry(why: str) -> str:
        api().redrive([entry.id], why)
        return f"{t('It will be tried again.')} {_start(entry.source, shards, why, streamed=streamed)}"

    def discard(why: str) -> str:
        api().discard([entry.id], why)
        return t("It stays out until it changes.")

    confirm(t("Try again"), t("The next run tries this input again, with its attempts reset."), retry,
            key="document-redrive", icon=":material/replay:")  # fmt: skip
    confirm(t("Discard"), t("This input stays out until it changes."), discard, key="document-discard",
            icon=":material/block:", disabled=entry.skipped)  # fmt: skip


def _start(source: str, shards: int, why: str, *, streamed: bool) -> str:
    """Start the run that does it; says what happens otherwise."""
    if streamed:
        return t("The stream worker does it in its next round.")
    key = key_of(source)
    try:
        api().record("dagster.launch", f"{key}_sync", why, source)
        return t("Started: {id}", id=dagster().launch(key, shards=max(1, shards))[:8])
    except ServiceError as error:
        return t("No run was started ({code}): the next one does it.", code=error.code)


def neighbours(name: str) -> None:
    """Link to the pages about the document's source."""
    source = {"source": name}
    with st.container(horizontal=True):
        st.page_link("screens/sources.py", label=t("Its source"), icon=":material/folder_open:", query_params=source)
        st.page_link("screens/pipeline.py", label=t("Runs of its source"), icon=":material/account_tree:")
        st.page_link("screens/quality.py", label=t("Quality"), icon=":material/fact_check:")
        st.page_link("screens/index.py", label=t("Generations"), icon=":material/database:")
        st.page_link("screens/ask.py", label=t("Ask"), icon=":material/forum:")
