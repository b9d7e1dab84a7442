"""What the options of several kinds share."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from rag_assets.connectors.fields import AclEntry
from rag_core.governance.access import is_acl_entry

GOOD = ["everyone", "deny:everyone", "deny:user:ann", "user:ann", "group:a-b", "user:" + "x" * 256]
BAD = ["", "deny:", "deny:deny:everyone", "everyone\n", "user:ann\n", "user:", "user:a b", "team:a", "xuser:a"]
BAD += ["user:" + "x" * 257]


@pytest.mark.parametrize("entry", GOOD)
def test_an_entry_that_can_admit_someone(entry: str) -> None:
    assert is_acl_entry(entry)
    assert TypeAdapter(AclEntry).validate_python(entry) == entry


@pytest.mark.parametrize("entry", BAD)
def test_an_entry_that_cannot_is_none_in_options_and_in_what_a_source_says(entry: str) -> None:
    assert not is_acl_entry(entry)
    with pytest.raises(ValidationError):
        TypeAdapter(AclEntry).validate_python(entry)
