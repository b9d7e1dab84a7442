"""The PostgreSQL server of the embedded mode: its process, its data folder and the account it runs under."""
