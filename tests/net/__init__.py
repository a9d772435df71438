"""Tests of ``longshore.net``."""
