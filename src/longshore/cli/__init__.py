"""The command ``longshore``: composition and printing only."""
