"""The list of documents: what is looked for, a page of it, all of it as CSV. The address keeps what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import streamlit as st

from console.clients.errors import ServiceError
from console.clients.grpc_api import Api
from console.components.widgets import chosen_row, load_or_report, table, today
from console.presenters import documents as presenters
from console.presenters.records import as_csv
from console.session import api, t, zone
from ragproto.admin.v1 import operations_pb2 as ops

PAGE = 50
MAX_FOUND = 50
"""Documents that a search by content shows: the best ones."""
MAX_EXPORTED = 10_000
_EXPORT_PAGE = 200
_PLACE, _TYPES = "documents-place", "documents-types"
ENTRY = "entry"
"""In the address: the number of the quarantine entry of an input that was never stored."""
CLOSED = "documents-closed"
"""Number of documents closed in this session: after one, no row is chosen."""


@dataclass(slots=True)
class ListView:
    """The filters of the list that is shown, and the tokens of its pages up to the present one."""

    filters: tuple[object, ...]
    wanted: presenters.DocumentSearch
    tokens: list[str] = field(default_factory=lambda: [""])
    counts: ops.DocumentCounts | None = None
    opened: bool = False
    """True once the only match was opened by itself; closed then, it stays closed."""

    def back(self) -> None:
        """Return to the page before."""
        self.tokens.pop()


def _select(name: str, label: str, options: Sequence[str], word: Callable[[str], str]) -> str:
    """A choice that the address of the page keeps under its name; the first option is what it begins with."""
    key, asked = f"documents-{name}", st.query_params.get(name, "")
    if key not in st.session_state and asked in options:
        st.session_state[key] = asked
    if st.session_state.get(key, options[0]) not in options:
        st.session_state[key] = options[0]
    return str(st.selectbox(label, options, key=key, format_func=word, width=150))


def filters(sources: Iterable[str]) -> tuple[str, ListView]:
    """Show the filters. Returns what is searched for, by `name` or by `content`, and the position of the list."""
    before = st.session_state.get(_PLACE)
    asked = st.query_params.get("type", "")
    if "documents-q" not in st.session_state:
        st.session_state["documents-q"] = st.query_params.get("q", "")[:1024]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        ways = {"name": t("Name"), "content": t("Content")}
        by = _select("by", t("Look in"), list(ways), ways.__getitem__)
        text = st.text_input(
            t("Part of a path, a title or an id") if by == "name" else t("Words or a question"),
            key="documents-q",
            max_chars=1024,
            icon=":material/search:",
            width=420,
        ).strip()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = _select("source", t("Source"), ["", *sorted(sources)], lambda name: name or t("all"))
        states = ["", *presenters.FILTERS, presenters.ANY_STATE]
        state = ""
        if by == "name":
            state = _select("state", t("State"), states, _state)
        known = ["", *dict.fromkeys([*_types(), *([asked] if asked else [])])]
        media_type = _select("type", t("Type"), known, lambda name: name or t("all"))
        period = _select("changed", t("Changed"), list(presenters.PERIODS), lambda name: t(presenters.PERIODS[name][1]))
        days = _days() if period == "dates" else []
        order = "newest"
        if by == "name":
            order = _select("order", t("Order"), list(presenters.ORDERS), lambda name: t(presenters.ORDERS[name][1]))
    chosen = {"by": by, "q": text, "source": source, "state": state, "type": media_type, "changed": period,
              "order": order}  # fmt: skip
    _keep_in_address(chosen)
    key = (*chosen.values(), *days)
    if before is None or before.filters != key:
        # From the moment at which it was chosen: a page token belongs to its filters.
        since, until = presenters.span_of(period, days, datetime.now(UTC), zone())
        before = ListView(key, presenters.DocumentSearch(text, source, state, media_type, order, since, until))
        st.session_state[_PLACE] = before
    return by, before


def _types() -> list[str]:
    """The media types there are, most frequent first; asked once in a session."""
    if _TYPES not in st.session_state:
        try:
            counts = api().documents(page_size=1, count=True).counts
        except ServiceError:
            return []  # the list below says why
        st.session_state[_TYPES] = [item.media_type for item in counts.media_types if item.media_type]
    return list(st.session_state[_TYPES])


def _days() -> list[date]:
    """The first and the last day; one while the other is not chosen yet."""
    today = datetime.now(zone()).date()
    chosen: object = st.date_input(t("Days"), (today - timedelta(days=6), today), key="documents-days", width=230)
    return [day for day in chosen if isinstance(day, date)] if isinstance(chosen, tuple) else []


def _state(name: str) -> str:
    if name == presenters.ANY_STATE:
        return t("all, deleted ones too")
    return t(presenters.STATES[presenters.FILTERS[name]]) if name else t("all but deleted")


def _keep_in_address(chosen: dict[str, str]) -> None:
    begins = {"by": "name", "changed": "any", "order": "newest"}
    for name, value in chosen.items():
        if value and value != begins.get(name):
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]


def page(place: ListView) -> str | None:
    """One page of the list; returns the id of the document that is chosen in it."""
    token = place.tokens[-1]
    counting = place.counts is None
    found = load_or_report(
        "query server",
        lambda: api().documents(**place.wanted.as_list(), page_size=PAGE, page_token=token, count=counting),
    )
    if found is None:
        return None
    if counting:
        place.counts = found.counts
    rows = [
        {**row, "state": f"{row['mark']} {t(row['state'])}", "at": datetime.fromtimestamp(row["at"], UTC),
         "size": row["bytes"] if row["version"] else None, "type": row["media_type"] or "–"}
        for row in presenters.document_rows(found.documents)
    ]  # fmt: skip
    # Numbers and moments, not their words: the table sorts by what it holds.
    # Long paths and titles would push the rest out of sight, so those have a width.
    columns = {
        "locator": st.column_config.TextColumn(t("Document"), width=290),
        "state": t("State"),
        "source": t("Source"),
        "title": st.column_config.TextColumn(t("Title"), width=200),
        "at": st.column_config.DatetimeColumn(t("Changed"), format="YYYY-MM-DD HH:mm", timezone=str(zone())),
        "type": t("Type"),
        "size": st.column_config.NumberColumn(t("Size"), format="bytes"),
        "version": t("Version"),
    }
    event = table(
        rows, columns, empty=t("No document matches. Check that the source contains it and has run."),
        on_select="rerun", selection_mode="single-row", key=_table_key("documents", place),
    )  # fmt: skip
    _pager(place, len(rows), found.next_page_token)
    picked = chosen_row(event)
    if picked is None and place.wanted.text and len(rows) == 1 and not place.opened:
        picked, place.opened = 0, True
    if picked is None or picked >= len(rows):
        return None
    if rows[picked]["version"]:
        st.query_params.pop(ENTRY, None)
        return str(rows[picked]["doc_id"])
    for name in ("doc", "span", "page"):
        st.query_params.pop(name, None)
    st.query_params[ENTRY] = str(rows[picked]["quarantine_id"])
    return None


def _table_key(name: str, place: ListView) -> str:
    """Another table for other rows, so that no row stays chosen that is another document now."""
    return f"{name}-{hash((place.filters, len(place.tokens), st.session_state.get(CLOSED, 0)))}"


def _pager(place: ListView, shown: int, following: str) -> None:
    first = (len(place.tokens) - 1) * PAGE
    with st.container(horizontal=True, vertical_alignment="center"):
        # By callback: the place changes before the page is drawn, so that a page is fetched once.
        st.button(t("Previous page"), icon=":material/chevron_left:", disabled=len(place.tokens) == 1,
                  on_click=place.back)  # fmt: skip
        st.button(t("Next page"), icon=":material/chevron_right:", disabled=not following,
                  on_click=place.tokens.append, args=(following,))  # fmt: skip
        if shown and place.counts is not None:
            said = t("{first} to {last} of {all}", first=f"{first + 1:,}", last=f"{first + shown:,}",
                     all=presenters.counted(place.counts))  # fmt: skip
            st.caption(said, width="content")
        caller, wanted = api(), place.wanted
        st.download_button(
            t("Export CSV"),
            lambda: exported(caller, wanted),
            file_name=f"documents-{today()}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            disabled=not shown,
            help=t("Everything that matches, at most {count} documents.", count=f"{MAX_EXPORTED:,}"),
        )


def exported(caller: Api, wanted: presenters.DocumentSearch) -> str:
    """Every page as CSV. It runs beside the page, so it takes nothing from the session; a failure ends the file."""
    rows: list[dict[str, object]] = []
    token = ""
    while len(rows) < MAX_EXPORTED:
        try:
            found = caller.documents(**wanted.as_list(), page_size=_EXPORT_PAGE, page_token=token)
        except ServiceError as error:
            rows.append({"doc_id": f"the list ends here: {error.code}"})
            break
        rows += [_exported_row(row) for row in found.documents]
        token = found.next_page_token
        if not token:
            break
    return as_csv(rows)


def _exported_row(row: ops.DocumentRow) -> dict[str, object]:
    return {
        "doc_id": row.doc_id,
        "source": row.source,
        "locator": row.locator,
        "title": row.title,
        "state": presenters.STATES.get(row.state, "unknown"),
        "media_type": row.media_type,
        "bytes": row.bytes,
        "version": row.version,
        "updated_at": row.updated_at.ToJsonString(),
    }


def found_by_content(place: ListView) -> str | None:
    """The best passage of each document that a search finds; returns the id of the document that is chosen."""
    if not place.wanted.text:
        st.info(t("Enter words or a question. The search finds what you may read and what is in the index now."))
        return None
    found = load_or_report("gateway", lambda: api().search(place.wanted.as_search(MAX_FOUND)))
    if found is None:
        return None
    rows = presenters.passage_rows(found.passages)
    columns = {"locator": st.column_config.TextColumn(t("Document"), width=230), "source": t("Source"),
               "score": t("Score"), "text": t("Passage"), "title": t("Title")}  # fmt: skip
    event = table(
        rows, columns, empty=t("No document that you may read matches this question."), on_select="rerun",
        selection_mode="single-row", key=_table_key("found", place),
    )  # fmt: skip
    picked = chosen_row(event)
    if picked is None or picked >= len(rows):
        return None
    st.query_params["span"] = f"{rows[picked]['start']}-{rows[picked]['end']}"
    return str(rows[picked]["doc_id"])
