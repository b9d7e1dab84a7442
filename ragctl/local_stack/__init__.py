"""The local stack: services under supervisord, started in dependency order and watched."""
