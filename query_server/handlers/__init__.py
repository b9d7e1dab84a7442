"""What the RPCs do, without protobuf or gRPC."""
