"""The S3 connector."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.outside import ConnectorContext, check_by_sample
from rag_assets.connectors.s3.client import AwsClient
from rag_assets.connectors.s3.listing import S3Listing, request_of, tag_of
from rag_assets.connectors.s3.options import S3Options
from rag_core.content.sources import FetchedItem, Problem, Removed, SourceItem
from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.http_client import Pacing

_UNKNOWN_TYPES: Final = frozenset({"binary/octet-stream", "application/octet-stream", ""})
"""Types that services give an object of which nobody said the type; its name and content say more."""


class S3Connector:
    """Reads one bucket."""

    shares_listings = True

    def __init__(self, options: S3Options, context: ConnectorContext) -> None:
        policy = context.fetch_policy
        if options.timeout_seconds is not None:
            policy = policy.with_seconds(options.timeout_seconds)
        self._options = options
        self._limit = min(context.max_file_bytes, options.max_file_bytes or context.max_file_bytes)
        path_style = options.path_style if options.path_style is not None else options.endpoint is not None
        self._client = AwsClient(
            "s3",
            options.credentials,
            policy,
            what=f"the bucket {options.bucket}",
            region=options.region,
            endpoint=options.endpoint,
            path_style=path_style,
            pacing=Pacing(options.requests_per_second, options.attempts, options.max_wait_seconds),
        )

    def list_items(self) -> S3Listing:
        return S3Listing(self._options, self._client.call, self._limit)

    def fetch(self, item: SourceItem) -> FetchedItem:
        version, _, _ = item.version_tag.rpartition(":")
        found = self._client.call("get_object", **self._object(item.locator, version))
        content: bytes = found["Body"].read()
        if len(content) > self._limit:
            raise InvalidInput(Reason.FILE_TOO_LARGE, f"the object has {len(content)} > {self._limit} bytes")
        if not self._options.version_ids:
            found.pop("VersionId", None)  # the listing does not have it, and a tag must be comparable
        media_type = str(found.get("ContentType") or "").split(";")[0].strip().lower()
        # The tag of what was read, which may be newer than what was listed.
        read = replace(item, version_tag=tag_of(found), size=len(content), modified_at=found.get("LastModified"))
        return FetchedItem(read, content, None if media_type in _UNKNOWN_TYPES else media_type)

    def look_up(self, locators: Sequence[str]) -> list[SourceItem | Problem | Removed]:
        """Return what these items are now, for notifications that say only that something happened to them.

        Raises what keeps the bucket from being read.
        """
        listing = self.list_items()
        return [listing.find(names.decode_key(locator)) or Removed(locator) for locator in locators]

    def version_tag(self) -> str:
        listing = S3Listing(self._options, self._client.call, self._limit, most=self._options.polled_objects)
        for _ in listing:
            pass
        return listing.version_tag if listing.complete else f"unavailable:{listing.error}"

    def check(self) -> dict[str, Any]:
        return check_by_sample(self)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._client.close()

    def _object(self, locator: str, version: str) -> dict[str, Any]:
        said = {"Bucket": self._options.bucket, "Key": names.decode_key(locator), **request_of(self._options)}
        if version and self._options.version_ids:
            said["VersionId"] = version
        if self._options.sse_customer_key is not None:
            said |= {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": self._customer_key()}
        return said

    def _customer_key(self) -> bytes:
        assert self._options.sse_customer_key is not None  # noqa: S101
        try:
            key = base64.b64decode(self._options.sse_customer_key.read().get_secret_value(), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32:
            raise ConfigError(Reason.SECRET_WEAK, "sse_customer_key: the secret is not the base64 of 32 bytes")
        return key
