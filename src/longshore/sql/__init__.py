"""What an SQL text does, found out by PostgreSQL's own parser (libpg_query)."""
