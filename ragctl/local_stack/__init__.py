"""The local stack: parts under supervisord, started in the order of their needs and watched."""
