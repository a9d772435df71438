"""One worker; `entry.py` is copied into a project of its own."""
