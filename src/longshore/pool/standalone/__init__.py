"""``longshore pool``: the pool as a program of its own."""
