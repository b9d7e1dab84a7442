"""Releases as an operator names them on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import SecretStr

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from ragctl.deploy.targets import TargetName
from ragctl.gateway.colours import FIRST_RELEASE, Release

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_IMAGE = re.compile(r"\A[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}")
_OWNED = {"RAG_HOME", "RAG_QUERY_PORT", "RAG_METRICS_PORT", "RAG_HOST"}
"""What the stack itself sets for each server."""


def make_release(
    target: TargetName, name: str, *, python: str | None, assignments: Iterable[str], image: str | None
) -> Release:
    """Check and assemble. Raises `ConfigError` (`USAGE`, `SECRET_INLINE_FORBIDDEN`)."""
    environment = dict(map(_assignment, assignments))
    if _NAME.fullmatch(name) is None or name == FIRST_RELEASE:
        raise _wrong(f"--release: letters, digits and . _ + -, and not {FIRST_RELEASE!r}")
    if target == "kubernetes":
        if python or environment or image is None or _IMAGE.fullmatch(image) is None:
            raise _wrong("a cluster takes --image registry/query@sha256:… and neither --python nor --set")
        return Release(name, image=image)
    if image is not None:
        raise _wrong("--image is for --target kubernetes; the local stack takes --python and --set")
    if python is not None and not Path(python).is_file():
        raise _wrong(f"--python: no file {python}")
    return Release(name, str(Path(python).absolute()) if python else None, environment)


def _assignment(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    known = Settings.model_fields.get(name.removeprefix("RAG_").lower())
    if not name.startswith("RAG_") or known is None or name in _OWNED:
        raise _wrong(f"--set {name}: not a setting that a release may change; docs/reference/settings.md lists them")
    if SecretStr in (known.annotation, *getattr(known.annotation, "__args__", ())):
        raise ConfigError(
            Reason.SECRET_INLINE_FORBIDDEN, f"--set {name}: a secret would be stored and shown; give it to the stack"
        )
    return name, value


def _wrong(message: str) -> ConfigError:
    return ConfigError(Reason.USAGE, message)
