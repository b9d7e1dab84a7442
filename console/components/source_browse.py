"""Select in a form what browsing the source has found: folders, tables and columns, fields of an answer."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import streamlit as st

from console.components.source_operations import operate
from console.presenters import new_source as forms
from console.presenters.formats import number
from console.session import t
from ragproto.admin.v1 import sources_pb2 as pb

Draft = MutableMapping[str, Any]
Key = Callable[[str], str]
_UP = ".."


def browse(draft: Draft, key: Key) -> None:
    """A button that browses the source as far as it is described, and again when something else is selected in it."""
    kind, values = draft["form"], draft["values"]
    if not kind.browse:
        return
    ready = forms.can_browse(kind, values)
    wanted = st.button(t(kind.browse), icon=":material/manage_search:", disabled=not ready, key=key("browse"))
    with st.container():  # the inputs below keep their place, whatever is shown here
        if ready and (wanted or ("offers" in draft and draft["browsed"] != forms.narrowing(kind, values))):
            _read(draft, key)
        _show_found(draft)


def _show_found(draft: Draft) -> None:
    offers: pb.SourceOffers | None = draft.get("offers")
    if offers is None:
        return
    more = "+" if offers.more else ""
    st.caption(t("Found: {count}. Select below, or type.", count=f"{number(len(offers.offers))}{more}"))
    if offers.sample:
        with st.expander(t("What was read"), expanded=True):
            st.code(offers.sample, language="json" if offers.sample[0] in "[{" else None, height=240)


def _read(draft: Draft, key: Key) -> None:
    found = operate(pb.SOURCE_ACTION_BROWSE, draft["name"], t("Reading …"), definition=forms.definition(draft))
    if found is not None:
        draft["offers"] = found.offers
        changed = forms.take_suggestions(draft, found.offers.suggested)
        # What is said beside a value changes with what was read, and a selection is remembered by the words shown:
        # so each is set again by its value.
        kept = [item for item in draft["form"].fields if item.offered and key(f"offer-{item.path}") in st.session_state]
        for item in [*changed, *kept]:
            value = draft["values"].get(item.path) or ""
            st.session_state[key(f"offer-{item.path}")] = forms.split(value) if item.type == "list" else value or None
    # After what was suggested was taken: it is what was read.
    draft["browsed"] = forms.narrowing(draft["form"], draft["values"])


def selected(item: pb.SourceField, draft: Draft, key: Key) -> str | None:
    """The answer to an input of which something is offered; `None` when nothing is, so that it is typed."""
    offers: pb.SourceOffers = draft.get("offers") or pb.SourceOffers()
    about = {offer.value: offer.about for offer in offers.offers if offer.type == item.offered}
    if not item.offered or not about:
        return None
    label, place = t(item.label) + (" *" if item.required else ""), key(f"offer-{item.path}")
    known = str(draft["values"].get(item.path) or item.default)
    if item.type == "list":
        now = forms.split(known)
        chosen = st.multiselect(label, list(dict.fromkeys([*about, *now])), None if place in st.session_state else now,
                                key=place, accept_new_options=True, placeholder=t("Select or type"),
                                format_func=lambda value: _shown(value, about))  # fmt: skip
        return ", ".join(chosen)
    options = list(dict.fromkeys([*([known] if known else []), *about]))
    first = 0 if known and place not in st.session_state else None
    return st.selectbox(label, options, first, key=place, accept_new_options=True,
                        placeholder=t("Select or type"),
                        format_func=lambda value: _shown(value, about)) or ""  # fmt: skip


def _shown(value: str, about: dict[str, str]) -> str:
    said = about.get(value, "")
    return f"↑ {value}" if said == _UP else f"{value}  ·  {said}" if said else value
