"""Measurements of this installation against the targets of the design, with the limit or a peer in the same run."""
