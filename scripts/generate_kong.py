"""Generate deploy/kong.yaml, without the keys that each installation fills in. A unit test compares it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rag_core.settings import Settings
from ragctl.gateway.files import to_yaml
from ragctl.gateway.kong import HEADER, kong_config
from ragctl.gateway.options import GatewayOptions
from ragctl.tokens import ensure_keys

KONG = Path(__file__).resolve().parent.parent / "deploy" / "kong.yaml"


def main() -> None:
    # What a shell of somebody has set is none of the file's business.
    for name in [name for name in os.environ if name.startswith("RAG_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        settings.secrets_dir.mkdir()
        ensure_keys(settings)
        config = kong_config(GatewayOptions.from_settings(settings))
    config["consumers"][0]["jwt_secrets"] = []
    KONG.write_text(HEADER + to_yaml(config), "utf-8")


if __name__ == "__main__":
    main()
