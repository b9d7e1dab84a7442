"""The logic of each RPC, without protobuf."""
