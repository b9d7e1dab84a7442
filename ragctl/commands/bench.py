"""`rag bench` where the benchmarks are missing: the wheel does not hold them."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from rag_core.errors import InvalidInput, Reason

app = App(name="bench", help="Measure this installation (needs a source checkout).", help_format="plaintext")


@app.default
def bench(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]) -> None:
    """Measure this installation. Raises `InvalidInput` (`USAGE`): it needs a source checkout."""
    raise InvalidInput(
        Reason.USAGE, "`rag bench` needs a source checkout: run `make setup` in one, then its .venv/bin/rag"
    )
