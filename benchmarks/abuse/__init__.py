"""`rag bench abuse`: hostile clients against the gateway, and their effect on an honest one."""
