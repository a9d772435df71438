"""Tests of ``longshore.aio``."""
