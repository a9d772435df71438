"""Of ``longshore.pool.catalogue``."""
