"""The documentation is checked: its snippets run, its tables match the code."""
