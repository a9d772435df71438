"""Tests of ``longshore.runtime``."""
