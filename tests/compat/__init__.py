"""Tests of ``longshore.compat``."""
