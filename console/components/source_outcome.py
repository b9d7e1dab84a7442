"""The outcome for a source's documents: so many of so many are searchable, each rest with a link to exactly those."""

from __future__ import annotations

import streamlit as st

from console.clients.errors import ServiceError
from console.i18n import N_
from console.presenters.conditions import UNDER_WAY
from console.presenters.documents import FILTERS
from console.presenters.formats import number
from console.session import api, t
from ragproto.admin.v1 import admin_pb2

SENTENCES = N_(
    {
        "searchable": "{count} of {total} searchable",
        "pending": "{count} waiting for the index",
        "quarantined": "{count} in quarantine",
        "skipped": "{count} skipped",
        "without_acl": "{count} that nobody may read",
    }
)
"""By their name as a filter of the page Documents."""


def outcome(source: admin_pb2.SourceStatus) -> None:
    """One line of links, once the source is not being read."""
    if source.condition.state in {*UNDER_WAY, admin_pb2.SOURCE_STATE_NEW}:
        return
    try:
        total = _count(source.name, exclude_deleted=True)
        counts = {name: _count(source.name, state=FILTERS[name]) for name in SENTENCES} if total else {}
    except ServiceError:
        return  # the rest of the page says what is away
    with st.container(horizontal=True, key="source-outcome"):
        for name, count in counts.items():
            if count or name == "searchable":
                said = t(SENTENCES[name], count=number(count), total=number(total))
                place = {"source": source.name, "state": name}
                st.page_link("screens/documents.py", label=said, icon=":material/description:", query_params=place)


def _count(source: str, **wanted: object) -> int:
    return int(api().documents(source=source, page_size=1, count=True, **wanted).counts.documents)
