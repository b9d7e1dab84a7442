"""`rag bench abuse`: what hostile clients do to the gateway, and what an honest one notices of it."""
