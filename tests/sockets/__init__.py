"""Tests of ``longshore.sockets``."""
