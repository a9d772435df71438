"""Tests of ``longshore.runtime.worker``."""
