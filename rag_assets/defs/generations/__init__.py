"""Index generations as assets: built shard by shard, evaluated by blocking checks, promoted."""
