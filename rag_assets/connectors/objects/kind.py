"""Registers the kinds `azure` and `gcs`: objects of a store, by one connector."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported
from rag_assets.connectors.objects.options import AzureOptions, GcsOptions

_KEY, _SAS, _APP = (("credentials.type", (name,)) for name in ("key", "sas", "oauth2"))
_ACCOUNT, _BEARER = (("credentials.type", (name,)) for name in ("service_account", "bearer"))
_CHOSEN = (
    FormField("prefix", "Prefix (docs/)"),
    FormField("include", "Include patterns (**/*.md, …)", "list"),
    FormField("exclude", "Exclude patterns", "list"),
)


AZURE = ConnectorKind(AzureOptions, imported("rag_assets.connectors.objects.azure:connect"), (
    Card("azure", "Azure Blob Storage", "Blobs of a container in Azure.", "cloud", "account", (
        FormField("account", "Storage account", required=True),
        FormField("container", "Container", required=True),
        FormField("credentials.type", "Credentials", "choice", default="sas",
                  choices=("sas", "key", "oauth2", "anonymous")),
        FormField("credentials.sas", "Shared access signature", "secret", required=True, only=_SAS),
        FormField("credentials.account_key", "Account key", "secret", required=True, only=_KEY),
        FormField("credentials.token_url", "Token URL of the tenant", required=True, only=_APP),
        FormField("credentials.client_id", "Client id", required=True, only=_APP),
        FormField("credentials.client_secret", "Client secret", "secret", required=True, only=_APP),
        FormField("credentials.scope", "Scope", default="https://storage.azure.com/.default", only=_APP),
        *_CHOSEN,
    )),
))  # fmt: skip

GCS = ConnectorKind(GcsOptions, imported("rag_assets.connectors.objects.gcs:connect"), (
    Card("gcs", "Google Cloud Storage", "Objects of a bucket at Google.", "cloud", "bucket", (
        FormField("bucket", "Bucket", required=True),
        FormField("credentials.type", "Credentials", "choice", default="service_account",
                  choices=("service_account", "bearer", "anonymous")),
        FormField("credentials.key", "JSON key of the service account", "secret", required=True, only=_ACCOUNT),
        FormField("credentials.token", "Bearer token", "secret", required=True, only=_BEARER),
        *_CHOSEN,
    )),
))  # fmt: skip
