"""Deletions that a comparison holds: what would go, by folder and by name, and the approval of exactly those."""

from __future__ import annotations

from collections import Counter
from typing import Any

import streamlit as st

from console.clients.errors import ServiceError
from console.components.widgets import DIALOG, problem, table, today
from console.presenters.formats import number, plain
from console.presenters.records import as_csv
from console.session import Role, api, role, t
from ragproto.admin.v1 import operations_pb2 as ops

_FOUND = "held-deletions-found"
"""The deletions that were read when the review began: only they are approved."""
_DONE = "held-deletions-approved"
_SHOWN = 200
_MOST = 10_000


def review(source: str, held: int) -> None:
    """A button that opens the review; it stays open, whatever the page does, until it is closed."""
    if (approved := st.session_state.pop(_DONE, None)) is not None:
        st.success(t("{count} deletions are approved for the next run.", count=number(approved)))
    if held and st.button(t("Review {count} deletions", count=number(held)), icon=":material/delete_sweep:",
                          key=f"review-{source}", type="primary"):  # fmt: skip
        st.session_state[DIALOG] = source
        st.session_state.pop(_FOUND, None)
    if st.session_state.get(DIALOG) == source:
        st.dialog(t("Deletions of {source}", source=plain(source)), width="large", on_dismiss=_close)(_reviewed)(source)


def _close() -> None:
    for name in (DIALOG, _FOUND):
        st.session_state.pop(name, None)


def _reviewed(source: str) -> None:
    found = _load(source)
    if found is None:
        return
    rows, count = found
    st.text(t("The source no longer lists these documents. Once approved, the next run deletes them for good."))
    folders = Counter(_folder(row["locator"]) or t("without a folder") for row in rows)
    parts = [{"folder": name, "documents": number_of} for name, number_of in folders.most_common()]
    _table(parts, {"folder": t("Folder"), "documents": t("Documents")}, rows=6)
    wanted = st.text_input(t("Part of a path or a title"), key="held-deletions-text", icon=":material/search:").strip()
    shown = [row for row in rows if wanted.lower() in f"{row['locator']} {row['title']}".lower()]
    _table(shown[:_SHOWN], {"locator": t("Document"), "title": t("Title"), "updated": t("Changed")}, rows=8)
    if len(shown) > _SHOWN or len(rows) < count:
        st.caption(t("The first {shown} of {count}; the CSV has {rows}.", shown=number(min(len(shown), _SHOWN)),
                     count=number(count), rows=number(len(rows))))  # fmt: skip
    st.download_button(t("Download CSV"), as_csv(rows), f"deletions-{source}-{today()}.csv", "text/csv",
                       icon=":material/download:")  # fmt: skip
    _approve(source, count)


def _approve(source: str, count: int) -> None:
    allowed = role() >= Role.OPERATOR
    why = st.text_input(t("Reason (for the audit log)"), key="held-deletions-why", max_chars=500)
    note = None if allowed else t("Requires the role {role}.", role=t("operator"))
    if st.button(t("Approve these {count}", count=number(count)), type="primary", disabled=not allowed, help=note,
                 key="held-deletions-approve"):  # fmt: skip
        try:
            api().release(source, count, why)
        except ServiceError as error:
            problem("query server", error)
            return
        _close()
        st.session_state[_DONE] = count
        st.rerun()


def _load(source: str) -> tuple[list[dict[str, Any]], int] | None:
    """The held documents in the order of their names, and how many there are."""
    if _FOUND in st.session_state:
        known: tuple[list[dict[str, Any]], int] = st.session_state[_FOUND]
        return known
    rows: list[dict[str, Any]] = []
    token, count = "", 0
    try:
        while True:
            page = api().documents(source=source, held_for_deletion=True, order=ops.DOCUMENT_ORDER_LOCATOR,
                                   page_size=200, page_token=token, count=not token)  # fmt: skip
            count = count or page.counts.documents
            rows += map(_row, page.documents)
            token = page.next_page_token
            if not token or len(rows) >= _MOST:
                break
    except ServiceError as error:
        problem("query server", error)
        return None
    st.session_state[_FOUND] = (rows, count)
    return rows, count


def _row(item: ops.DocumentRow) -> dict[str, Any]:
    changed = item.updated_at.ToDatetime().date().isoformat()
    return {"locator": plain(item.locator), "title": plain(item.title), "updated": changed}


def _table(shown: list[dict[str, Any]], columns: dict[str, Any], *, rows: int) -> None:
    """A table that scrolls when it has more rows than these."""
    table(shown, columns, empty=t("No document matches."), height="content" if len(shown) <= rows else 36 * (rows + 1))


def _folder(locator: str) -> str:
    """The folder of a path or an address, two levels deep at most."""
    folders = locator.rpartition("/")[0].split("/")
    return "/".join(folders[: 4 if "://" in locator else 2])
