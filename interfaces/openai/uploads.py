"""Uploaded files that wait to be attached to a source. In memory, for minutes, within bounds."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from interfaces.errors import ApiError
from interfaces.platform import Credentials

PREFIX = "upload-"
_SHARE = 4
"""One tenant, or one API key, may take this part of the memory."""


@dataclass(slots=True)
class Upload:
    """A file. `places` are the sources it was attached to: the document's id there, and when."""

    id: str
    owner: str
    shares: str
    name: str
    content: bytes
    purpose: str
    created: float
    places: dict[str, tuple[str, float]] = field(default_factory=dict)


class Uploads:
    """The files of all callers. Each sees its own only."""

    def __init__(self, *, seconds: float, most_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._most = most_bytes
        self._clock = clock
        self._files: dict[str, Upload] = {}

    def add(self, credentials: Credentials, name: str, content: bytes, purpose: str) -> Upload:
        """Keep a file. Raises `ApiError` (`UPLOADS_FULL`)."""
        self._forget()
        owner, shares = _owner(credentials)
        held = sum(len(one.content) for one in self._files.values())
        own = sum(len(one.content) for one in self._files.values() if one.shares == shares)
        if held + len(content) > self._most or own + len(content) > self._most // _SHARE:
            raise ApiError(
                429,
                "UPLOADS_FULL",
                "too many uploaded files wait to be attached; attach or delete some, or wait",
                retry_after=60,
            )
        upload = Upload(f"{PREFIX}{secrets.token_urlsafe(24)}", owner, shares, name, content, purpose, self._clock())
        self._files[upload.id] = upload
        return upload

    def get(self, credentials: Credentials, file_id: str) -> Upload:
        """A file of the caller. Raises `ApiError` (`UPLOAD_NOT_FOUND`)."""
        self._forget()
        found = self._files.get(file_id)
        if found is None or found.owner != _owner(credentials)[0]:
            raise ApiError(
                404, "UPLOAD_NOT_FOUND", "no such uploaded file; it is kept for minutes only: upload it again"
            )
        return found

    def remove(self, credentials: Credentials, file_id: str) -> None:
        """Forget a file. Raises as `get`."""
        del self._files[self.get(credentials, file_id).id]

    def now(self) -> float:
        """The time that files are dated with."""
        return self._clock()

    def _forget(self) -> None:
        oldest = self._clock() - self._seconds
        for file_id in [one.id for one in self._files.values() if one.created < oldest]:
            del self._files[file_id]


def _owner(credentials: Credentials) -> tuple[str, str]:
    """Who uploaded, and who shares the memory with them: subject and tenant of the token, which is renewed meanwhile,
    or the key. The server verifies both when the file is attached; this only keeps callers' files apart."""
    claims = _claims(credentials.secret)
    tenant = json.dumps([claims.get("tenant")]) if claims else credentials.secret
    caller = json.dumps([claims.get("tenant"), claims.get("sub")]) if claims else credentials.secret
    return hashlib.sha256(caller.encode()).hexdigest(), hashlib.sha256(tenant.encode()).hexdigest()


def _claims(secret: str) -> dict[str, object]:
    try:
        payload = secret.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}
