"""`rag doctor`: whether this machine can run the stack, whether stack and sources work, and what to change."""

from __future__ import annotations

from dataclasses import asdict

from rag_core.errors import Reason
from ragctl.output import Json, emit_json, say, table


def doctor(*, json: Json = False) -> Reason | None:
    """Check the machine (ports, disk, memory, versions, clocks, permissions), the stack and the sources.

    Says what to do, and changes nothing.

    Example: rag doctor
    """
    from ragctl.local_stack.data_dir import load
    from ragctl.local_stack.doctor import examine

    found = examine(*load())
    if json:
        emit_json([asdict(check) for check in found])
    else:
        marks = {"ok": "ok", "warning": "warning", "failed": "FAILED"}
        table(("check", "state", "found", "what to do"),
              [(check.name, marks[check.state], check.detail, check.remedy) for check in found])  # fmt: skip
        if all(check.state == "ok" for check in found):
            say("\nnothing to do")
    return Reason.CHECK_FAILED if any(check.state == "failed" for check in found) else None
