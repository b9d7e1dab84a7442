"""Decode a message into an event of one document, or refuse it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jsonschema
from jsonschema.protocols import Validator

from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.kafka.registry import Registry
from rag_assets.connectors.kafka.schemas import SchemaDecoder, checked_by, json_object, validator_of
from rag_core.content.sources import Source
from rag_core.database import is_storable
from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.governance.access import is_acl_entry
from rag_core.http_client import FetchPolicy
from rag_core.ingestion.pipeline import Event

MAX_KEY_BYTES: Final = 1024
MAX_METADATA: Final = 32
MAX_METADATA_CHARS: Final = 1024
_METADATA_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MAX_VERSION = 2**62
_OFFSET_BITS = 20
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1


@dataclass(frozen=True, slots=True)
class Record:
    """A message as the broker gave it. `timestamp_ms` is `None` when it has none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)
    version: int | None = None
    """Version that orders it by its offset, when that is more than the offset
    (`rag_core.content.streams.offset_store`)."""

    @property
    def token(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


class Decoder:
    """Decodes the messages of one source. Used from one thread; close it.

    Raises `ConfigError` when its schema file or the registry's CA cannot be used. `fetch` is what a schema registry may
    be called by.
    """

    def __init__(self, options: KafkaOptions, source: Source, fetch: FetchPolicy | None = None) -> None:
        self._options = options
        self._fields = options.fields
        self._source = source
        self._validator = _validator(options.schema_file)
        registry = options.registry
        self._schemas = SchemaDecoder(Registry(registry, fetch or FetchPolicy())) if registry is not None else None

    def close(self) -> None:
        """Close the connection to the registry. Idempotent."""
        if self._schemas is not None:
            self._schemas.close()

    def locator(self, record: Record) -> str:
        """The document a message names; its place in the topic when it names none."""
        try:
            return self._key(record)
        except InvalidInput:
            return record.token

    def event(self, record: Record) -> Event:
        """The event of a message.

        Raises `InvalidInput`: `KEY_MISSING`, `MESSAGE_TOO_LARGE`, `EVENT_INVALID`, `EVENT_SCHEMA`, `TENANT_MISMATCH`,
        and with a registry `EVENT_UNDECODABLE`, `SCHEMA_UNKNOWN`, `SCHEMA_UNUSABLE`; `Unavailable` as
        `Registry.schema` when it cannot be asked, which says nothing of the message.
        """
        locator = self._key(record)
        if record.value is None:
            version = self._version(record, {})
            return Event(locator, version, record.token, self._time(record, {}))
        body = self._body(record)
        self._check_tenant(body)
        event_at, version = self._time(record, body), self._version(record, body)
        if self._at(body, self._fields.deleted) is True:
            return Event(locator, version, record.token, event_at)
        content = self._at(body, self._fields.content)
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogatepass")
        if not isinstance(content, bytes):
            raise _invalid(f"{self._fields.content}: must be text")
        return Event(
            locator,
            version,
            record.token,
            event_at,
            content,
            self._text(body, self._fields.media_type, 200) or "text/plain",
            self._text(body, self._fields.title, 512),
            self._acl(body),
            self._metadata(body),
        )

    def _key(self, record: Record) -> str:
        if not record.key:
            raise InvalidInput(Reason.KEY_MISSING, "the message has no key, so it names no document")
        if len(record.key) > MAX_KEY_BYTES:
            raise InvalidInput(Reason.EVENT_INVALID, f"key: {len(record.key)} > {MAX_KEY_BYTES} bytes")
        try:
            key = record.key.decode()
        except UnicodeDecodeError:
            raise InvalidInput(Reason.EVENT_INVALID, "key: not UTF-8") from None
        if not is_storable(key) or not key.isprintable():
            raise InvalidInput(Reason.EVENT_INVALID, "key: control characters are not allowed")
        return key

    def _body(self, record: Record) -> Mapping[str, Any]:
        value = record.value or b""
        if len(value) > self._options.max_message_bytes:
            raise InvalidInput(
                Reason.MESSAGE_TOO_LARGE, f"value: {len(value)} > {self._options.max_message_bytes} bytes"
            )
        body = self._schemas.decode(value) if self._schemas is not None else _json(value)
        if not isinstance(body, dict):
            raise _invalid("value: must be a JSON object" if self._schemas is None else "value: must be a record")
        if self._validator is not None:
            checked_by(self._validator, body)
        return body

    def _check_tenant(self, body: Mapping[str, Any]) -> None:
        claimed = self._at(body, self._fields.tenant)
        if claimed is not None and claimed != self._source.tenant:
            raise InvalidInput(Reason.TENANT_MISMATCH, "tenant: the message names another than its topic's")

    def _version(self, record: Record, body: Mapping[str, Any]) -> int:
        wanted = self._options.version
        if wanted == "offset":
            return record.offset + 1 if record.version is None else record.version
        if wanted == "timestamp":
            # Messages of one millisecond are ordered by their offset.
            return (max(record.timestamp_ms or 0, 1) << _OFFSET_BITS) | (record.offset & _OFFSET_MASK)
        if record.value is None:
            wanted = self._options.version_header
            given = record.headers.get(wanted, b"").decode("ascii", "replace")
            version: object = int(given) if given.isascii() and given.isdecimal() and len(given) < 20 else None
        else:
            version = self._at(body, wanted)
        if isinstance(version, bool) or not isinstance(version, int) or not 0 < version <= _MAX_VERSION:
            raise _invalid(f"{wanted}: must be a whole number of 1 to {_MAX_VERSION}")
        return version

    def _time(self, record: Record, body: Mapping[str, Any]) -> datetime:
        """Return when it changed, as far as the message says so; never in the future, whatever its clock says."""
        now = datetime.now(UTC)
        said = self._at(body, self._fields.event_time)
        if said is None:
            said = record.timestamp_ms
        try:
            at = _moment(said) if said is not None else now
        except (ValueError, OverflowError, OSError):
            raise _invalid(f"{self._fields.event_time}: not a time") from None
        return min(at, now)

    def _acl(self, body: Mapping[str, Any]) -> tuple[str, ...] | None:
        entries = self._at(body, self._fields.acl)
        if entries is None:
            return None
        if not isinstance(entries, list) or not 1 <= len(entries) <= 256:
            raise _invalid(f"{self._fields.acl}: must be a list of 1 to 256 entries")
        if not all(isinstance(entry, str) and is_acl_entry(entry) for entry in entries):
            raise _invalid(
                f"{self._fields.acl}: entries are everyone, user:<subject> or group:<name>, or deny: before one"
            )
        return tuple(dict.fromkeys(entries))

    def _metadata(self, body: Mapping[str, Any]) -> dict[str, str]:
        said = self._at(body, self._fields.metadata)
        if said is None:
            return {}
        if not isinstance(said, dict) or len(said) > MAX_METADATA:
            raise _invalid(f"{self._fields.metadata}: must be an object of at most {MAX_METADATA} values")
        kept = {}
        for name, value in said.items():
            text = json.dumps(value) if isinstance(value, bool | int | float) else value
            if not isinstance(text, str) or len(text) > MAX_METADATA_CHARS or not is_storable(text):
                raise _invalid(f"{self._fields.metadata}.{name[:64]}: must be a short text, a number or a truth value")
            if not _METADATA_KEY.fullmatch(name):
                raise _invalid(f"{self._fields.metadata}: names are lower-case letters, digits and _")
            kept[name] = text
        return kept

    def _text(self, body: Mapping[str, Any], path: str | None, limit: int) -> str | None:
        value = self._at(body, path)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > limit or not is_storable(value):
            raise _invalid(f"{path}: must be a text of at most {limit} characters")
        return value or None

    def _at(self, body: Mapping[str, Any], path: str | None) -> Any:
        found: Any = body
        for name in path.split(".") if path else ():
            found = found.get(name) if isinstance(found, dict) else None
        return found if path else None


def _moment(said: object) -> datetime:
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        raise ValueError("neither a text nor a number")
    if isinstance(said, str):
        at = datetime.fromisoformat(said)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return datetime.fromtimestamp(said / 1000, UTC)


def _validator(path: str | None) -> Validator | None:
    if path is None:
        return None
    try:
        return validator_of(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError, jsonschema.SchemaError):
        raise ConfigError(Reason.CONFIG_INVALID, "options.schema_file: not a readable JSON Schema") from None


def _json(value: bytes) -> Any:
    try:
        return json_object(value)
    except ValueError:
        raise _invalid("value: not JSON") from None


def _invalid(why: str) -> InvalidInput:
    return InvalidInput(Reason.EVENT_INVALID, why)
