"""Parsing in a confined subprocess: `pool` on our side, `worker` on the other, `frames` between them."""
