"""Attempts to get out of the sandbox, by real code in a real worker of a real host."""
