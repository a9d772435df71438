"""Shared vocabulary of the project: values and decisions without I/O, clock or randomness (PURE)."""
