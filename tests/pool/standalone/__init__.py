"""Tests of ``longshore.pool.standalone``."""
