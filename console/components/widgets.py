"""Widgets of every page: panels that survive an outage, tables, confirmed actions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import streamlit as st

from console.clients.errors import DENIED, SIGNED_OUT, ServiceError
from console.i18n import N_, explain_reason
from console.presenters.formats import ago, clock, duration, is_trace_id, plain
from console.session import PlatformRole, Role, is_signed_out, language, platform, role, shared, t, zone

T = TypeVar("T")
DEFECTS = frozenset({"INTERNAL", "EVENT_FAILED", "ZERO_CHUNKS", "CHUNK_FAILED"})
"""Reason codes of defects, which are reported with the id of the request, the run or the operation that met them."""
DOWN = "a-part-is-down"
"""Set while a panel of this page waits for a service to return; the frame then refreshes automatically."""


DIALOG = "open-dialog"
"""The subject of the dialog that is open. The page is not drawn again by itself then: that would take what is typed."""


def load_or_report(part: str, load: Callable[[], T]) -> T | None:
    """The result of `load`; `None` after showing which service cannot be reached, why, and since when."""
    outages = shared().outages
    try:
        found = load()
    except ServiceError as error:
        problem(part, error)
        return None
    outages.pop(part, None)
    return found


def attempt(act: Callable[[], T], part: str = "query server") -> T | None:
    """The result of `act`; `None` after showing why it was refused."""
    try:
        return act()
    except ServiceError as error:
        problem(part, error)
        return None


def page_buttons(key: str, next_token: str, older: str) -> None:
    """Buttons to older rows, and back to the newest; the session keeps the token of the page that is shown as `key`."""
    for label, shown, token in ((older, next_token, next_token), (t("Newest"), st.session_state.get(key), "")):
        if shown and st.button(label):
            st.session_state[key] = token
            st.rerun()


def problem(part: str, error: ServiceError) -> None:
    """Show that a service cannot be reached, or refused. Never a stack trace, never a blank panel."""
    if error.code in SIGNED_OUT and is_signed_out():
        st.rerun()  # to the sign-in page
    if error.code in DENIED:
        st.info(t("Your role does not include this ({code}).", code=error.code), icon=":material/lock:")
        return
    if not error.down:
        st.warning(t("{part} refused the request: {code}.", part=t(part), code=error.code), icon=":material/warning:")
        explain(error.code, error.detail, id=error.id)
        return
    st.session_state[DOWN] = True
    since = shared().outages.setdefault(part, time.time())
    text = t("{part}: service unavailable, {code}, since {time}.", part=t(part), code=error.code, time=at(since))
    st.warning(text, icon=":material/cloud_off:")


def explain(code: str, detail: str, remedy: str = "", *, in_run: bool = False, id: str = "") -> None:  # noqa: A002
    """Show what a reason code means in the session's language, and the platform's own sentences, as text.

    `remedy` is what the platform says to do; in another language the meaning of the code says it too. Of a defect its
    `id` is shown, to report it with.
    """
    said = explain_reason(language(), code, in_run=in_run)
    in_english = t("Details in English: {text}", text=detail) if said and detail else detail
    for text in (said, in_english, "" if said else remedy):
        say(text)
    if code in DEFECTS and id:
        st.code(id, language=None)
        trace_link(id)


def say(text: str) -> None:
    """Show a sentence as text; what stands between backquotes in it as code, which is not interpreted either."""
    parts = plain(text).split("`")
    if len(parts) % 2 and len(parts) > 1 and all(parts[1::2]):
        st.markdown("".join(f"`{part}`" if place % 2 else plain_markdown(part) for place, part in enumerate(parts)))
    elif text:
        st.text(plain(text))


def trace_link(trace_id: str) -> None:
    """Link to a trace, where a viewer is configured and the caller may read what is of all tenants.

    A request that was recorded and that no caller had named has the id of its trace; other ids lead nowhere.
    """
    url = shared().settings.trace_url
    if url and is_trace_id(trace_id) and platform() >= PlatformRole.READER:
        st.link_button(t("Trace"), url.replace("{trace}", trace_id), icon=":material/waterfall_chart:", type="tertiary")


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], *, empty: str, **more: Any) -> Any:
    """A table of rows by stable keys under translated headings. `st.dataframe` shows cells as text."""
    if not rows:
        st.caption(empty)
        return None
    return st.dataframe(
        list(rows), column_order=list(columns), column_config=dict(columns), hide_index=True, width="stretch", **more
    )


def chosen_row(event: Any) -> int | None:
    """The number of the row that is selected in a table with `on_select`."""
    rows = event.selection.rows if event is not None else []
    return rows[0] if rows else None


def at(seconds: float | None) -> str:
    """A moment in the session's time zone."""
    return clock(seconds, zone()) if seconds else t("never")


def age(seconds: float | None) -> str:
    """Return the age in words."""
    return ago(seconds, time.time(), t) if seconds else t("never")


def listed_ago(seconds: float | None, *, streamed: bool) -> str:
    """The age of a source's last complete listing; a stream is not listed."""
    if streamed:
        return "–"
    return duration(seconds, t) if seconds is not None else t("never")


def confirm(
    label: str,
    explain: str,
    act: Callable[[str], str],
    *,
    key: str,
    need: Role | PlatformRole = Role.OPERATOR,
    icon: str | None = None,
    disabled: bool = False,
    asks: bool = True,
    must_say: bool = False,
) -> None:
    """A button that explains the action, asks for a reason (unless `asks` is off), acts and shows the result.

    `must_say`: nothing is done without a reason.

    Call it outside of fragments that refresh automatically. The API authorises the caller; for a role that may not
    act the button is disabled.
    """
    beyond = isinstance(need, PlatformRole)
    allowed = (platform() if beyond else role()) >= need
    wanted = N_("platform admin") if beyond else need.name.lower()
    note = None if allowed else t("Requires the role {role}.", role=t(wanted))
    shut = disabled or not allowed
    with st.popover(label, icon=icon, disabled=shut, help=note, key=f"{key}-popover"):
        st.write(explain)
        why = st.text_input(t("Reason (for the audit log)"), key=f"{key}-why", max_chars=500) if asks else ""
        # It may still be open after what it did has left nothing to do. The API refuses a role that was taken away.
        if st.button(t("Confirm"), key=f"{key}-do", type="primary", disabled=disabled):
            st.session_state[f"{key}-result"] = done = _done(act, why, must_say=must_say)
            if done[0]:
                st.rerun()  # what this run has drawn is from before
        result = st.session_state.pop(f"{key}-result", None)
        if result is not None:
            (st.success if result[0] else st.error)(plain_markdown(result[1]))


def _done(act: Callable[[str], str], why: str, *, must_say: bool) -> tuple[bool, str]:
    """Run an action. Returns whether it succeeded, and the message to show."""
    if must_say and not why.strip():
        return False, t("Give a reason first.")
    try:
        return True, act(why)
    except ServiceError as error:
        said = (t("The action failed: {code}.", code=error.code), explain_reason(language(), error.code), error.detail,
                error.id if error.code in DEFECTS else "")  # fmt: skip
        return False, " ".join(filter(None, said))


def plain_markdown(text: str) -> str:
    """Text in which Markdown finds nothing to interpret."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]()<>#+-.!|~$:" else char for char in text)


def timestamp(message: Any) -> float | None:
    """Seconds of a protobuf timestamp, `None` when unset."""
    return float(message.seconds) + message.nanos / 1e9 if message.seconds else None


def today() -> str:
    """Now, for file names."""
    return f"{datetime.now(zone()):%Y-%m-%d-%H%M}"
