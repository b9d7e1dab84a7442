"""`python -m interfaces`: serve until SIGTERM. Exit code 2 for wrong configuration."""

from __future__ import annotations

import logging
import sys

from pydantic import ValidationError

from interfaces.server import configure
from rag_tracing import start_tracing


def main() -> int:
    """Run the server and return the exit code."""
    configure()
    from interfaces.server import serve
    from interfaces.settings import InterfacesSettings

    try:
        settings = InterfacesSettings()
    except ValidationError as error:
        problems = "; ".join(
            f"RAG_INTERFACES_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False)
        )
        logging.getLogger("interfaces").error("cannot start: CONFIG_INVALID: %s", problems)
        return 2
    start_tracing("interfaces")
    serve(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
