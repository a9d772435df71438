"""The admin database: what an operator asks of the pools, and tells them, with any PostgreSQL client."""
