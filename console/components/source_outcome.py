"""What became of a source's documents: so many of so many are searchable, each rest with a link to exactly those."""

from __future__ import annotations

import streamlit as st

from console.clients.errors import ServiceError
from console.i18n import N_
from console.presenters.conditions import UNDER_WAY
from console.presenters.formats import number
from console.session import api, t
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

RESTS = N_(
    {
        "pending": "{count} waiting for the index",
        "quarantined": "{count} in quarantine",
        "skipped": "{count} skipped",
    }
)


def outcome(source: admin_pb2.SourceStatus) -> None:
    """One line of links, once the source is not being read."""
    if source.condition.state in {*UNDER_WAY, admin_pb2.SOURCE_STATE_NEW}:
        return
    try:
        everything = _count(source.name, exclude_deleted=True)
        skipped = _count(source.name, state=ops.DOCUMENT_STATE_SKIPPED)
    except ServiceError:
        return  # the rest of the page says what is away
    if not everything:
        return
    counts = {"pending": max(source.documents - source.searchable, 0), "quarantined": source.quarantined,
              "skipped": skipped}  # fmt: skip
    with st.container(horizontal=True, key="source-outcome"):
        said = t("{count} of {total} searchable", count=number(source.searchable), total=number(everything))
        _link(source.name, "searchable", said)
        for state, count in counts.items():
            if count:
                _link(source.name, state, t(RESTS[state], count=number(count)))


def _count(source: str, **wanted: object) -> int:
    return int(api().documents(source=source, page_size=1, count=True, **wanted).counts.documents)


def _link(source: str, state: str, label: str) -> None:
    place = {"source": source, "state": state}
    st.page_link("screens/documents.py", label=label, icon=":material/description:", query_params=place)
