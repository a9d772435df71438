"""Tests of ``longshore.core``."""
