"""Put, get, list and delete of single documents."""
