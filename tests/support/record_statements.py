"""Record the SQL of the query server while tests run, for the next release's compatibility test.

pytest -p tests.support.record_statements --statements=FILE tests/integration/query_server …
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

_ROOT = Path(__file__).parents[2]
_SERVER = str(_ROOT / "query_server")
_seen: set[str] = set()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--statements", type=Path, required=True)


@event.listens_for(Engine, "before_cursor_execute")
def _record(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
    for name, value in parameters.items() if isinstance(parameters, dict) else ():
        if isinstance(value, timedelta):  # the one type of ours that the driver sends and PREPARE cannot guess
            statement = statement.replace(f"%({name})s", f"%({name})s::INTERVAL")
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(_SERVER):
            _seen.add(" ".join(statement.split()))
            return
        frame = frame.f_back  # type: ignore[assignment]


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.getoption("--statements").write_text(json.dumps(sorted(_seen), indent=1) + "\n")
