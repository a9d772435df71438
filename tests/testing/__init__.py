"""Tests of ``longshore.testing``."""
