"""What hostile clients do to the gateway, and what an honest one notices of it (`rag bench abuse`)."""
