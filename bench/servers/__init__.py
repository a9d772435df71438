"""Servers written in Python, each a process of its own: bulk over TLS, and the counter of flights."""
