"""Generations in Dagster: what is due, and a whole life as runs."""

from __future__ import annotations

import pytest

from rag_assets.lib.generation_runs import parse_shard_key, shard_key
from rag_assets.lib.naming import shard_of
from rag_assets.source_config import SourceConfig
from rag_core.errors import InvalidInput, Reason


@pytest.mark.parametrize("shard", [("acme", "handbook", 0), ("t-1", "wiki/with:odd|name", 12)])
def test_a_partition_key_names_generation_and_shard(shard: tuple[str, str, int]) -> None:
    assert parse_shard_key(shard_key("g-1f", shard)) == ("g-1f", shard)


@pytest.mark.parametrize("key", ["", "g-1", "g-1:x:acme/docs", "g-1:0:acme"])
def test_a_partition_that_is_none_of_ours_is_a_typed_error(key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_shard_key(key)
    assert caught.value.reason is Reason.FIELD_INVALID


@pytest.mark.parametrize("key", ["", "x", "4", "-1", "01"])
def test_a_partition_that_a_source_does_not_have_is_a_typed_error(config: SourceConfig, key: str) -> None:
    with pytest.raises(InvalidInput, match="its shards are 0 to 3"):
        shard_of(config.model_copy(update={"shards": 4}), key)
