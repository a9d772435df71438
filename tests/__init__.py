"""Tests, laid out like ``src/longshore``; see ``conftest.py`` for how they are run."""
