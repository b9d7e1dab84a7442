"""What each RPC decides, without protobuf."""
