"""Registers the kind `s3`: objects of a bucket."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported
from rag_assets.connectors.s3.options import S3Options

_KEYS = ("credentials.type", ("keys",))
KIND = ConnectorKind(S3Options, imported("rag_assets.connectors.s3.connector:S3Connector"), (
    Card("s3", "S3 bucket", "Objects of a bucket at Amazon S3 or a service that speaks its protocol.", "cloud",
         "bucket", (
        FormField("bucket", "Bucket", required=True),
        FormField("prefix", "Prefix (docs/)"),
        FormField("endpoint", "Endpoint (empty: Amazon S3)"),
        FormField("region", "Region", default="us-east-1"),
        FormField("credentials.type", "Credentials", "choice", default="keys",
                  choices=("keys", "instance", "anonymous")),
        FormField("credentials.access_key_id", "Access key id", "secret", required=True, only=_KEYS),
        FormField("credentials.secret_access_key", "Secret access key", "secret", required=True, only=_KEYS),
        FormField("include", "Include patterns (**/*.md, …)", "list"),
        FormField("exclude", "Exclude patterns", "list"),
    )),
), libraries=("botocore",))  # fmt: skip
