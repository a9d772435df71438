"""How fast Longshore is, beside what it could be compared to, in one run: ``python -m bench --help``."""
