"""The few Dagster GraphQL calls the command line needs."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from rag_core.errors import Exhausted, RagError, Reason, Unavailable
from rag_core.settings import Settings
from ragctl.gateway.options import reachable

# The first queries of a webserver load the code location; on a busy machine that takes its time.
_TIMEOUT_SECONDS = 60.0
_RELOAD_SECONDS = 300.0
"""A reload starts the code server again, and ends when that has loaded every source."""


class DagsterApi:
    """Client of the webserver's GraphQL endpoint. Every call may raise `Unavailable` (`DAGSTER_UNAVAILABLE`)."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"http://{reachable(settings.host)}:{settings.dagster_port}"
        # Plain HTTP on loopback: no proxy, and no trusted certificates (loading them costs more than a query).
        nothing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._http = httpx.Client(trust_env=False, verify=nothing)

    def query(self, document: str, *, seconds: float = _TIMEOUT_SECONDS, **variables: object) -> dict[str, Any]:
        """Run a document and return its `data`; `seconds` is how long that may take.

        A union `…OrError` that Dagster answered by an error raises too; what it does not find is an answer.
        """
        try:
            asked = {"query": document, "variables": variables}
            response = self._http.post(f"{self.url}/graphql", json=asked, timeout=seconds)
            body = response.json()
        except httpx.ReadTimeout:
            said = f"the Dagster webserver has not answered for {seconds:.0f} s: it is busy; run it again in a moment"
            raise Unavailable(Reason.DAGSTER_UNAVAILABLE, said) from None
        except (httpx.HTTPError, ValueError):
            raise Unavailable(
                Reason.DAGSTER_UNAVAILABLE, "the Dagster webserver does not answer; see `rag status`"
            ) from None
        data = body.get("data")
        if not isinstance(data, dict) or body.get("errors"):
            raise _refusal(body.get("errors") or [])
        failed = [answer for field, answer in data.items() if field.endswith("OrError") and is_failure(answer)]
        if failed:
            raise _refusal([{"path": True, **answer} for answer in failed])
        return data

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def reload(self, location: str) -> None:
        """Reload the code location. Raises `Unavailable` with the reason when its code or a source file is wrong."""
        document = """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename
          ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } } } }"""
        entry = self.query(document, seconds=_RELOAD_SECONDS, name=location)["reloadRepositoryLocation"]
        loaded = entry.get("locationOrLoadError") or {}
        if entry["__typename"] != "WorkspaceLocationEntry" or loaded.get("__typename") == "PythonError":
            message = str(loaded.get("message", "unknown error")).strip()
            said = f"the code location does not load: {message.splitlines()[0]}"
            raise storage_failure(message) or Unavailable(Reason.DAGSTER_UNAVAILABLE, said)


def is_failure(answer: dict[str, Any]) -> bool:
    """Whether Dagster answered a union by an error of its own, not by "there is none"."""
    return answer.get("__typename") in {"PythonError", "UnauthorizedError", "InvalidPipelineRunsFilterError"}


def storage_failure(message: str) -> RagError | None:
    """Replace Dagster's message about a database error, which names drivers and statements, by our own error."""
    if "DiskFull" in message or "No space left on device" in message:
        return Exhausted(Reason.STORAGE_FULL, "the database has no space left; free space and run again")
    if "psycopg2" in message or "sqlalchemy.exc" in message or "dagster_postgres" in message:
        return Unavailable(
            Reason.DATABASE_UNAVAILABLE, "Dagster cannot reach its database; run it again in a moment, see `rag status`"
        )
    return None


def _refusal(errors: list[dict[str, Any]]) -> RagError:
    messages = [str(error.get("message", "")) for error in errors]
    # An error of the execution has a path in the answer, one of the query itself has none.
    invalid = any(not error.get("path") for error in errors)
    said = messages[0].partition("\n")[0][:200] if messages else "no data"
    hint = "; its version may not fit" if invalid else ""
    return storage_failure("\n".join(messages)) or Unavailable(
        Reason.DAGSTER_UNAVAILABLE, f"Dagster did not answer a query: {said}{hint}"
    )
