"""Types that the options of several kinds share: URLs, JSON paths, ACL entries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from rag_core.errors import RagError
from rag_core.governance.access import ACL_PATTERN, EVERYONE, is_acl_entry
from rag_core.http_client import FetchPolicy
from rag_core.logging import get_logger

log = get_logger(__name__)
MAX_LOCATOR_BYTES: Final = 2048
"""PostgreSQL's unique index refuses keys much above this."""
NOBODY: Final = "group:rag-nobody"
"""An empty ACL: nobody may read the document. `None` means the ACL is unknown."""
_KINDS: Final = ("user:", "group:")
_SECRET_NAME: Final = re.compile(
    r"^(authorization|cookie|proxy-authorization|x-api-key|.*(token|secret|password|passwd|api[-_]?key|access[-_]?key).*)$",
    re.IGNORECASE,
)
# Ports are the business of the settings, which are not known while a file is read.
_ANY_PORT: Final = FetchPolicy(ports=(range(1, 65_536),))


class Model(BaseModel):
    """Options are strict and frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def check_http_url(value: str) -> str:
    """The URL in its normal form. Raises `ValueError` for one with credentials, and for what is no http(s) URL."""
    if "@" in value.partition("://")[2].partition("/")[0]:
        raise ValueError("SECRET_INLINE_FORBIDDEN: a URL must not hold a user name or password; use `auth`")
    try:
        return str(_ANY_PORT.check_url(value))
    except RagError as error:
        raise ValueError(str(error)) from None


def _path(value: str) -> str:
    import jsonpath  # for the kinds that have such a path

    try:
        jsonpath.compile(value)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"not a JSON path ({str(error).splitlines()[0]})") from None
    if not value.startswith("$"):
        raise ValueError("a JSON path starts with $")
    return value


def no_secrets(values: dict[str, str]) -> dict[str, str]:
    """Refuse names that are known to carry secrets. Raises `ValueError`."""
    for name in values:
        if _SECRET_NAME.match(name):
            raise ValueError(f"SECRET_INLINE_FORBIDDEN: {name} belongs in `auth`, which refers to a secret")
    return values


def acl_of(names: Iterable[str], prefix: str | None) -> tuple[str, ...]:
    """The ACL of the names that a source has for readers, with a prefix before those that have no kind.

    An invalid name is left out, because it can admit nobody; a list without a valid one admits nobody.
    """
    named = [one if one == EVERYONE or one.startswith(_KINDS) else f"{prefix or ''}{one}" for one in names]
    entries = tuple(dict.fromkeys(filter(is_acl_entry, named)))
    if ignored := len(set(named)) - len(entries):
        log.warning("acl_entries_ignored", ignored=ignored)
    return entries or (NOBODY,)


def absolute_path(value: str) -> str:
    """The path in its normal form. Raises `ValueError` for one that is not absolute, or leads upwards."""
    path = PurePosixPath(value)
    if "\x00" in value or not path.is_absolute() or ".." in path.parts:
        raise ValueError("PATH_OUTSIDE_ROOT: must be an absolute path without `..`")
    return "/" + "/".join(path.parts[1:])


Url = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(check_http_url)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00]{1,4095}$")]
JsonPath = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_path)]
Plain = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,128}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})?$|^[0-9A-Fa-f:.]{2,45}$")]
DirectoryName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
AclEntry = Annotated[str, StringConstraints(pattern=ACL_PATTERN)]
MetadataName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
