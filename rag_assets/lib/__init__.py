"""Classes and functions that definitions are made of: names, checks over frames, metadata, typed failures."""
