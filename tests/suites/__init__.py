"""Test suites of PostgreSQL drivers, run directly and through the pool."""
