"""The pages that a person may use, in the groups of the sidebar."""

from __future__ import annotations

from console.presenters.formats import Translate
from console.session import Identity, PlatformRole, Role

Entry = tuple[str, str, str]
"""Name, title and icon of a page; without an icon it is no entry of the sidebar: another page leads to it."""


def sections(who: Identity, t: Translate) -> dict[str, list[Entry]]:
    """The pages that this person may use, in the groups of the sidebar; a page without an icon is no entry."""
    role, beyond = who.role, who.platform
    reads, acts, administers = role >= Role.VIEWER or beyond, role >= Role.OPERATOR, role >= Role.ADMIN
    of_platform, administers = beyond >= PlatformRole.READER, administers or beyond >= PlatformRole.ADMIN
    return {
        "": [("ask", t("Ask"), ":material/forum:")] if who.may_ask else [],
        t("Data"): [
            ("sources", t("Sources"), ":material/folder_open:"),
            *([("add_source", t("Add a source"), ":material/add:")] if administers else []),
            *([("secrets", t("Secrets"), "")] if administers else []),
            ("documents", t("Documents"), ":material/description:"),
            ("quality", t("Quality"), ":material/fact_check:"),
            ("pipeline", t("Pipeline"), ":material/account_tree:"),
        ] if reads else [],
        t("Operate"): [
            ("overview", t("Overview"), ":material/monitoring:"),
            ("traffic", t("Traffic and usage"), ":material/speed:"),
            ("usage", t("Usage"), ""),
            ("evaluation", t("Evaluation"), ":material/quiz:"),
            ("index", t("Index and deployments") if of_platform else t("Index"), ":material/database:"),
            *([("deployments", t("Deployments"), "")] if of_platform else []),
            *_access(t, of_platform=of_platform, administers=administers),
            *_records(t, acts=acts, administers=administers),
        ] if reads else [],
    }  # fmt: skip


def _access(t: Translate, *, of_platform: bool, administers: bool) -> list[Entry]:
    both = of_platform and administers
    found = [("access", t("Tenants and access") if both else t("Access"), ":material/key:")] if administers else []
    return [*found, *([("tenants", t("Tenants"), "" if both else ":material/apartment:")] if of_platform else [])]


def _records(t: Translate, *, acts: bool, administers: bool) -> list[Entry]:
    both = acts and administers
    found = [("audit", t("Audit and webhooks") if both else t("Audit"), ":material/history:")] if acts else []
    return [*found, *([("webhooks", t("Webhooks"), "" if both else ":material/webhook:")] if administers else [])]
