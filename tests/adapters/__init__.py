"""Tests of ``longshore.adapters``."""
