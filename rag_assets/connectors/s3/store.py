"""The objects of a bucket by S3's protocol."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rag_assets.connectors.objects.connector import pacing_of, policy_of
from rag_assets.connectors.objects.listing import StoredObject
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.paging import all_pages
from rag_assets.connectors.s3.client import AwsClient
from rag_assets.connectors.s3.options import S3Options
from rag_core.errors import ConfigError, Reason, Unavailable

Position = dict[str, Any]
_ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_LATEST: Final = ("list_objects_v2", "Contents", {"ContinuationToken": "NextContinuationToken"})
_VERSIONS: Final = (
    "list_object_versions", "Versions",
    {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"},
)  # fmt: skip


class S3Store:
    """One bucket."""

    def __init__(self, options: S3Options, context: ConnectorContext) -> None:
        self._options = options
        self._what = f"the bucket {options.bucket}"
        self._client = AwsClient(
            "s3",
            options.credentials,
            policy_of(options, context),
            what=self._what,
            region=options.region,
            endpoint=options.endpoint,
            path_style=options.path_style if options.path_style is not None else options.endpoint is not None,
            pacing=pacing_of(options),
        )

    def objects(self) -> Iterator[StoredObject]:
        return all_pages(self._page, self._what)

    def find(self, key: str) -> StoredObject | None:
        """Return what the bucket has of a key now. Raises as `AwsClient.call`.

        By listing: the head of an object says 404 of a missing bucket as well, and its documents would be deleted.
        """
        found, _ = self._list(Prefix=key, MaxKeys=1)
        return next((one for one in found if one.key == key), None)

    def read(self, key: str, tag: str) -> tuple[StoredObject, bytes]:
        version, _, _ = tag.rpartition(":")
        found = self._client.call("get_object", **self._object(key, version))
        content: bytes = found["Body"].read()
        if not self._options.version_ids:
            found.pop("VersionId", None)  # the listing does not have it, and a tag must be comparable
        return _stored({**found, "Key": key, "Size": len(content)}), content

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._client.close()

    def _page(self, position: Position | None) -> tuple[Iterator[StoredObject], Position | None]:
        return self._list(Prefix=self._options.prefix, **(position or {}))

    def _list(self, **parameters: Any) -> tuple[Iterator[StoredObject], Position | None]:
        operation, field, names_of_next = _VERSIONS if self._options.version_ids else _LATEST
        page = self._client.call(operation, Bucket=self._options.bucket, **parameters, **self._common())
        if "IsTruncated" not in page:
            # A sign-in page of a proxy reads as a listing without keys, which would delete everything.
            message = f"{self._what} answers with something that is no listing"
            raise Unavailable(Reason.RESPONSE_INVALID, message)
        found = (_stored(one) for one in page.get(field, ()) if one.get("IsLatest", True))
        following = {name: page[value] for name, value in names_of_next.items() if page.get(value)}
        if page["IsTruncated"] and not following:
            raise Unavailable(Reason.PAGINATION_LOOP, f"{self._what} says there is more and not where")
        return found, following if page["IsTruncated"] else None

    def _object(self, key: str, version: str) -> dict[str, Any]:
        said = {"Bucket": self._options.bucket, "Key": key, **self._common()}
        if version and self._options.version_ids:
            said["VersionId"] = version
        if self._options.sse_customer_key is not None:
            said |= {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": self._customer_key()}
        return said

    def _common(self) -> dict[str, Any]:
        """The parameters of every request."""
        options = self._options
        said: dict[str, Any] = {"RequestPayer": "requester"} if options.requester_pays else {}
        return said | ({"ExpectedBucketOwner": options.expected_owner} if options.expected_owner else {})

    def _customer_key(self) -> bytes:
        assert self._options.sse_customer_key is not None  # noqa: S101
        try:
            key = base64.b64decode(self._options.sse_customer_key.read().get_secret_value(), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32:
            raise ConfigError(Reason.SECRET_WEAK, "sse_customer_key: the secret is not the base64 of 32 bytes")
        return key


def _stored(found: Mapping[str, Any]) -> StoredObject:
    """The object of an entry of a listing, or of the answer with its content."""
    etag = str(found.get("ETag") or "").strip('"')
    version = found.get("VersionId")
    return StoredObject(
        str(found["Key"]),
        f"{version}:{etag}" if version and version != "null" else etag,
        int(found.get("Size") or 0),
        found.get("LastModified"),
        str(found.get("ContentType") or ""),
        found.get("StorageClass") in _ARCHIVED,
    )
