"""The steps of the wizard for a new source. What was answered is kept in the session's draft."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from itertools import chain
from typing import Any

import streamlit as st

from console.clients.errors import ServiceError
from console.components.source_browse import browse, selected
from console.components.source_operations import operate, show_check, show_preview
from console.components.widgets import plain_markdown
from console.i18n import N_
from console.presenters import new_source as forms
from console.presenters.schedules import cron_problem, cron_words, moment_words, next_times, timezone_known
from console.session import PlatformRole, api, language, platform, t, tenant
from ragproto.admin.v1 import sources_pb2 as pb

Draft = MutableMapping[str, Any]
_NAME = "new-source-name"
_FIRST = ("folder", "upload", "site")
"""Kinds that most people begin with, before the others."""
SCHEDULES = N_(
    {
        "0 3 * * *": "Every night at 03:00",
        "0 * * * *": "Every hour",
        "0 3 * * 0": "Every Sunday at 03:00",
        "": "Never, only for changes that are noticed",
        "custom": "Another schedule (cron)",
    }
)


def choose_kind(draft: Draft, kinds: Sequence[forms.SourceKind]) -> bool:
    """The kinds as cards. Returns whether one was chosen now."""
    sought = st.text_input(
        t("Where are the documents?"), placeholder=t("Part of a name: Confluence, S3, wiki"), key="kind-sought"
    )
    kinds = [one for one in kinds if sought.strip().casefold() in f"{t(one.title)} {t(one.about)}".casefold()]
    if not kinds:
        st.info(t("No kind is called so. An HTTP API, a reader of LlamaIndex or a package of your own may do."))
    rows = [st.columns(3, gap="small") for _ in range(0, len(kinds), 3)]
    ordered = sorted(kinds, key=lambda kind: (bool(kind.missing), kind.name not in _FIRST, t(kind.title)))
    for column, kind in zip(chain.from_iterable(rows), ordered, strict=False):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f":material/{kind.icon}: **{t(kind.title)}**")
            st.caption(t(kind.about))
            if kind.package:
                st.caption(plain_markdown(t("From the package {package}", package=kind.package)))
            if kind.missing:
                st.caption(plain_markdown(t("Needs to be installed: {package}", package=kind.missing)))
            chosen = st.button(
                t("Choose {kind}", kind=t(kind.title)), key=f"kind-{kind.name}", width="stretch",
                disabled=bool(kind.missing),
            )  # fmt: skip
            if chosen:
                draft.clear()
                draft.update(kind=kind.name, form=kind, tenant=tenant(), values={}, acl=["everyone"], cron="0 3 * * *",
                             timezone="UTC", interval=30)  # fmt: skip
                return True
    return False


def connection(draft: Draft, allowed: pb.GetSourcePermissionsResponse) -> list[str]:
    """Ask what to read, and test the connection. Returns what is wrong with the answers."""
    kind, values = draft["form"], draft["values"]
    if not allowed.unrestricted:
        _show_limits(allowed)
    left, right = _options(draft)
    # The suggestion follows what is read and is no value of the field: that would replace what is being typed.
    suggested = forms.suggested_name(kind, values)
    with left:
        typed = st.text_input(
            t("Name of the source"), draft.get("typed_name", ""), key=_NAME, max_chars=63, placeholder=suggested
        )
    draft["typed_name"], draft["name"] = typed, typed or suggested
    name = draft["name"]
    with right:
        fixed = platform() < PlatformRole.ADMIN
        draft["tenant"] = st.text_input(t("Tenant") + " *", draft["tenant"], max_chars=64, disabled=fixed)
    wrong = forms.connection_problems(kind, name, draft["tenant"], values)
    if st.button(t("Test connection"), icon=":material/network_check:", disabled=bool(wrong)):
        draft["tested"] = operate(pb.SOURCE_ACTION_CHECK, name, t("Connecting …"), definition=forms.definition(draft))
        draft["tested_definition"] = forms.definition(draft)
    if (tested := draft.get("tested")) and draft.get("tested_definition") == forms.definition(draft):
        show_check(tested.check)
    return wrong


def edit(draft: Draft, allowed: pb.GetSourcePermissionsResponse) -> list[str]:
    """The form of a source that there is: the steps of the wizard below each other. Returns what is wrong."""
    with st.container():
        _options(draft)
    wrong = forms.connection_problems(draft["form"], draft["name"], draft["tenant"], draft["values"])
    with st.container():
        wrong += access(draft)
    return wrong if draft["form"].stream else wrong + schedule(draft, allowed)


def _options(draft: Draft) -> Sequence[Any]:
    """The inputs of a kind: what browsing needs, a button that does it, and what it helps with. Returns the columns of
    the last ones."""
    kind, values = draft["form"], draft["values"]
    # What was answered just now decides which fields there are, and what can be offered, before they are drawn.
    for item in kind.fields:
        for key in (_key(draft, f"field-{item.path}"), _key(draft, f"offer-{item.path}")):
            if key in st.session_state and not isinstance(st.session_state[key], list):
                values[item.path] = st.session_state[key] or ""
    needed, others = forms.around_browsing(kind, values)
    if kind.browse:
        _inputs(draft, needed)
        browse(draft, lambda name: _key(draft, name))
        return _inputs(draft, others)
    return _inputs(draft, [*needed, *others])


def _inputs(draft: Draft, shown: Sequence[pb.SourceField]) -> Sequence[Any]:
    values, columns = draft["values"], st.columns(2)
    secrets = _stored_secrets() if any(item.type == "secret" for item in shown) else []
    for place, item in enumerate(shown):
        with columns[place % 2]:
            chosen = selected(item, draft, lambda name: _key(draft, name))
            typed = _input(item, values, _key(draft, f"field-{item.path}"), secrets) if chosen is None else chosen
            values[item.path] = typed
    return columns


def _key(draft: Draft, name: str) -> str:
    """The key of an input: those of a source that is edited are its own."""
    return f"{name}-{draft['name']}" if "document" in draft else name


def _show_limits(allowed: pb.GetSourcePermissionsResponse) -> None:
    parts = [(t("Folders"), allowed.roots), (t("Hosts"), allowed.hosts), (t("Secrets"), allowed.secrets)]
    words = "; ".join(f"{label}: {', '.join(entries) or t('none')}" for label, entries in parts)
    st.info(plain_markdown(t("Sources of your tenant may use: {lists}", lists=words)), icon=":material/lock:")


def _input(item: pb.SourceField, values: dict[str, Any], key: str, secrets: Sequence[str]) -> Any:
    label = t(item.label) + (" *" if item.required else "")
    known: Any = values.get(item.path, item.default)
    if item.type == "choice":
        choices = list(item.choices)
        index = choices.index(known) if known in choices else 0
        return st.selectbox(label, choices, index=index, key=key, format_func=lambda choice: choice or "–")
    if item.type == "flag":
        return st.checkbox(label, known is True or known == "True", key=key, help=t(item.help) or None)
    if item.type == "number":
        return int(st.number_input(label, 1, 200_000, int(known or 1), key=key))
    if item.type == "secret":
        note = t("The secret itself never goes here: select one of the page Secrets, or type the name of a variable"
                 " of the platform (RAG_SECRET_…) or the path of a file.")  # fmt: skip
        names = list(dict.fromkeys([*([known] if known else []), *secrets]))
        return st.selectbox(label, names, 0 if known else None, key=key, accept_new_options=True, help=note,
                            placeholder="RAG_SECRET_NAME") or ""  # fmt: skip
    several = t("Several are separated by commas.") if item.type == "list" else ""
    return st.text_input(label, known, key=key, max_chars=4096, help=f"{t(item.help)} {several}".strip() or None)


def _stored_secrets() -> list[str]:
    """Names of the credentials that are stored now. Without an answer a name can still be typed."""
    try:
        return list(api().source_admin.secrets().names)
    except ServiceError:
        return []


def preview(draft: Draft) -> None:
    """The first items of the source, read as a run would."""
    asked = forms.definition(draft)
    if draft.get("previewed_definition") != asked:
        draft["previewed_definition"] = asked
        draft["previewed"] = operate(
            pb.SOURCE_ACTION_PREVIEW, draft["name"], t("Reading the first items …"), definition=asked
        )
    found = draft.get("previewed")
    if found is None:
        st.caption(t("Go back and correct the connection, or read again."))
    elif found.HasField("check"):
        show_check(found.check)
        st.text("\n".join(found.check.sample))
    else:
        show_preview(found.preview)
    if st.button(t("Read again"), icon=":material/refresh:"):
        draft.pop("previewed_definition", None)
        st.rerun()


def access(draft: Draft) -> list[str]:
    """Ask who may read the documents, and say it in words. Returns what is wrong."""
    choices = {"everyone": t("Everyone of the tenant"), "some": t("Only certain groups and people"),
               "nobody": t("Nobody, until the source itself reports permissions")}  # fmt: skip
    acl = list(draft.get("acl") or [])
    now = "everyone" if acl == ["everyone"] else "some" if acl else "nobody"
    chosen = st.radio(t("Who may read the documents of this source?"), list(choices), format_func=choices.__getitem__,
                      index=list(choices).index(now), key=_key(draft, "access"))  # fmt: skip
    if chosen == "some":
        known = "\n".join(entry for entry in acl if entry != "everyone")
        text = st.text_area(
            t("One entry a line: group:NAME or user:NAME"), known, max_chars=20_000, key=_key(draft, "acl")
        )
        draft["acl"] = forms.split(text)
    else:
        draft["acl"] = ["everyone"] if chosen == "everyone" else []
    if chosen == "some" and not draft["acl"]:
        return [N_("Name at least one group or person.")]
    st.info(plain_markdown(_access_words(draft["acl"], draft["tenant"])), icon=":material/visibility:")
    return forms.acl_problems(draft["acl"])


def _access_words(acl: list[str], name: str) -> str:
    if not acl:
        return t("Nobody finds these documents until their source reports who may read them.")
    if "everyone" in acl:
        return t("Everyone who signs in for the tenant {tenant} finds these documents.", tenant=name)
    groups = [entry.removeprefix("group:") for entry in acl if entry.startswith("group:")]
    people = [entry.removeprefix("user:") for entry in acl if entry.startswith("user:")]
    parts = [t("members of {names}", names=", ".join(groups))] if groups else []
    parts += [t("the people {names}", names=", ".join(people))] if people else []
    return t("Of the tenant {tenant}, only {who} find these documents.", tenant=name, who=f" {t('and')} ".join(parts))


def schedule(draft: Draft, allowed: pb.GetSourcePermissionsResponse) -> list[str]:
    """Ask when the whole source is compared, in words and with the next times. Returns what is wrong."""
    now = draft.get("cron", "")
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox(t("Compare the whole source"), list(SCHEDULES), key=_key(draft, "schedule"),
                              index=list(SCHEDULES).index(now if now in SCHEDULES else "custom"),
                              format_func=lambda key: t(SCHEDULES[key]))  # fmt: skip
        if chosen == "custom":
            draft["cron"] = st.text_input(
                t("Cron expression"), now or "0 3 * * *", max_chars=64, key=_key(draft, "cron")
            ).strip()
        else:
            draft["cron"] = chosen
    with right:
        zone = st.text_input(t("Time zone"), draft["timezone"], max_chars=64, key=_key(draft, "timezone"))
        draft["timezone"] = zone.strip()
        draft["interval"] = st.number_input(t("Check for changes every (seconds)"), 5, 86_400, draft["interval"],
                                            key=_key(draft, "interval"))  # fmt: skip
    cron = draft["cron"]
    if cron and cron_problem(cron) is None and timezone_known(draft["timezone"]):
        times = [moment_words(moment, language()) for moment in next_times(cron, draft["timezone"])]
        st.info(cron_words(cron, language()), icon=":material/schedule:")
        st.caption(t("Next times ({zone}): {times}", zone=draft["timezone"], times="  ·  ".join(times)))
    st.caption(
        t(
            "What a comparison no longer finds is deleted. When that is more than {share} of the documents, and "
            "{count} at least, nothing is deleted until somebody approves it.",
            share=f"{allowed.delete_guard_fraction:.0%}",
            count=allowed.delete_guard_minimum,
        )
    )
    return forms.schedule_problems(cron, draft["timezone"])


def review(draft: Draft, create: Callable[[str, bool], None]) -> None:
    """The file that will be written, which may still be changed by hand."""
    st.write(t("This file is the source. It can be changed here; every option of its kind may be used."))
    text = st.text_area(t("Source file (YAML)"), forms.definition(draft), height=360, key="yaml", max_chars=65_536)
    unchecked = st.checkbox(t("Create it although it cannot be read now"), key="unchecked")
    if st.button(t("Create source"), type="primary", icon=":material/add:"):
        create(text, unchecked)
