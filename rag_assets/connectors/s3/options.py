"""The options of an S3 source, as they stand in its YAML."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from rag_assets.connectors.fields import Model, Url
from rag_assets.connectors.kind import Endpoint, Opened, endpoint
from rag_assets.connectors.objects.options import NoCredentials, ObjectOptions
from rag_core.content.sources import SecretRef

INSTANCE_SECRET = "instance:aws"  # noqa: S105 - a name, as allow-lists write it
_PLAIN_BUCKET = re.compile(r"[a-z0-9-]+")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
Bucket = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{2,32}$")]


class KeyCredentials(Model):
    """An access key, by reference."""

    type: Literal["keys"]
    access_key_id: SecretRef
    secret_access_key: SecretRef
    session_token: SecretRef | None = None


class InstanceCredentials(Model):
    """The role of the machine, container or service account that the platform runs as."""

    type: Literal["instance"]


Credentials = Annotated[KeyCredentials | InstanceCredentials | NoCredentials, Field(discriminator="type")]


class QueueEvents(Model):
    """Event notifications of the bucket in an SQS queue, read with the credentials of the source."""

    queue_url: Url = Field(description="URL of the queue.")
    region: Region | None = Field(None, description="Region of the queue; left out: the bucket's.")
    wait_seconds: int = Field(20, ge=1, le=20, description="Long polling: how long the queue holds an empty answer.")


class S3Options(ObjectOptions):
    """Objects of a bucket."""

    kind: Literal["s3"]
    bucket: Bucket
    endpoint: Url | None = Field(None, description="URL of a service that speaks S3; left out: Amazon's of the region.")
    region: Region = Field("us-east-1", description="Region of the bucket.")
    path_style: bool | None = Field(
        None, description="Bucket in the path instead of the host name; left out: where there is an `endpoint`."
    )
    credentials: Credentials
    sse_customer_key: SecretRef | None = Field(
        None, description="Base64 of the 32 bytes of the key (SSE-C) that the objects are encrypted with."
    )
    requester_pays: bool = Field(False, description="Whether the reader agrees to pay for requests.")
    expected_owner: Annotated[str, StringConstraints(pattern=r"^\d{12}$")] | None = Field(
        None, description="Account that must own the bucket, so that one of the same name is never read."
    )
    version_ids: bool = Field(
        False, description="List with version ids and read exactly the listed version, in a versioned bucket."
    )
    events: QueueEvents | None = Field(None, description="Event notifications, so that changes take seconds.")

    @model_validator(mode="after")
    def _key_stays_secret(self) -> Self:
        parts = urlsplit(self.endpoint or "https://amazon")
        if self.sse_customer_key is not None and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("`sse_customer_key` is sent with every request: the endpoint must be https")
        if parts.path not in ("", "/"):
            raise ValueError("endpoint: a URL without a path; the bucket has its own option")
        return self

    def opened(self) -> Opened:
        events = [endpoint(self.events.queue_url)] if self.events else []
        # What the platform's own role may read is nobody's by default.
        own = (INSTANCE_SECRET,) if isinstance(self.credentials, InstanceCredentials) else ()
        return Opened(endpoints=(self._bucket_endpoint(), *events), credentials=own)

    def _bucket_endpoint(self) -> Endpoint:
        amazon = f"https://s3.{self.region}.amazonaws.com" + (".cn" if self.region.startswith("cn-") else "")
        host, port = endpoint(self.endpoint or amazon)
        by_path = self.path_style
        if by_path is None:  # at Amazon botocore puts every bucket that its certificate covers into the host's name
            by_path = self.endpoint is not None or not _PLAIN_BUCKET.fullmatch(self.bucket)
        return host if by_path else f"{self.bucket.lower()}.{host}", port

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        return {"bucket": bucket, "prefix": prefix}

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return f"s3://{self.bucket}/{self.prefix}"
