"""Schemas from a registry with Confluent's REST interface, asked within the installation's rules for calls outside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from rag_assets.connectors.auth import ServiceCredentials
from rag_assets.connectors.kafka.options import KafkaRegistry
from rag_core.errors import DeadlineExceeded, InvalidInput, Reason, Unavailable
from rag_core.http_client import Fetched, Fetcher, FetchPolicy

MAX_SCHEMA_BYTES: Final = 1_000_000
MAX_REFERENCES: Final = 64
"""Schemas that one schema may need, each counted once."""
_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema and those it refers to by their names there, each before those that need it."""

    kind: str
    text: str
    references: Mapping[str, str]


class Registry:
    """Asks one registry. Used from one thread; nothing is tried again here. Close it."""

    def __init__(self, options: KafkaRegistry, policy: FetchPolicy) -> None:
        limits = replace(policy.limits, wire_bytes=MAX_SCHEMA_BYTES, decoded_bytes=MAX_SCHEMA_BYTES, seconds=_SECONDS)
        self._base = options.url.rstrip("/")
        self._fetcher = Fetcher(replace(policy, limits=limits), connections=1, ca_file=options.ca_file)
        self._credentials = ServiceCredentials(options.auth, self._fetcher)

    def schema(self, number: int) -> Schema:
        """The schema of this id.

        Raises `InvalidInput` (`SCHEMA_UNKNOWN`, `SCHEMA_UNUSABLE`), `Unavailable` (`REGISTRY_UNAVAILABLE`,
        `ACCESS_REFUSED`), and of a registry that must not be called `Unavailable` with the reason (`SSRF_BLOCKED`,
        `URL_PORT`, …).
        """
        found = self._ask(f"/schemas/ids/{number}", f"schema {number}")
        references: dict[str, str] = {}
        self._collect(found, references, set())
        return Schema(str(found.get("schemaType") or "AVRO"), found["schema"], references)

    def close(self) -> None:
        self._fetcher.close()

    def _collect(self, schema: Mapping[str, Any], found: dict[str, str], seen: set[str]) -> None:
        for reference in schema.get("references") or ():
            try:
                name, subject, version = (reference[key] for key in ("name", "subject", "version"))
            except (TypeError, KeyError):
                raise _malformed() from None
            if name in seen:
                continue
            seen.add(name)
            if len(seen) > MAX_REFERENCES:
                raise unusable(f"it needs more than {MAX_REFERENCES} others")
            path = f"/subjects/{quote(str(subject), safe='')}/versions/{quote(str(version), safe='')}"
            needed = self._ask(path, f"reference {str(name)[:200]}")
            self._collect(needed, found, seen)
            found[name] = needed["schema"]

    def _ask(self, path: str, what: str) -> dict[str, Any]:
        answer = self._get(f"{self._base}{path}?format=serialized")
        if answer.status == 401 and self._credentials.renew():
            answer = self._get(f"{self._base}{path}?format=serialized")
        said = _object(answer)
        if answer.status == 404 and "error_code" in said:
            raise InvalidInput(Reason.SCHEMA_UNKNOWN, f"{what}: the registry does not know it")
        if answer.status in (401, 403):
            why = f"the schema registry answers with status {answer.status}; check registry.auth"
            raise Unavailable(Reason.ACCESS_REFUSED, why)
        if answer.status != 200:
            why = f"the schema registry answers with status {answer.status}; check registry.url"
            raise Unavailable(Reason.REGISTRY_UNAVAILABLE, why)
        if not isinstance(said.get("schema"), str):
            raise _malformed()
        return said

    def _get(self, url: str) -> Fetched:
        try:
            return self._fetcher.get(
                url,
                headers={"accept": "application/vnd.schemaregistry.v1+json, application/json"},
                credentials=self._credentials.headers(),
                redirects="same_origin",
                accept=(200, 404),
            )
        except InvalidInput as refused:
            if refused.reason is Reason.RESPONSE_TOO_LARGE:
                raise unusable(f"larger than {MAX_SCHEMA_BYTES} bytes") from None
            # About the registry, not about the message that made us ask.
            raise Unavailable(refused.reason, f"the schema registry: {refused.message}") from None
        except (Unavailable, DeadlineExceeded) as away:
            raise Unavailable(Reason.REGISTRY_UNAVAILABLE, f"the schema registry: {away.message}") from None


def unusable(why: str) -> InvalidInput:
    """The refusal of a schema."""
    return InvalidInput(Reason.SCHEMA_UNUSABLE, f"schema: {why}")


def _malformed() -> Unavailable:
    return Unavailable(Reason.REGISTRY_UNAVAILABLE, "the schema registry's answer is none; check registry.url")


def _object(answer: Fetched) -> dict[str, Any]:
    """The answer's JSON object; empty when it has none."""
    try:
        said = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
