"""`rag doctor`: whether this machine can run the stack, and what to change when it cannot."""

from __future__ import annotations

from dataclasses import asdict

from rag_core.errors import Reason
from ragctl.output import Json, emit_json, say, table


def doctor(*, json: Json = False) -> Reason | None:
    """Check ports, disk, memory, versions, clocks and permissions, and say what to do. Changes nothing.

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
