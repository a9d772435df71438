"""Tests of ``longshore.policy``."""
