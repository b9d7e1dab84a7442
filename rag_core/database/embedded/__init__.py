"""The embedded PostgreSQL server: its process, its data folder and the account it runs under."""
