"""The ways in: clients at the pool, the pool at databases."""
