"""Registers the kind `imap`: messages of mailboxes."""

from __future__ import annotations

from rag_assets.connectors.imap.options import ImapOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported, watched_by

_PASSWORD, _APP = (("login.type", (name,)) for name in ("password", "oauth2"))
KIND = ConnectorKind(ImapOptions, imported("rag_assets.connectors.imap.connector:ImapConnector"), (
    Card("imap", "Mailboxes (IMAP)", "Messages and attachments of an IMAP server.", "mail", "host", (
        FormField("host", "Host", required=True),
        FormField("user", "Account", required=True),
        FormField("login.type", "How it signs in", "choice", default="password", choices=("password", "oauth2")),
        FormField("login.password", "Password", "secret", required=True, only=_PASSWORD),
        FormField("login.token_url", "Token URL", required=True, only=_APP),
        FormField("login.client_id", "Client id", required=True, only=_APP),
        FormField("login.client_secret", "Client secret", "secret", required=True, only=_APP),
        FormField("login.scope", "Scope", only=_APP),
        FormField("include", "Mailboxes (INBOX, Projects/**)", "list"),
        FormField("exclude", "Exclude patterns", "list"),
        FormField("attachments", "Attachments become documents"),
        FormField("directory", "Directory that knows its users and groups"),
    )),
), readers="file or source", libraries=("imapclient",), extra="rag-platform[imap]",
    watch=watched_by("rag_assets.connectors.imap.server:ImapServer"))  # fmt: skip
