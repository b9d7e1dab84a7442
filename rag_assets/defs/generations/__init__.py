"""Index generations as assets: built shard by shard, judged by blocking checks, promoted."""
