"""The result of a command as one JSON document, `{ok, data, error}`: what `--output json` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rag_core.errors import InvalidInput, Reason
from rag_core.reasons import REASONS

_OPTION = "--output"
FORMATS = ("text", "json")


@dataclass(slots=True)
class Envelope:
    """Collects what a command prints as JSON. `active` while a command runs with `--output json`."""

    active: bool = False
    documents: list[object] = field(default_factory=list)

    def render(self, error: tuple[Reason, str] | None) -> str:
        """The document. `error` is the reason and the message of a command that did not succeed."""
        data = self.documents[0] if len(self.documents) == 1 else self.documents or None
        failure: dict[str, Any] | None = None
        if error is not None:
            reason, message = error
            failure = {"reason": str(reason), "message": message, "remedy": REASONS[reason][1]}
        whole = {"ok": error is None, "data": data, "error": failure}
        return json.dumps(whole, ensure_ascii=False, indent=2, default=str)


ENVELOPE = Envelope()
"""The envelope of the command that runs; a process runs one at a time."""


def take_output_option(tokens: Sequence[str]) -> tuple[list[str], str]:
    """The command line without `--output FORMAT`, and the format.

    It is taken here, before the commands are parsed, because it means the same for every one of them.
    Raises `InvalidInput` (`USAGE`) for an unknown format.
    """
    rest, found = list[str](), "text"
    given = iter(tokens)
    for token in given:
        if token == "--":  # noqa: S105
            rest.extend([token, *given])
            break
        name, equals, value = token.partition("=")
        if name != _OPTION:
            rest.append(token)
            continue
        found = value if equals else next(given, "")
        if found not in FORMATS:
            raise InvalidInput(Reason.USAGE, f"{_OPTION}: give text or json, not {found!r}")
    return rest, found
