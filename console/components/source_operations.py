"""Operations on sources: ask, wait, and show the result. Texts of sources are shown as text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import streamlit as st

from console.clients.errors import ServiceError
from console.components.widgets import explain, plain_markdown, problem, table
from console.i18n import with_meaning
from console.presenters import new_source as forms
from console.presenters.documents import heading_path
from console.presenters.formats import number, size
from console.session import api, language, t
from ragproto.admin.v1 import sources_pb2 as pb

_POLL_SECONDS = 0.5
PATIENCE_SECONDS = 120.0
"""Until a worker takes an operation."""
RUNNING_SECONDS = 7200.0
"""More than a worker allows: a deletion gets ten times `RAG_SOURCE_OPERATION_SECONDS`, which is at most 600."""
_OPEN = (pb.SOURCE_OPERATION_STATE_QUEUED, pb.SOURCE_OPERATION_STATE_RUNNING)


def show_unwritten(file: pb.SourceFile) -> None:
    """Show what to do with a file where the folder of source files is read-only: merge the request, or commit it."""
    if file.merge_request:
        st.success(t("The folder of source files is read-only here, so a merge request was opened. The source appears"
                     " with the deployment after it is merged."), icon=":material/merge:")  # fmt: skip
        st.link_button(t("Open the merge request"), file.merge_request, icon=":material/open_in_new:")
        return
    st.warning(t("The folder of source files is read-only here. Commit this file as {file} where it comes from; the"
                 " source appears with the next deployment.", file=file.name))  # fmt: skip


def operate(action: pb.SourceAction, source: str, waiting: str, **fields: Any) -> pb.SourceOperation | None:
    """Carry out an operation; `None` after showing why it failed. `waiting` is shown meanwhile."""
    try:
        with st.spinner(waiting, show_time=True):
            return _ended(api().source_admin.start(action=action, source=source, **fields))
    except ServiceError as error:
        _show(error)
        return None


def source_kinds() -> list[forms.SourceKind]:
    """The kinds that are installed where connectors run; asked once in a session."""
    if "source-kinds" not in st.session_state:
        found = operate(pb.SOURCE_ACTION_KINDS, "", t("Reading the kinds of source …"))
        if found is None:
            return [forms.UPLOAD_KIND]
        st.session_state["source-kinds"] = found.kinds
        for kind in found.kinds.kinds:
            if kind.problem:
                st.session_state.setdefault("broken-kinds", []).append(kind)
    for kind in st.session_state.get("broken-kinds", []):
        st.warning(plain_markdown(t("The kind {kind} of the package {package} cannot be used: {problem}",
                                    kind=kind.name, package=kind.package, problem=kind.problem)))  # fmt: skip
    return forms.kinds_of(st.session_state["source-kinds"])


def _ended(operation: pb.SourceOperation) -> pb.SourceOperation:
    began = time.monotonic()
    while operation.state in _OPEN:
        limit = RUNNING_SECONDS if operation.state == pb.SOURCE_OPERATION_STATE_RUNNING else PATIENCE_SECONDS
        if time.monotonic() - began > limit:
            raise ServiceError("stream worker", "SOURCE_OPERATION_TIMEOUT", t("No stream worker took the request."))
        time.sleep(_POLL_SECONDS)
        operation = api().source_admin.operation(operation.id)
    if operation.state == pb.SOURCE_OPERATION_STATE_FAILED:
        raise ServiceError("query server", operation.reason, operation.message, str(operation.id))
    return operation


def _show(error: ServiceError) -> None:
    if error.down:
        problem("query server", error)
        return
    st.error(t("Not done: {code}.", code=error.code), icon=":material/error:")
    explain(error.code, error.detail, id=error.id)


def show_check(check: pb.SourceCheck) -> None:
    """Show whether a source can be read, with the source's own error."""
    if check.ok:
        more = "+" if check.more else ""
        st.success(t("Connected. Items found: {count}.", count=f"{number(check.items)}{more}"), icon=":material/check:")
    else:
        st.error(t("The source cannot be read: {code}.", code=check.reason), icon=":material/error:")
        explain(check.reason, check.message, check.remedy)
    if check.problems:
        st.caption(t("Some items cannot be used:"))
        st.text("\n".join(check.problems))


def _show_readers(items: Sequence[pb.SourcePreviewItem]) -> None:
    """For each group of readers, how many of the items they will find."""
    total = number(len(items))
    for acl, count in Counter(tuple(item.acl) for item in items).most_common():
        said = t("{count} of {total} readable by {who}.", count=number(count), total=total, who=_readers(acl))
        st.info(plain_markdown(said), icon=":material/visibility:")


def _readers(acl: Sequence[str]) -> str:
    admitted = [entry for entry in acl if not entry.startswith("deny:") and entry != "group:rag-nobody"]
    refused = [_reader(entry.removeprefix("deny:")) for entry in acl if entry.startswith("deny:")]
    if unknown := [entry.removeprefix("deny:") for entry in acl if entry.startswith("deny:") and _is_unknown(entry)]:
        said = ", ".join(unknown)
        return t("nobody: {refused} must not read it, and no directory knows who that is", refused=said)
    who = ", ".join(map(_reader, admitted)) or t("nobody")
    return t("{who}, but not by {refused}", who=who, refused=", ".join(refused)) if refused and admitted else who


def _is_unknown(entry: str) -> bool:
    """Return whether it is a name that no directory knows (`corp/gid:7`)."""
    return "/" in entry.removeprefix("deny:").partition(":")[0]


def _reader(entry: str) -> str:
    kind, _, name = entry.partition(":")
    if entry == "everyone":
        return t("everyone of the tenant")
    if _is_unknown(entry):
        return t("{name} (unknown to the directory: nobody)", name=entry)
    return t("everyone in {group}", group=name) if kind == "group" else name


def show_preview(preview: pb.SourcePreview) -> None:
    """The first items, what cannot be read, and three chunks."""
    good = sum(item.ok for item in preview.items)
    more = "+" if preview.more else ""
    listed = f"{number(preview.listed)}{more}"
    words = t("{good} of the first {shown} items can be read. Listed: {listed}.", good=good,
              shown=len(preview.items), listed=listed)  # fmt: skip
    (st.success if good else st.warning)(words)
    if preview.reason:
        st.warning(t("The listing did not come to its end: {code}.", code=preview.reason))
        explain(preview.reason, preview.message, preview.remedy)
    _show_readers([item for item in preview.items if item.ok])
    rows = [
        {
            "state": f"✔ {t('readable')}" if item.ok else f"⏭ {t('left out')}" if item.skipped else f"✖ {item.reason}",
            "title": item.title or "–",
            "locator": item.locator,
            "size": size(item.size) if item.size else "–",
            "type": item.media_type or "–",
            "why": with_meaning(language(), item.reason, item.message),
        }
        for item in preview.items
    ]
    columns = {"state": t("State"), "title": t("Title"), "locator": t("Item"), "size": t("Size"),
               "type": t("Type"), "why": t("Problem")}  # fmt: skip
    table(rows, columns, empty=t("The source has no items."))
    if preview.chunks:
        st.header(t("How it is cut into chunks"))
        st.caption(t("Searches find chunks. These are the first of the first documents."))
        for place, chunk in zip(st.columns(len(preview.chunks), gap="medium"), preview.chunks, strict=True):
            with place, st.container(border=True):
                st.caption(t("{count} tokens", count=chunk.tokens))
                if path := heading_path(chunk.headings or [chunk.title], chunk.text):
                    st.text(path)
                st.text(chunk.text)
