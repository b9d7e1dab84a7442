"""Event notifications of buckets: which objects they name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from rag_core.errors import InvalidInput, Reason

_BUCKETS = "/buckets/"
"""The folder in which SeaweedFS keeps the buckets."""


def read_message(body: str) -> list[tuple[str, str]]:
    """Bucket and key of each object that a message names. Raises as `read_event`."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise _unusable() from None
    return read_event(said)


def read_event(said: Any) -> list[tuple[str, str]]:
    """Bucket and key of each object that a notification names: of S3 and MinIO, of EventBridge, either of them within
    SNS, or of the files of SeaweedFS.

    Raises `InvalidInput` (`VALUE_INVALID`) for anything else.
    """
    try:
        if said.get("Type") == "Notification" and isinstance(said.get("Message"), str):
            said = json.loads(said["Message"])
        found = list(_objects(said))
        for name in (name for pair in found for name in pair):
            name.encode()  # JSON can write what is no text, and no bucket has such a key
            if not name or "\0" in name:
                raise ValueError
        return found
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise _unusable() from None


def _unusable() -> InvalidInput:
    return InvalidInput(Reason.VALUE_INVALID, "event: is no event notification of a bucket")


def _objects(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if said.get("Event") == "s3:TestEvent":
        return  # what S3 sends when notifications are set up
    if "detail" in said:
        yield str(said["detail"]["bucket"]["name"]), str(said["detail"]["object"]["key"])
        return
    if "event_type" in said:
        path = str(said["key"])
        bucket, _, key = path.removeprefix(_BUCKETS).partition("/")
        if path.startswith(_BUCKETS) and key:  # else a file beside the buckets, or a bucket itself
            yield bucket, key
        return
    for record in said["Records"]:
        # Here, and only here, keys are as in the query of a URL.
        yield str(record["s3"]["bucket"]["name"]), unquote_plus(str(record["s3"]["object"]["key"]))
