"""One pass over the keys of a bucket, and the version tag of what was seen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.outside import ListingState
from rag_assets.connectors.s3.options import S3Options
from rag_core.content.sources import Problem, SourceItem
from rag_core.errors import NotFound, RagError, Reason, Unavailable

Call = Callable[..., dict[str, Any]]
_ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class S3Listing(ListingState):
    """The `Listing` of a bucket. `call` carries out an operation; `limit` is the largest object in bytes.

    With `most` it ends there, complete, as the change sensor compares only the first keys of a large bucket.
    """

    def __init__(self, options: S3Options, call: Call, limit: int, *, most: int | None = None) -> None:
        super().__init__()
        self._options, self._call, self._limit, self._most = options, call, limit, most
        self._chosen = KeyFilter(options)
        self._hash, self._seen = hashlib.sha256(), 0

    @property
    def cursor(self) -> dict[str, Any]:
        """Nothing: a bucket has no list of changes. That there is one lets named objects be applied on their own."""
        return {}

    @property
    def version_tag(self) -> str:
        """A hash of the first `polled_objects` keys and their tags, which is what the change sensor reads."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        try:
            yield from self._entries()
        except NotFound as error:
            self._errors[f"{Reason.SOURCE_UNAVAILABLE}: {error.message}"] = None
        except RagError as error:
            self._errors[str(error)] = None
        self._finished = True

    def _entries(self) -> Iterator[SourceItem | Problem]:
        for found in self._objects():
            if _is_folder(found):
                continue
            key = str(found["Key"])
            self._seen += 1
            if self._seen <= self._options.polled_objects:
                self._hash.update(f"{key}\x1f{tag_of(found)}\n".encode("utf-8", "surrogatepass"))
            elif self._most is not None:
                return
            if self._seen > self._options.max_objects:
                most = f"more than max_objects ({self._options.max_objects}); choose a prefix, or raise it"
                self._errors[f"{Reason.LISTING_INCOMPLETE}: {most}"] = None
                return
            entry = self.entry(found)
            if entry is not None:
                yield entry

    def entry(self, found: Mapping[str, Any]) -> SourceItem | Problem | None:
        """Return the item of an object, or the problem with it; `None` when it is not one of the source's."""
        key = str(found["Key"])
        if _is_folder(found) or not self._chosen(key):
            return None
        locator = names.encode(key)
        if names.is_too_long(locator):
            return Problem(names.shorten(locator), Reason.ID_CHARS, "the key is too long")
        if {".", ".."} & set(key.split("/")):
            # Clients, proxies and servers resolve such parts of a path before the bucket sees them.
            return Problem(locator, Reason.ID_CHARS, "a key with the part `.` or `..` cannot be asked for by URL")
        size = int(found.get("Size") or 0)
        if size > self._limit:
            return Problem(locator, Reason.FILE_TOO_LARGE, f"the object has {size} > {self._limit} bytes")
        if found.get("StorageClass") in _ARCHIVED:
            return Problem(
                locator, Reason.UNREADABLE, "the object is archived; restore it, or exclude it", skipped=True
            )
        return SourceItem(locator, tag_of(found), size, found.get("LastModified"))

    def find(self, key: str) -> SourceItem | Problem | None:
        """Return what the source has of a key now. Raises as `call`.

        By listing: the head of an object says 404 of a missing bucket as well, and its documents would be deleted.
        """
        options = self._options
        operation, field = (
            ("list_object_versions", "Versions") if options.version_ids else ("list_objects_v2", "Contents")
        )
        page = self._call(operation, Bucket=options.bucket, Prefix=key, MaxKeys=1, **request_of(options))
        if "IsTruncated" not in page:
            raise Unavailable(Reason.RESPONSE_INVALID, "the bucket answers with something that is no listing")
        found = [one for one in page.get(field, ()) if one["Key"] == key and one.get("IsLatest", True)]
        return self.entry(found[0]) if found else None

    def _objects(self) -> Iterator[Mapping[str, Any]]:
        options = self._options
        common = {"Bucket": options.bucket, "Prefix": options.prefix, **request_of(options)}
        position: dict[str, Any] = {}
        while True:
            if options.version_ids:
                page = self._call("list_object_versions", **common, **position)
                yield from (one for one in page.get("Versions", ()) if one.get("IsLatest"))
                names_of_next = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
            else:
                page = self._call("list_objects_v2", **common, **position)
                yield from page.get("Contents", ())
                names_of_next = {"ContinuationToken": "NextContinuationToken"}
            if "IsTruncated" not in page:
                # A sign-in page of a proxy reads as a listing without keys, which would delete everything.
                self._errors[f"{Reason.RESPONSE_INVALID}: the bucket answers with something that is no listing"] = None
                return
            if not page["IsTruncated"]:
                return
            following = {name: page[value] for name, value in names_of_next.items() if page.get(value)}
            if not following or following == position:
                self._errors[f"{Reason.PAGINATION_LOOP}: the bucket says there is more and not where"] = None
                return
            position = following


class KeyFilter:
    """Filter of the source's keys: below its prefix, included and not excluded."""

    def __init__(self, options: S3Options) -> None:
        self._prefix = options.prefix
        # A prefix need not end at a slash; the globs see what follows the last one in it.
        self._folder = options.prefix.rpartition("/")[0]
        self._chosen = names.PathFilter(options.include, options.exclude, hidden=True)

    def __call__(self, key: str) -> bool:
        path = key[len(self._folder) :].lstrip("/")
        return key.startswith(self._prefix) and bool(path) and self._chosen(path)


def _is_folder(found: Mapping[str, Any]) -> bool:
    """Return whether an object is what consoles make to show a folder."""
    return str(found["Key"]).endswith("/") and not found.get("Size")


def tag_of(found: Mapping[str, Any]) -> str:
    """The version tag of an object from its listing, its head or its content."""
    etag = str(found.get("ETag") or "").strip('"')
    version = found.get("VersionId")
    return f"{version}:{etag}" if version and version != "null" else etag


def request_of(options: S3Options) -> dict[str, Any]:
    """Return the parameters of every request of a source."""
    said: dict[str, Any] = {"RequestPayer": "requester"} if options.requester_pays else {}
    return said | ({"ExpectedBucketOwner": options.expected_owner} if options.expected_owner else {})
