"""The frame of every page: signed-in user, language and time zone, navigation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from console.clients.errors import SIGNED_OUT, ServiceError
from console.components.page_language import set_page_language
from console.components.page_switch import PAGES
from console.components.widgets import DIALOG, DOWN, plain_markdown, problem
from console.i18n import LANGUAGES
from console.identity import MARK, PRODUCT, version, wordmark
from console.navigation import Entry, sections
from console.session import Role, api, identify, language, shared, t
from console.sign_in import sign_in_address

# Not `pages`: Streamlit runs the files of that folder automatically, without this frame, for any visitor.
_PAGES = Path(__file__).parent / "screens"
_NAMES = sorted(path.stem for path in _PAGES.glob("*.py"))
FIRST_PAGE = "overview"
_DRAWN, _SEEN = "page-was-drawn-just-now", "parts-that-were-down-then"


def _navigation(sections: Mapping[str, list[Entry]]) -> dict[str, list[StreamlitPage]]:
    names = [name for entries in sections.values() for name, *_ in entries]
    first = FIRST_PAGE if FIRST_PAGE in names else names[0] if names else ""
    found = {
        section: [
            st.Page(_PAGES / f"{name}.py", title=title, icon=icon or None, url_path=name, default=name == first,
                    visibility="visible" if icon else "hidden")
            for name, title, icon in entries
        ]
        for section, entries in sections.items() if entries
    }  # fmt: skip
    # An address that is not for this role says so, instead of Streamlit's "page not found" above another page.
    refused = partial(st.Page, _not_for_you, title=t("Not for your role"), visibility="hidden")
    others = [refused(url_path=name, default=not first and name == FIRST_PAGE) for name in _NAMES if name not in names]
    last = next(reversed(found), "")
    return {**found, last: [*found.get(last, []), *others]}


def _not_for_you() -> None:
    st.title(t("Not for your role"))
    st.text(t("Your role does not include this page. An administrator can change your role."))


def _sidebar(name: str, role: Role) -> None:
    st.logo(wordmark(t(PRODUCT)), icon_image=MARK, size="large")
    with st.sidebar:
        names = list(LANGUAGES)
        st.segmented_control(
            "Language / 语言",
            names,
            default=language(),
            required=True,
            key="language",
            format_func=LANGUAGES.__getitem__,
        )
        st.toggle(t("Show times in UTC"), key="utc", help=t("When off, times are in your browser's time zone."))
        if name:
            st.caption(t("Signed in as {name} ({role})", name=plain_markdown(name), role=t(role.name.lower())))
        _sign_out()
        where = shared().settings.environment
        said = t("Version {version}", version=version())
        st.caption(plain_markdown(f"{t(PRODUCT)} · {said}" + (f" · {where}" if where else "")))


def _sign_out() -> None:
    mode = shared().settings.sign_in
    if mode == "oidc" and st.user.is_logged_in:
        st.button(t("Sign out"), on_click=_leave)
    elif mode == "local":
        st.link_button(t("Sign out"), "/sign-out")


def _leave() -> None:
    """End the session at the API, whose token others may hold, then in this browser."""
    with suppress(ServiceError):
        api().sign_out()
    st.logout()


def _show_sign_in(error: ServiceError) -> None:
    """The page of a visitor whom the API did not verify."""
    st.title(t(PRODUCT))
    mode = shared().settings.sign_in
    if error.code not in SIGNED_OUT:
        problem("query server", error)
        st.caption(t("Your sign-in cannot be verified now. This page retries automatically."))
        _retry()
    elif mode == "oidc":
        st.button(t("Sign in"), type="primary", on_click=st.login)
    elif mode == "local":
        st.info(t("You are signed out."))
        address = urlsplit(st.context.url or "")
        page = f"{address.path}?{urlencode(st.query_params.to_dict())}" if len(st.query_params) else address.path
        st.link_button(t("Sign in"), sign_in_address(page or "/"), type="primary")
    else:
        st.warning(t("No valid access token: {code}.", code=error.code))


@st.fragment(run_every=shared().settings.refresh_seconds)
def _retry() -> None:
    try:
        identify()
    except ServiceError as error:
        if error.code not in SIGNED_OUT:
            return
    st.rerun()


@st.fragment(run_every=shared().settings.refresh_seconds)
def _recover() -> None:
    """Redraw the page when a service went down or came back, and while a panel waits for one."""
    place = shared()
    try:
        identify()
    except ServiceError as error:
        if error.code in SIGNED_OUT:
            st.rerun()
    # Alerts are read from the database, so that this is asked for as well.
    down = place.health_cache.down({"query server": lambda: api().alerts(), "Dagster": lambda: place.dagster.health()})
    if st.session_state.pop(_DRAWN, False):
        st.session_state[_SEEN] = down
    elif DIALOG not in st.session_state and (st.session_state.get(DOWN) or down != st.session_state.get(_SEEN)):
        st.rerun()


def _main() -> None:
    st.session_state.pop(DOWN, None)
    try:
        st.session_state["identity"] = who = identify()
    except ServiceError as error:
        refusal = error
        st.session_state.pop("identity", None)
        _sidebar("", Role.NONE)
        # Without a navigation of our own Streamlit would offer what it finds itself; without all addresses it would lay
        # "page not found" over the sign-in of somebody who opened a deep link.
        places = [
            st.Page(partial(_show_sign_in, refusal), title=t(PRODUCT), url_path=name, default=name == FIRST_PAGE)
            for name in _NAMES
        ]
        st.navigation(places, position="hidden").run()
        return
    entries = sections(who, t)
    pages = _navigation(entries)
    st.session_state[PAGES] = {name for group in entries.values() for name, *_ in group}
    _sidebar(who.subject, who.role)
    with st.sidebar:
        set_page_language(language())
    # Expanded: Streamlit would hide all pages after the tenth behind words of its own, which are not translated.
    page = st.navigation(pages, expanded=True)
    if page.url_path != "sources":
        st.session_state.pop(DIALOG, None)  # it was left with its page
    page.run()
    st.session_state[_DRAWN] = True
    _recover()


# A bundled icon: without one Streamlit fetches the icon of the page from a host on the internet.
st.set_page_config(page_title=t(PRODUCT), page_icon=str(Path(__file__).parent / "icon.png"), layout="wide")
_main()
