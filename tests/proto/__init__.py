"""Tests of ``longshore.proto``."""
