"""Nothing of a tenant is forgotten: every table and every text column is decided on."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import ARRAY, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.database.tables import metadata
from rag_core.governance.tenants.place_store import PLACES, PLATFORM
from rag_core.governance.tenants.texts import TEXTS, USER_TEXTS, TextKind
from rag_core.settings import Settings

TABLES = {table.name: table for table in metadata.sorted_tables}
BY_TABLE = {place.table: place for place in PLACES}


def text_columns() -> dict[str, Any]:
    kinds = (Text, ARRAY, JSONB, LargeBinary)
    return {
        f"{table.name}.{column.name}": column
        for table in TABLES.values()
        for column in table.columns
        if isinstance(column.type, kinds)
    }


def test_every_table_is_a_place_of_tenants_or_of_the_platform() -> None:
    undecided = set(TABLES) - set(BY_TABLE) - PLATFORM
    assert not undecided, (
        f"say in rag_core/governance/tenants/place_store.py what export and erasure do with {sorted(undecided)}"
    )
    assert not (set(BY_TABLE) | PLATFORM) - set(TABLES)
    assert not set(BY_TABLE) & PLATFORM
    assert len(BY_TABLE) == len(PLACES)


def test_a_table_with_a_tenant_is_never_the_platforms() -> None:
    assert not {name for name, table in TABLES.items() if "tenant" in table.columns} & PLATFORM


def test_every_text_column_has_a_kind() -> None:
    columns = text_columns()
    assert not set(columns) - set(TEXTS), "say in rag_core/governance/tenants/texts.py whose text these columns hold"
    assert not set(TEXTS) - set(columns)


def test_text_of_users_has_a_default_and_an_end_and_is_exported_and_erased() -> None:
    of_users = {name for name, kind in TEXTS.items() if kind is TextKind.USER}
    assert of_users == set(USER_TEXTS)
    fields = Settings.model_fields
    for name, text in USER_TEXTS.items():
        assert text.default, name
        assert text.retention in fields or text.ends, name
        assert not text.setting or fields[text.setting].default == text.default, name
        table, column = name.split(".")
        place = BY_TABLE[table]
        assert place.export, name
        assert column not in place.without, name
        assert not place.kept, name


@pytest.mark.parametrize("name", sorted(name for name, kind in TEXTS.items() if kind is TextKind.SECRET))
def test_no_secret_is_exported(name: str) -> None:
    table, column = name.split(".")
    assert not BY_TABLE[table].export or column in BY_TABLE[table].without


def test_columns_that_an_export_leaves_out_exist() -> None:
    assert not [
        f"{place.table}.{column}"
        for place in PLACES
        for column in place.without
        if column not in TABLES[place.table].columns
    ]
